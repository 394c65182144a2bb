//! Marking those who asked what else runs on a resource.

use super::super::{LaneKey, State, lanes_of};
use stagegate_model::{DeploymentId, EnvironmentId, ResourceId, VersionId};

impl State {
    /// What a deployment has on a resource may have changed: marks the lanes of other deployments that asked.
    pub(super) fn touch_neighbours(&mut self, own: DeploymentId, resource: ResourceId) {
        if self.waiting.asking.is_empty() {
            return;
        }
        let lanes = self.resources.lanes(resource).iter();
        let asking = lanes.filter(|key| {
            let lane = self.lanes.get(key);
            key.deployment != own && lane.is_some_and(|it| it.asked_about.contains(&resource))
        });
        self.dirty.lanes.extend(asking.copied());
    }

    /// The same wherever a version runs; in one environment, if it is named.
    pub(super) fn touch_neighbours_of_version(
        &mut self,
        version: VersionId,
        environment: Option<EnvironmentId>,
    ) {
        let Some(deployment) = self.versions.get(&version).map(|it| it.deployment) else {
            return;
        };
        let resources = self.resources_of(deployment, |state, key, resource| {
            let target = state
                .lanes
                .get(&key)
                .and_then(|it| it.targets.get(&resource));
            let current = target.and_then(|it| state.current(it));
            environment.is_none_or(|it| it == key.environment)
                && current.is_some_and(|it| it.version == version)
        });
        for resource in resources {
            self.touch_neighbours(deployment, resource);
        }
    }

    /// The same wherever the deployment has targets.
    pub(super) fn touch_neighbours_of_deployment(&mut self, deployment: DeploymentId) {
        for resource in self.resources_of(deployment, |_, _, _| true) {
            self.touch_neighbours(deployment, resource);
        }
    }

    /// The resources of a deployment's targets; none, at no cost, where nobody asks about resources.
    fn resources_of(
        &self,
        deployment: DeploymentId,
        wanted: impl Fn(&Self, LaneKey, ResourceId) -> bool,
    ) -> Vec<ResourceId> {
        if self.waiting.asking.is_empty() {
            return Vec::new();
        }
        let lanes = lanes_of(&self.lanes, deployment);
        let targets = lanes.flat_map(|(key, lane)| lane.targets.keys().map(|id| (*key, *id)));
        targets
            .filter(|(key, resource)| wanted(self, *key, *resource))
            .map(|(_, resource)| resource)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::{
        Digest, Fact, JobId, JobStatus, Json, Metadata, NewJob, Order, OrderCause, ReleaseId,
        ReleaseStatus, Resource, StartKind, Timestamp, Version, VersionStatus,
    };
    use std::collections::BTreeSet;
    use uuid::Uuid;

    const ENVIRONMENT: u128 = 1;
    /// Deployments: what runs there, who asked about both resources, who asked about another, who asked nothing.
    const DATABASE: u128 = 10;
    const API: u128 = 11;
    const WEB: u128 = 12;
    const CACHE: u128 = 13;
    const HOST: u128 = 20;
    const OTHER: u128 = 21;

    fn id<T: From<Uuid>>(number: u128) -> T {
        Uuid::from_u128(number).into()
    }

    fn lane(deployment: u128) -> LaneKey {
        LaneKey {
            deployment: id(deployment),
            environment: id(ENVIRONMENT),
        }
    }

    fn state() -> State {
        let mut state = State::default();
        for number in [HOST, OTHER] {
            let resource = Resource {
                id: id(number),
                name: number.to_string(),
                identifier: number.to_string(),
                kind: String::new(),
                version: String::new(),
                metadata: Metadata::new(),
                config: Json::Null,
                created_at: Timestamp(0),
                updated_at: None,
            };
            state.apply(&Fact::ResourcePut { resource });
        }
        for deployment in [DATABASE, API, WEB, CACHE] {
            state.apply(&Fact::TargetsJoined {
                deployment: id(deployment),
                environment: id(ENVIRONMENT),
                resources: vec![id(HOST), id(OTHER)],
            });
        }
        let asked = [(API, vec![HOST, OTHER]), (WEB, vec![OTHER])];
        for (deployment, resources) in asked {
            state.change_waiting(lane(deployment), |lane| {
                lane.asked_about = resources.into_iter().map(id).collect();
            });
        }
        state.apply(&Fact::VersionCreated {
            version: Version {
                id: id(30),
                deployment: id(DATABASE),
                tag: "v1".into(),
                name: "v1".into(),
                config: serde_json::json!({}),
                job_agent_config: serde_json::json!({}),
                job_limits: Default::default(),
                dependencies: Default::default(),
                status: VersionStatus::Ready,
                message: String::new(),
                metadata: Default::default(),
                created_at: stagegate_model::Timestamp(0),
                created_by: None,
                digest: Digest([0; 32]),
            },
        });
        state.apply(&Fact::PromotionOpened {
            id: id(40),
            version: id(30),
            environment: id(ENVIRONMENT),
            attempt: 1,
            previous: None,
            kind: StartKind::Forward,
        });
        state.apply(&Fact::JobsCreated {
            promotion: id(40),
            version: id(30),
            environment: id(ENVIRONMENT),
            agent: id(2),
            latches: Vec::new(),
            kind: StartKind::Forward,
            limits: Default::default(),
            jobs: vec![NewJob {
                job: id(50),
                release: id(60),
                number: 1,
                resource: id(HOST),
                attempt: 1,
                config: serde_json::json!({}).into(),
                variables: Default::default(),
                rollback_of: None,
            }],
        });
        state
    }

    /// The lanes of other deployments that a fact marks.
    fn marked(state: &mut State, fact: &Fact) -> BTreeSet<LaneKey> {
        state.dirty.lanes.clear();
        state.apply(fact);
        let mut lanes = std::mem::take(&mut state.dirty.lanes);
        lanes.remove(&lane(DATABASE));
        lanes
    }

    fn succeeded() -> State {
        let mut state = state();
        let (job, release): (JobId, ReleaseId) = (id(50), id(60));
        let successful = Fact::JobChanged {
            id: job,
            status: JobStatus::Successful,
            message: String::new(),
            external_id: None,
            output_tail: None,
            exit: None,
            links: Default::default(),
        };
        assert_eq!(marked(&mut state, &successful), [lane(API)].into());
        let ended = Fact::ReleaseEnded {
            id: release,
            job,
            status: ReleaseStatus::Succeeded,
            reason: String::new(),
        };
        assert_eq!(marked(&mut state, &ended), [lane(API)].into());
        state
    }

    #[test]
    fn a_success_marks_only_those_who_asked_about_its_resource() {
        let state = succeeded();
        let target = state.lanes[&lane(DATABASE)].targets.get(&id(HOST)).unwrap();
        assert_eq!(target.brought(), target.current());
    }

    #[test]
    fn so_does_what_undoes_it() {
        let order = Order {
            kind: StartKind::Rollback,
            version: id(31),
            to: None,
            of: Some(id(60)),
            cause: OrderCause::Person,
            reason: String::new(),
            by: None,
        };
        let undoing = [
            Fact::TargetOrdered {
                target: lane(DATABASE).target(id(HOST)),
                order,
            },
            Fact::Quarantined {
                version: id(30),
                environment: id(ENVIRONMENT),
                reason: String::new(),
            },
            Fact::TargetsLeft {
                deployment: id(DATABASE),
                environment: id(ENVIRONMENT),
                resources: vec![id(HOST)],
            },
            Fact::VersionChanged {
                id: id(30),
                tag: None,
                name: None,
                config: None,
                job_agent_config: None,
                dependencies: None,
                status: Some(VersionStatus::Rejected),
                message: None,
                metadata: None,
                digest: Digest([0; 32]),
            },
        ];
        for fact in undoing {
            let mut state = succeeded();
            assert_eq!(marked(&mut state, &fact), [lane(API)].into(), "{fact:?}");
        }
    }

    #[test]
    fn where_it_does_not_run_nobody_is_marked() {
        let mut state = succeeded();
        let fact = Fact::Quarantined {
            version: id(31),
            environment: id(ENVIRONMENT),
            reason: String::new(),
        };
        assert_eq!(marked(&mut state, &fact), BTreeSet::new());
    }
}
