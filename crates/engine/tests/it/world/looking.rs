//! What there is to see in a world.

use super::World;
use stagegate_engine::{Explanation, Gate, LaneKey, Promotion, TargetStanding};
use stagegate_model::*;

impl World {
    pub fn environment_id(&self, name: &str) -> EnvironmentId {
        self.environments[name]
    }

    pub fn resource_id(&self, name: &str) -> ResourceId {
        self.resources[name]
    }

    pub fn version_id(&self, tag: &str) -> VersionId {
        self.versions[tag]
    }

    pub fn policy_id(&self, name: &str) -> PolicyId {
        self.policies[name]
    }

    pub fn user_id(&self, name: &str) -> UserId {
        self.people[name].0
    }

    pub fn lane(&self, environment: &str) -> LaneKey {
        LaneKey {
            deployment: self.main,
            environment: self.environment_id(environment),
        }
    }

    fn release_tag(&self, release: Option<ReleaseId>) -> Option<String> {
        let version = self.release(release?).version;
        Some(self.state().versions()[&version].tag.clone())
    }

    /// The version that last succeeded on a resource.
    pub fn current(&self, resource: &str, environment: &str) -> Option<String> {
        let lane = self.state().lane(self.lane(environment))?;
        self.release_tag(lane.targets.get(&self.resource_id(resource))?.current())
    }

    /// The version of the latest release on a resource, however it ended.
    pub fn latest(&self, resource: &str, environment: &str) -> Option<String> {
        let lane = self.state().lane(self.lane(environment))?;
        self.release_tag(lane.targets.get(&self.resource_id(resource))?.latest())
    }

    /// The latest promotion of a version into an environment.
    pub fn promotion(&self, tag: &str, environment: &str) -> &Promotion {
        self.try_promotion(tag, environment)
            .unwrap_or_else(|| panic!("{tag} has no promotion into {environment}"))
    }

    pub fn try_promotion(&self, tag: &str, environment: &str) -> Option<&Promotion> {
        let track = self
            .state()
            .track(self.version_id(tag), self.environment_id(environment))?;
        self.state().promotions().get(&track.promotion?)
    }

    pub fn status(&self, tag: &str, environment: &str) -> PromotionStatus {
        self.promotion(tag, environment).status
    }

    pub fn explain(&self, tag: &str, environment: &str) -> Explanation {
        self.engine
            .explain(self.lane(environment), self.version_id(tag), self.now)
            .expect("an explanation")
    }

    /// The only gate of a kind on a version in an environment.
    pub fn gate(&self, tag: &str, environment: &str, kind: &str) -> Gate {
        let mut gates = self.explain(tag, environment).gates;
        gates.retain(|gate| gate.kind == kind);
        assert_eq!(gates.len(), 1, "{tag} has one {kind} in {environment}");
        gates.remove(0)
    }

    /// The code of the reason of the only gate of a kind.
    pub fn code(&self, tag: &str, environment: &str, kind: &str) -> &'static str {
        self.gate(tag, environment, kind).verdict.why().code
    }

    pub fn standing(&self, tag: &str, environment: &str, resource: &str) -> TargetStanding {
        let id = self.resource_id(resource);
        let mut targets = self.explain(tag, environment).targets;
        targets.retain(|target| target.resource == id);
        targets.remove(0)
    }
}

/// When the gate was satisfied; panics when it is shut.
pub fn satisfied_at(gate: &Gate) -> Timestamp {
    match &gate.verdict {
        stagegate_engine::Verdict::Allow { satisfied_at, .. } => *satisfied_at,
        shut => panic!("the gate is shut: {shut:?}"),
    }
}
