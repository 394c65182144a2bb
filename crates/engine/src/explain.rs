//! Why a version is where it is and not further: the decision run again, and told.

mod chain;
mod earliest;
mod held_back;
mod one_target;
mod tally;

pub use chain::{Chain, Link, Need, NeedKind};
pub use tally::{Shown, Tally};

use crate::engine::Engine;
use crate::rules::{Action, Reason, Verdict};
use crate::settle::{Asked, Conduct, GateStanding, LaneView, Place, Turns};
use crate::state::{Lane, LaneKey, Promotion, TargetView, Track};
use stagegate_model::{
    GateState, JobId, PolicyId, PromotionId, PromotionStatus, ResourceId, RuleId, StartKind,
    Timestamp, Version, VersionId, VersionStatus,
};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Those that are shown, by their resources' ids.
    pub targets: Vec<TargetStanding>,
    /// How all stand.
    pub tally: Tally,
    /// When the first target can start that nothing but time keeps from it.
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
    /// Since when it stands so for this reason; `None` where that is not on record.
    pub since: Option<Timestamp>,
}

/// One target, as it stands towards a version.
#[derive(Clone, Debug)]
pub struct TargetStanding {
    pub resource: ResourceId,
    /// What runs there: what was deployed last, whether or not it has turned out well.
    pub current: Option<VersionId>,
    pub latest: Option<VersionId>,
    pub job: Option<JobId>,
    /// Why its latest release was made.
    pub kind: Option<StartKind>,
    pub state: TargetState,
    /// Why it is not further; empty when there is nothing to say.
    pub reason: String,
    /// The rules that are asked for this target alone, while it may still get the version.
    pub gates: Vec<Gate>,
}

/// Where a target stands towards a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// It has a newer version.
    Newer,
    Succeeded,
    Failed,
    /// Its job failed and is tried again later.
    Retrying,
    /// It was rolled back and takes nothing that is not newer.
    Held,
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
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
        }
    }
}

impl Engine {
    /// Why a version stands as it does in a lane at `now`, on each of its targets too; `None` when environment,
    /// deployment or version is gone.
    #[must_use]
    pub fn explain(
        &self,
        lane: LaneKey,
        version: VersionId,
        now: Timestamp,
    ) -> Option<Explanation> {
        self.explain_shown(lane, version, Shown::All, now)
    }

    /// The same for a lane that may be large: the targets that are `shown`, and how many others stand how.
    #[must_use]
    pub fn explain_shown(
        &self,
        lane: LaneKey,
        version: VersionId,
        shown: Shown,
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
        let (targets, tally) = self.standings(&view, version, shown, now);
        let stopped = view.stopped(version);
        let closed: Vec<&Gate> = gates
            .iter()
            .filter(|gate| !gate.verdict.is_allowed())
            .collect();
        let earliest = self.earliest(&view, version, now);
        let summary = summary(&view, version, promotion, stopped.as_ref(), &closed, &tally);
        Some(Explanation {
            lane,
            version: version.id,
            promotion: promotion.map(|it| it.id),
            status: promotion.map(|it| it.status),
            summary,
            stopped,
            targets,
            tally,
            earliest,
            gates,
        })
    }

    /// Every gate over all classes of targets; where the lane has no targets yet, those that do not look at one.
    pub(crate) fn gates(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        now: Timestamp,
    ) -> Vec<Gate> {
        let mut asked = Asked::telling();
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
            let open = gates.iter().all(|gate| gate.verdict.is_allowed());
            let turns = self.turn_gates(view, version, resource, open, now);
            for gate in gates.into_iter().chain(turns) {
                let known = standings.get(&gate.rule);
                if known.is_none_or(|known| gate.speaks_before(known)) {
                    standings.insert(gate.rule, gate);
                }
            }
        }
        self.in_order(standings.into_values(), self.track_of(view, version))
    }

    fn track_of(&self, view: &LaneView<'_>, version: &Version) -> Option<&Track> {
        self.state.track(version.id, view.environment.id)
    }

    /// Gates with the names of their policies, those of the highest priority first.
    fn in_order(
        &self,
        standings: impl Iterator<Item = GateStanding>,
        track: Option<&Track>,
    ) -> Vec<Gate> {
        let mut gates: Vec<Gate> = standings.map(|gate| self.named(gate, track)).collect();
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

    /// A gate with the name of its policy or freeze; what a version needs by itself has none.
    fn named(&self, gate: GateStanding, track: Option<&Track>) -> Gate {
        let state = match &*gate.verdict {
            Verdict::Allow { .. } => GateState::Allow,
            Verdict::Wait { .. } => GateState::Wait,
            Verdict::Deny { .. } => GateState::Deny,
        };
        let policy = self.state.policies.get(&gate.policy);
        let freeze = self.state.freezes.get(&gate.policy.0.into());
        let named = policy.map(|policy| policy.name.clone());
        let named = named.or_else(|| freeze.map(|freeze| freeze.name.clone()));
        Gate {
            policy: gate.policy,
            policy_name: named.unwrap_or_default(),
            rule: gate.rule,
            kind: gate.kind,
            since: track.and_then(|it| it.since(gate.rule, state, gate.verdict.why().code)),
            verdict: Arc::unwrap_or_clone(gate.verdict),
            latched: gate.latched,
        }
    }

    /// The rules that are asked for each target, told for the environment as a whole.
    fn turn_gates(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        resource: Option<&crate::state::PackedResource>,
        open: bool,
        now: Timestamp,
    ) -> Vec<GateStanding> {
        let conduct = view.conduct_at(version, resource, now);
        let track = self.state.track(version.id, view.environment.id);
        let policy_of = |rule: RuleId| {
            let policies = self.state.policies.values();
            let mut having = policies.filter(|it| it.rules.iter().any(|one| one.id == rule));
            having.next().map(|policy| policy.id)
        };
        let mut gates = Vec::new();
        let mut tell = |rule: RuleId, kind: &'static str, verdict: Verdict| {
            gates.extend(policy_of(rule).map(|policy| GateStanding {
                policy,
                rule,
                kind,
                verdict: Arc::new(verdict),
                latches: false,
                latched: false,
            }));
        };
        for (rule, rollout) in &conduct.rollouts {
            let standing = view.rollout_standing(version, *rule, rollout, now);
            let verdict = match (standing, track.and_then(|track| track.paused.as_ref())) {
                (_, Some(paused)) => {
                    let message = format!(
                        "the rollout is paused since {}: {}",
                        paused.since, paused.reason
                    );
                    let why = Reason::new("rollout_paused", message);
                    let promotion = track.and_then(|track| track.promotion);
                    let promotion = promotion.and_then(|id| self.state.promotions.get(&id));
                    // One that has ended cannot be resumed.
                    let why = match promotion.is_some_and(|it| it.status.is_open()) {
                        true => why
                            .opens("the rollout is resumed")
                            .who("whoever may deploy there"),
                        false => why
                            .opens("a newer version is created: its promotion has ended")
                            .who("whoever may create versions"),
                    };
                    Verdict::Deny { why }
                }
                (None, None) if open => Verdict::allow(
                    version.created_at,
                    Reason::new("rollout_not_begun", "it begins with the first target"),
                ),
                (None, None) => Verdict::Wait {
                    until: None,
                    why: Reason::new(
                        "rollout_not_begun",
                        "it begins when the gates before it are open",
                    )
                    .opens("the other gates open")
                    .action(Action::Wait),
                },
                (Some(standing), None) => {
                    let count = format!(
                        "{} of {} targets are released",
                        standing.due, standing.total
                    );
                    match standing.place {
                        Place::Due => Verdict::allow(
                            track
                                .and_then(|track| track.rollouts.get(rule))
                                .map_or(version.created_at, |it| it.started_at),
                            Reason::new("rolled_out", count),
                        ),
                        Place::Later { until, message } => Verdict::Wait {
                            until,
                            why: Reason::new("rolling_out", format!("{count}; next: {message}"))
                                .opens("the next target is due")
                                .action(Action::Wait),
                        },
                    }
                }
            };
            tell(*rule, "gradualRollout", verdict);
        }
        gates.extend(self.by_target(view, version, &conduct, now));
        if conduct.concurrencies.is_empty() {
            return gates;
        }
        let mut tell = |rule: RuleId, kind: &'static str, verdict: Verdict| {
            gates.extend(policy_of(rule).map(|policy| GateStanding {
                policy,
                rule,
                kind,
                verdict: Arc::new(verdict),
                latches: false,
                latched: false,
            }));
        };
        let mut turns = Turns::new(view, now);
        for (rule, concurrency) in &conduct.concurrencies {
            let only = Conduct {
                concurrencies: vec![(*rule, *concurrency)],
                ..Conduct::default()
            };
            let lane = self.state.lane(view.key);
            let waiting = lane.into_iter().flat_map(|lane| &lane.targets);
            let waiting = waiting.filter(|(_, target)| {
                target.active().is_none()
                    && !target.leaving()
                    && target.floor() < Some(version.order())
            });
            let full = waiting
                .map(|(resource, _)| *resource)
                .find_map(|resource| turns.wait_of(version, &only, resource));
            let verdict = match full {
                None => Verdict::allow(
                    version.created_at,
                    Reason::new("slot_free", "no target waits for its turn"),
                ),
                Some((_, message)) => Verdict::Wait {
                    until: None,
                    why: Reason::new("slots_taken", message)
                        .opens("what runs on one of them ends")
                        .action(Action::Wait),
                },
            };
            tell(*rule, "concurrency", verdict);
        }
        gates
    }

    /// Rules that look at what a target has, each by the target that it stops longest; of targets that do not have
    /// the version.
    fn by_target(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        conduct: &Conduct<'_>,
        now: Timestamp,
    ) -> Vec<GateStanding> {
        let mut worst: BTreeMap<RuleId, GateStanding> = BTreeMap::new();
        if !conduct.asks_targets() {
            return Vec::new();
        }
        let targets = self
            .state
            .lane(view.key)
            .into_iter()
            .flat_map(|it| &it.targets);
        let waiting = targets.filter(|(_, it)| !it.leaving() && it.floor() < Some(version.order()));
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Allow { why, .. } if why.code == "skipped" => (0, None),
            Verdict::Allow { .. } => (1, None),
            Verdict::Wait { until, .. } => (2, *until),
            Verdict::Deny { .. } => (3, None),
        };
        for (resource, _) in waiting {
            for gate in view.target_gates(conduct, version, *resource, now) {
                let known = worst.get(&gate.rule);
                if known.is_none_or(|known| rank(&known.verdict) < rank(&gate.verdict)) {
                    worst.insert(gate.rule, gate);
                }
            }
        }
        worst.into_values().collect()
    }

    fn targets(
        &self,
        view: &LaneView<'_>,
        version: &Version,
        resources: impl Iterator<Item = ResourceId>,
        now: Timestamp,
    ) -> Vec<TargetStanding> {
        let Some(lane) = self.state.lane(view.key) else {
            return Vec::new();
        };
        let mut turns = Turns::new(view, now);
        let mut standings = Vec::new();
        for resource in resources {
            let Some(target) = lane.targets.get(&resource) else {
                continue;
            };
            let resource = &resource;
            let mut standing = self.target_standing(lane, *resource, target, version, now);
            let may_come = matches!(
                standing.state,
                TargetState::Waiting | TargetState::Blocked | TargetState::Busy
            );
            if may_come {
                let stored = self.state.resource(*resource).map(|it| &**it);
                let conduct = view.conduct_at(version, stored, now);
                let gates = view.target_gates(&conduct, version, *resource, now);
                let track = self.track_of(view, version);
                let named = gates.iter().cloned().map(|it| self.named(it, track));
                standing.gates = named.collect();
                if standing.state == TargetState::Waiting && standing.reason.is_empty() {
                    let shut = gates.iter().find(|gate| !gate.verdict.is_allowed());
                    standing.reason = match shut {
                        Some(gate) => gate.verdict.why().message.clone(),
                        None => turns
                            .wait_of(version, &conduct, *resource)
                            .map_or_else(String::new, |(_, message)| message),
                    };
                }
            }
            if let Some(holds) =
                self.held_back(view, lane, version, *resource, target, now, &mut turns)
            {
                standing.reason = format!("{}, held back: {holds}", standing.reason);
            }
            standings.push(standing);
        }
        standings
    }

    /// What stands on a target apart from jobs: an order, a retry, a hold.
    fn departure(
        &self,
        lane: &Lane,
        resource: ResourceId,
        target: TargetView<'_>,
        version: &Version,
    ) -> Option<(TargetState, String)> {
        let tag = |id: VersionId| {
            let version = self.state.versions.get(&id);
            version.map_or("", |it| it.tag.as_str())
        };
        if let Some(order) = lane.orders.get(&resource) {
            let blocked = target.block();
            let blocked = blocked.map_or_else(String::new, |it| format!("; {}", it.message));
            let message = format!("it {}{blocked}", self.ordered(order));
            let state = if order.version == version.id {
                TargetState::Waiting
            } else {
                TargetState::Busy
            };
            return Some((state, message));
        }
        if let Some(retry) = lane.retries.get(&resource)
            && retry.version == version.id
        {
            let release = self.state.releases.get(&retry.release);
            let job = release.and_then(|it| self.state.jobs.get(&it.job));
            let failed = job.map_or_else(String::new, |job| match job.message.as_str() {
                "" => format!("attempt {} ended {}; ", job.attempt, job.status),
                why => format!("attempt {} ended {}: {why}; ", job.attempt, job.status),
            });
            let message = format!("{failed}attempt {} starts at {}", retry.attempt, retry.at);
            return Some((TargetState::Retrying, message));
        }
        let held = lane.held.get(&resource)?;
        (target.floor() >= Some(version.order()) && target.latest_order() != Some(version.order()))
            .then(|| {
                let message = format!(
                    "it was rolled back from {} and takes only what is newer{}",
                    tag(held.from),
                    match held.reason.as_str() {
                        "" => String::new(),
                        reason => format!(": {reason}"),
                    }
                );
                (TargetState::Held, message)
            })
    }

    fn target_standing(
        &self,
        lane: &Lane,
        resource: ResourceId,
        target: TargetView<'_>,
        version: &Version,
        now: Timestamp,
    ) -> TargetStanding {
        let current = self.state.current(target);
        let latest = self.state.latest(target);
        let active = target.active().and_then(|id| self.state.jobs.get(&id));
        let (state, mut reason) = if let Some(job) = active {
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
        } else if let Some(departure) = self.departure(lane, resource, target, version) {
            departure
        } else if target.latest_order() == Some(version.order())
            && target.floor() >= target.latest_order()
        {
            match current
                .filter(|it| it.version == version.id && target.latest() == target.current())
            {
                // Where it could have been rolled back, it would have an order by now.
                Some(_) if version.status == VersionStatus::Rejected => (
                    TargetState::Succeeded,
                    "it was rejected and stays: there is nothing good to go back to".to_owned(),
                ),
                Some(_) => (TargetState::Succeeded, String::new()),
                None => (
                    TargetState::Failed,
                    latest
                        .and_then(|it| self.state.releases.get(&it.id))
                        .map_or_else(String::new, |it| it.reason.clone()),
                ),
            }
        } else if target.latest_order() > Some(version.order()) {
            let tag = latest
                .and_then(|it| self.state.versions.get(&it.version))
                .map_or("", |it| it.tag.as_str());
            (TargetState::Newer, format!("it has {tag}"))
        } else if let Some(block) = target.block().filter(|block| block.version == version.id) {
            (TargetState::Blocked, block.message.clone())
        } else {
            (TargetState::Waiting, String::new())
        };
        if let (Some(_), Some(order)) = (active, lane.orders.get(&resource)) {
            reason = format!("{reason}; then it {}", self.ordered(order));
        }
        TargetStanding {
            resource,
            current: target.deployed(),
            latest: latest.map(|it| it.version),
            job: target.active().or(latest.map(|it| it.job)),
            kind: latest.map(|it| it.kind),
            state,
            reason,
            gates: Vec::new(),
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

/// When it can start at the earliest, where nothing but time is missing.
fn earliest(stopped: Option<&Reason>, closed: &[&Gate]) -> Option<Timestamp> {
    let by_time = |gate: &&Gate| matches!(&gate.verdict, Verdict::Wait { until: Some(_), why } if why.action != Action::Approval);
    if stopped.is_some() || !closed.iter().all(by_time) {
        return None;
    }
    let opens = closed.iter().filter_map(|gate| gate.verdict.changes_at());
    opens.max()
}

fn summary(
    view: &LaneView<'_>,
    version: &Version,
    promotion: Option<&Promotion>,
    stopped: Option<&Reason>,
    closed: &[&Gate],
    tally: &Tally,
) -> String {
    let (tag, place) = (&version.tag, &view.environment.name);
    let name = &view.deployment.name;
    let all = |state: TargetState| tally.all(&[state]);
    let any = |state: TargetState| tally.sample(state);
    if tally.total() == 0 {
        return format!(
            "{name} has no release targets in {place}: no resource is matched by both selectors"
        );
    }
    if let Some(target) = any(TargetState::Succeeded)
        && version.status == VersionStatus::Rejected
    {
        return format!("{tag} still runs in {place}: {}", target.reason);
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
    match tally.of(TargetState::Failed) {
        0 => format!("{tag} may enter {place}"),
        failed => format!(
            "{tag} failed on {failed} of {} targets in {place}",
            tally.total()
        ),
    }
}
