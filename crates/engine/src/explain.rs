//! Why a version is where it is and not further: the decision run again, and told.

use crate::engine::Engine;
use crate::rules::{Reason, Verdict};
use crate::settle::{GateStanding, LaneView};
use crate::state::{LaneKey, Promotion, Target};
use stagegate_model::{
    JobId, PolicyId, PromotionId, PromotionStatus, ResourceId, RuleId, Timestamp, Version,
    VersionId,
};
use std::collections::BTreeMap;

/// Why a version stands as it does in an environment.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub lane: LaneKey,
    pub version: VersionId,
    /// Its latest promotion there.
    pub promotion: Option<PromotionId>,
    pub status: Option<PromotionStatus>,
    /// One sentence.
    pub summary: String,
    /// What stops it apart from rules.
    pub stopped: Option<Reason>,
    /// Every rule of every policy that applies to it on some target there.
    pub gates: Vec<Gate>,
    pub targets: Vec<TargetStanding>,
    /// When it can start at the earliest, if nothing but time is missing.
    pub earliest: Option<Timestamp>,
}

/// One rule, as it stands.
#[derive(Clone, Debug)]
pub struct Gate {
    pub policy: PolicyId,
    pub policy_name: String,
    pub rule: RuleId,
    pub kind: &'static str,
    pub verdict: Verdict,
    /// Passed for good, since the rollout has begun.
    pub latched: bool,
}

/// One target, as it stands towards a version.
#[derive(Clone, Debug)]
pub struct TargetStanding {
    pub resource: ResourceId,
    /// What runs there: what was deployed last, whether or not it has turned out well.
    pub current: Option<VersionId>,
    pub latest: Option<VersionId>,
    pub job: Option<JobId>,
    pub state: TargetState,
    /// Why it is not further; empty when there is nothing to say.
    pub reason: String,
}

/// Where a target stands towards a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// It has a newer version.
    Newer,
    Succeeded,
    Failed,
    Running,
    Verifying,
    /// Something else runs there.
    Busy,
    /// Something of its own stops it.
    Blocked,
    Waiting,
}

impl TargetState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newer => "newer",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
        }
    }
}

impl Engine {
    /// Why a version stands as it does in a lane at `now`; `None` when environment, deployment or version is gone.
    #[must_use]
    pub fn explain(
        &self,
        lane: LaneKey,
        version: VersionId,
        now: Timestamp,
    ) -> Option<Explanation> {
        let now = now.max(self.state.head.time);
        let view = LaneView::new(self, lane)?;
        let version = self.state.versions.get(&version)?;
        let promotion = self
            .state
            .track(version.id, lane.environment)
            .and_then(|track| track.promotion)
            .and_then(|id| self.state.promotions.get(&id));
        let gates = self.gates(&view, version, now);
        let targets = self.targets(lane, version, now);
        let stopped = view.stopped(version);
        let closed: Vec<&Gate> = gates
            .iter()
            .filter(|gate| !gate.verdict.is_allowed())
            .collect();
        let only_time = stopped.is_none()
            && !closed.is_empty()
            && closed
                .iter()
                .all(|gate| matches!(gate.verdict, Verdict::Wait { until: Some(_), .. }));
        let earliest = only_time
            .then(|| {
                closed
                    .iter()
                    .filter_map(|gate| gate.verdict.changes_at())
                    .max()
            })
            .flatten();
        let summary = summary(
            &view,
            version,
            promotion,
            stopped.as_ref(),
            &closed,
            &targets,
        );
        Some(Explanation {
            lane,
            version: version.id,
            promotion: promotion.map(|it| it.id),
            status: promotion.map(|it| it.status),
            summary,
            stopped,
            targets,
            earliest,
            gates,
        })
    }

    /// Every gate over all classes of targets; where the lane has no targets yet, those that do not look at one.
    fn gates(&self, view: &LaneView<'_>, version: &Version, now: Timestamp) -> Vec<Gate> {
        let mut asked = BTreeMap::new();
        let mut standings: BTreeMap<RuleId, GateStanding> = BTreeMap::new();
        let classes = view.classes();
        let representatives: Vec<_> = classes
            .iter()
            .map(|class| class.representative.as_deref())
            .collect();
        let representatives = if representatives.is_empty() {
            vec![None]
        } else {
            representatives
        };
        for resource in representatives {
            let gates = view.gates(version, resource, now, &mut asked);
            standings.extend(gates.into_iter().map(|gate| (gate.rule, gate)));
        }
        let mut gates: Vec<Gate> = standings
            .into_values()
            .map(|gate| {
                let policy = self.state.policies.get(&gate.policy);
                Gate {
                    policy: gate.policy,
                    policy_name: policy.map_or_else(String::new, |policy| policy.name.clone()),
                    rule: gate.rule,
                    kind: gate.kind,
                    verdict: gate.verdict,
                    latched: gate.latched,
                }
            })
            .collect();
        let priority = |gate: &Gate| {
            self.state
                .policies
                .get(&gate.policy)
                .map_or(0, |policy| policy.priority)
        };
        gates.sort_by(|a, b| {
            (priority(b), &a.policy_name, a.rule).cmp(&(priority(a), &b.policy_name, b.rule))
        });
        gates
    }

    fn targets(&self, lane: LaneKey, version: &Version, now: Timestamp) -> Vec<TargetStanding> {
        let targets = self
            .state
            .lane(lane)
            .into_iter()
            .flat_map(|lane| &lane.targets);
        targets
            .map(|(resource, target)| self.target_standing(*resource, target, version, now))
            .collect()
    }

    fn target_standing(
        &self,
        resource: ResourceId,
        target: &Target,
        version: &Version,
        now: Timestamp,
    ) -> TargetStanding {
        let release = |id| self.state.releases.get(&id);
        let current = target.current.and_then(release);
        let latest = target.latest.and_then(release);
        let active = target.active.and_then(|id| self.state.jobs.get(&id));
        let (state, reason) = if let Some(job) = active {
            let tag = self
                .state
                .versions
                .get(&job.version)
                .map_or("", |it| it.tag.as_str());
            match (job.version == version.id, job.status.is_terminal()) {
                (true, false) => (
                    TargetState::Running,
                    format!("its job {}", job.standing(now)),
                ),
                (true, true) => (TargetState::Verifying, self.verifying(job)),
                (false, false) => (
                    TargetState::Busy,
                    format!("a job for {tag} {}", job.standing(now)),
                ),
                (false, true) => (TargetState::Busy, format!("{tag} is being verified there")),
            }
        } else if target.latest_order == Some(version.order()) {
            match current.filter(|it| it.version == version.id && target.latest == target.current) {
                Some(_) => (TargetState::Succeeded, String::new()),
                None => (
                    TargetState::Failed,
                    latest.map_or_else(String::new, |it| it.reason.clone()),
                ),
            }
        } else if target.latest_order > Some(version.order()) {
            let tag = latest
                .and_then(|it| self.state.versions.get(&it.version))
                .map_or("", |it| it.tag.as_str());
            (TargetState::Newer, format!("it has {tag}"))
        } else if let Some(block) = target
            .block
            .as_ref()
            .filter(|block| block.version == version.id)
        {
            (TargetState::Blocked, block.message.clone())
        } else {
            (TargetState::Waiting, String::new())
        };
        TargetStanding {
            resource,
            current: target.deployed,
            latest: latest.map(|it| it.version),
            job: target.active.or(latest.map(|it| it.job)),
            state,
            reason,
        }
    }

    fn verifying(&self, job: &crate::Job) -> String {
        let latest = job
            .verifications
            .last()
            .and_then(|id| self.state.verifications.get(id));
        let Some(verification) = latest else {
            return "it is being verified".to_owned();
        };
        match verification.status {
            stagegate_model::VerificationStatus::Running => {
                let taken: u32 = verification.metrics.iter().map(|run| run.taken).sum();
                let wanted: u32 = verification
                    .metrics
                    .iter()
                    .map(|run| run.planned.metric.count)
                    .sum();
                format!("it is being verified: {taken} of {wanted} measurements taken")
            }
            status => format!(
                "its verification {} is {status} and waits for a person to pass it, fail it or run it again: {}",
                verification.id, verification.reason
            ),
        }
    }
}

fn summary(
    view: &LaneView<'_>,
    version: &Version,
    promotion: Option<&Promotion>,
    stopped: Option<&Reason>,
    closed: &[&Gate],
    targets: &[TargetStanding],
) -> String {
    let (tag, place) = (&version.tag, &view.environment.name);
    let name = &view.deployment.name;
    let all = |state: TargetState| {
        !targets.is_empty() && targets.iter().all(|target| target.state == state)
    };
    let any = |state: TargetState| targets.iter().find(|target| target.state == state);
    if targets.is_empty() {
        return format!(
            "{name} has no release targets in {place}: no resource is matched by both selectors"
        );
    }
    if all(TargetState::Succeeded) {
        return format!("{tag} is in {place}");
    }
    if all(TargetState::Newer) {
        return format!("{place} already has a newer version than {tag}");
    }
    if let Some(promotion) = promotion.filter(|it| !it.status.is_open()) {
        return format!(
            "the promotion of {tag} into {place} ended {}: {}",
            promotion.status, promotion.reason
        );
    }
    if let Some(target) = any(TargetState::Running).or_else(|| any(TargetState::Verifying)) {
        return format!("{tag} is on its way into {place}: {}", target.reason);
    }
    if let Some(stopped) = stopped {
        return format!("{tag} does not enter {place}: {}", stopped.message);
    }
    // What someone must change says more than what merely has to come.
    let refused = closed
        .iter()
        .find(|gate| matches!(gate.verdict, Verdict::Deny { .. }));
    if let Some(gate) = refused.or(closed.first()) {
        let more = if closed.len() > 1 {
            format!(" (and {} more)", closed.len() - 1)
        } else {
            String::new()
        };
        let how = if refused.is_some() {
            "does not enter"
        } else {
            "waits for"
        };
        return format!("{tag} {how} {place}: {}{more}", gate.verdict.why().message);
    }
    if let Some(target) = any(TargetState::Blocked).or_else(|| any(TargetState::Busy)) {
        return format!("{tag} waits for {place}: {}", target.reason);
    }
    match targets
        .iter()
        .filter(|target| target.state == TargetState::Failed)
        .count()
    {
        0 => format!("{tag} may enter {place}"),
        failed => format!(
            "{tag} failed on {failed} of {} targets in {place}",
            targets.len()
        ),
    }
}
