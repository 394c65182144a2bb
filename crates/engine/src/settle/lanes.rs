//! What a lane should do: which version each target should have, which promotions are open, what starts now.

use super::applicable::LaneView;
use super::plan::{Asked, GateStanding};
use super::{Class, Turn};
use crate::engine::Engine;
use crate::rules::Verdict;
use crate::state::{LaneKey, Promotion, State, Target};
use stagegate_model::{
    Block, Fact, GateRecord, GateState, JobAgentId, JobId, Json, NewJob, PromotionId,
    PromotionStatus, ReleaseId, ResourceId, RuleId, Timestamp, VerificationTrigger, Version,
    VersionId, VersionOrder, VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What looking at a lane found; nothing is written while looking.
#[derive(Default)]
struct Outlook {
    /// Candidates that were looked at, newest first, with their gates over all classes.
    looked_at: Vec<(Arc<Version>, BTreeMap<RuleId, GateStanding>)>,
    /// Per desired version: the targets that should be brought to it now.
    starts: BTreeMap<VersionId, Start>,
    /// Every version that is desired by some target.
    desired: BTreeSet<VersionId>,
    next_at: Option<Timestamp>,
}

struct Start {
    version: Arc<Version>,
    resources: Vec<ResourceId>,
    /// The rules that latch with a job for a resource, from this index of `resources` on; classes follow each other.
    latches: Vec<(usize, Vec<RuleId>)>,
}

impl Turn<'_> {
    /// Decides one dirty lane. Gives whether there was one.
    pub(super) fn settle_lane(&mut self) -> bool {
        let Some(key) = self.engine.state.dirty.lanes.pop_first() else {
            return false;
        };
        let now = self.state().head.time;
        let outlook = look(self.engine, key, now);
        self.open_promotions(key, &outlook);
        self.record_gates(key, &outlook);
        self.start_jobs(key, &outlook, now);
        self.clear_blocks(key, &outlook);
        self.move_promotions(key, &outlook);
        if let Some(lane) = self.engine.state.lanes.get_mut(&key) {
            lane.next_at = outlook.next_at;
        }
        true
    }

    /// A version's promotion opens when it is first a candidate; again when, after its end, it starts anew or waits
    /// anew (set to ready again, or let through since the newer one was rejected), so that nothing waits unseen.
    fn open_promotions(&mut self, key: LaneKey, outlook: &Outlook) {
        for (version, _) in &outlook.looked_at {
            let track = self.state().track(version.id, key.environment);
            let (previous, attempts) =
                track.map_or((None, 0), |track| (track.promotion, track.attempts));
            let open = previous
                .and_then(|id| self.state().promotions.get(&id))
                .is_some_and(|it| it.status.is_open());
            let starts = outlook.starts.contains_key(&version.id);
            let anew = starts || waits(self.state(), key, version, outlook);
            if previous.is_none() || (anew && !open) {
                let id = self.new_id().into();
                let (version, environment, attempt) = (version.id, key.environment, attempts + 1);
                self.push(Fact::PromotionOpened {
                    id,
                    version,
                    environment,
                    attempt,
                    previous,
                });
                if previous.is_some() {
                    self.touch_others(key);
                }
            }
        }
    }

    /// A dependant may be waiting for just what happened to a promotion here.
    fn touch_others(&mut self, key: LaneKey) {
        let lanes = self.state().lanes.keys();
        let others = lanes.filter(|other| other.deployment == key.deployment && **other != key);
        let others: Vec<_> = others.copied().collect();
        self.engine.state.dirty.lanes.extend(others);
    }

    /// Records each gate whose standing changed in kind.
    fn record_gates(&mut self, key: LaneKey, outlook: &Outlook) {
        for (version, gates) in &outlook.looked_at {
            let Some(track) = self.state().track(version.id, key.environment) else {
                continue;
            };
            let Some(promotion) = track.promotion else {
                continue;
            };
            let open = self
                .state()
                .promotions
                .get(&promotion)
                .is_some_and(|it| it.status.is_open());
            if !open {
                continue;
            }
            let mut changed: Vec<GateRecord> = Vec::new();
            for gate in gates.values() {
                let record = record(gate);
                if track
                    .gates
                    .get(&gate.rule)
                    .is_none_or(|known| differs(known, &record))
                {
                    changed.push(record);
                }
            }
            // A rule that has latched may hold for targets that have gone past the version and are not looked at.
            for (rule, known) in &track.gates {
                if !gates.contains_key(rule) && !track.latched.contains_key(rule) {
                    changed.push(GateRecord {
                        state: GateState::Gone,
                        code: "not_applicable".to_owned(),
                        message: "its policy no longer applies".to_owned(),
                        satisfied_at: None,
                        until: None,
                        ..known.clone()
                    });
                }
            }
            for gate in changed {
                self.push(Fact::GateChanged { promotion, gate });
            }
        }
    }

    fn start_jobs(&mut self, key: LaneKey, outlook: &Outlook, now: Timestamp) {
        for start in outlook.starts.values() {
            let Some(promotion) = self
                .state()
                .track(start.version.id, key.environment)
                .and_then(|it| it.promotion)
            else {
                continue;
            };
            let ids: Vec<(JobId, ReleaseId)> = start
                .resources
                .iter()
                .map(|_| (self.new_id().into(), self.new_id().into()))
                .collect();
            let Some(view) = LaneView::new(self.engine, key) else {
                continue;
            };
            let measured_at_once = view.may_want(VerificationTrigger::JobCreated);
            let mut jobs: BTreeMap<JobAgentId, Vec<NewJob>> = BTreeMap::new();
            let mut blocked = Vec::new();
            let (mut budget, mut bytes_left) = (self.budget, self.bytes_left);
            let mut more = false;
            // Only what really starts latches anything: a class whose targets are all blocked does not.
            let mut latches: BTreeSet<RuleId> = BTreeSet::new();
            let mut classes = start.latches.iter().peekable();
            let mut class: &[RuleId] = &[];
            let mut unlatched = false;
            for (index, (resource, (job, release))) in
                start.resources.iter().copied().zip(ids).enumerate()
            {
                while let Some((_, rules)) = classes.next_if(|(from, _)| *from <= index) {
                    (class, unlatched) = (rules, true);
                }
                // What does not fit into this entry stays dirty.
                if budget == 0 || bytes_left == 0 {
                    more = true;
                    break;
                }
                match prepare(&view, &start.version, resource, promotion, release) {
                    Ok((agent, number, config)) => {
                        budget -= 1;
                        bytes_left = bytes_left.saturating_sub(config.to_string().len());
                        let new = NewJob {
                            job,
                            release,
                            number,
                            resource,
                            attempt: 1,
                            config,
                        };
                        jobs.entry(agent).or_default().push(new);
                        if std::mem::take(&mut unlatched) {
                            latches.extend(class);
                        }
                    }
                    Err(block) => {
                        let known = self
                            .state()
                            .lane(key)
                            .and_then(|lane| lane.targets.get(&resource));
                        // A known block costs nothing: many of them must not keep the rest from its turn.
                        if known.is_some_and(|known| known.block.as_ref() != Some(&block)) {
                            budget -= 1;
                            blocked.push(Fact::TargetBlocked {
                                target: key.target(resource),
                                block: Some(block),
                            });
                        }
                    }
                }
            }
            // An entry that is full takes nothing more.
            self.budget = if bytes_left == 0 { 0 } else { budget };
            self.bytes_left = bytes_left;
            if more {
                self.engine.state.dirty.lanes.insert(key);
            }
            for fact in blocked {
                self.push(fact);
            }
            for (agent, jobs) in jobs {
                let ids: Vec<_> = jobs.iter().map(|job| job.job).collect();
                self.push(Fact::JobsCreated {
                    promotion,
                    version: start.version.id,
                    environment: key.environment,
                    agent,
                    latches: latches.iter().copied().collect(),
                    limits: self
                        .state()
                        .job_limits(agent, key.deployment, start.version.id),
                    jobs,
                });
                for job in ids.into_iter().filter(|_| measured_at_once) {
                    self.start_verification(job, VerificationTrigger::JobCreated, now);
                }
            }
        }
    }

    /// Takes back what was said of targets that are no longer to start that version.
    fn clear_blocks(&mut self, key: LaneKey, outlook: &Outlook) {
        let targets = || {
            self.state()
                .lane(key)
                .into_iter()
                .flat_map(|it| &it.targets)
        };
        if targets().all(|(_, target)| target.block.is_none()) {
            return;
        }
        let mut wanted: BTreeSet<(ResourceId, VersionId)> = BTreeSet::new();
        for (version, start) in &outlook.starts {
            wanted.extend(start.resources.iter().map(|id| (*id, *version)));
        }
        let stale = targets().filter(|(id, target)| {
            let block = target.block.as_ref();
            block.is_some_and(|block| !wanted.contains(&(**id, block.version)))
        });
        let stale: Vec<ResourceId> = stale.map(|(id, _)| *id).collect();
        for resource in stale {
            let target = key.target(resource);
            self.push(Fact::TargetBlocked {
                target,
                block: None,
            });
        }
    }

    /// Moves the lane's open promotions on, and ends those that have come to their end.
    fn move_promotions(&mut self, key: LaneKey, outlook: &Outlook) {
        let Some(lane) = self.state().lane(key) else {
            return;
        };
        let open: Vec<_> = lane.open.iter().copied().collect();
        for id in open {
            match next_status(self.state(), key, id, outlook) {
                Some(Next::Move(status)) => self.push(Fact::PromotionMoved { id, status }),
                Some(Next::End { status, reason, by }) => {
                    self.push(Fact::PromotionEnded {
                        id,
                        status,
                        reason,
                        by,
                    });
                    self.touch_others(key);
                }
                None => {}
            }
        }
    }
}

/// Looks at a lane: what each class of targets should have.
fn look(engine: &Engine, key: LaneKey, now: Timestamp) -> Outlook {
    let mut outlook = Outlook::default();
    let Some(view) = LaneView::new(engine, key) else {
        return outlook;
    };
    let mut asked = Asked::new();
    let mut looked_at: BTreeMap<VersionOrder, (Arc<Version>, BTreeMap<RuleId, GateStanding>)> =
        BTreeMap::new();
    for class in view.classes() {
        look_at_class(&view, &class, now, &mut asked, &mut looked_at, &mut outlook);
    }
    let gates = looked_at.values().flat_map(|(_, gates)| gates.values());
    outlook.next_at = gates
        .filter_map(|gate| gate.verdict.changes_at())
        .filter(|at| *at > now)
        .min();
    outlook.looked_at = looked_at.into_values().rev().collect();
    outlook
}

fn look_at_class(
    view: &LaneView<'_>,
    class: &Class,
    now: Timestamp,
    asked: &mut Asked,
    looked_at: &mut BTreeMap<VersionOrder, (Arc<Version>, BTreeMap<RuleId, GateStanding>)>,
    outlook: &mut Outlook,
) {
    let state = &view.engine.state;
    let Some(lane) = state.lane(view.key) else {
        return;
    };
    // Nothing moves backwards: what is not newer than the oldest target's latest is no candidate here.
    let listed = class.resources.as_deref();
    let floor = match listed {
        None => lane.by_latest.keys().next().copied(),
        Some(resources) => {
            let targets = resources.iter().filter_map(|id| lane.targets.get(id));
            targets.map(|target| target.latest_order).min()
        }
    };
    let Some(floor) = floor else {
        return;
    };
    for version in state.versions_of(view.key.deployment) {
        if Some(version.order()) <= floor {
            break;
        }
        if version.status != VersionStatus::Ready {
            continue;
        }
        let gates = view.gates(version, class.representative.as_deref(), now, asked);
        let allowed =
            view.stopped(version).is_none() && gates.iter().all(|gate| gate.verdict.is_allowed());
        let entry = looked_at
            .entry(version.order())
            .or_insert_with(|| (Arc::clone(version), BTreeMap::new()));
        entry
            .1
            .extend(gates.iter().map(|gate| (gate.rule, gate.clone())));
        if !allowed {
            continue;
        }
        outlook.desired.insert(version.id);
        let order = version.order();
        let startable = |target: &Target| {
            target.active.is_none() && !target.leaving && target.latest_order < Some(order)
        };
        let free: Vec<ResourceId> = match listed {
            None if lane.behind(order) == 0 => Vec::new(),
            None => {
                let targets = lane.targets.iter();
                targets
                    .filter(|(_, target)| startable(target))
                    .map(|(id, _)| *id)
                    .collect()
            }
            Some(resources) => {
                let resources = resources.iter().copied();
                resources
                    .filter(|id| lane.targets.get(id).is_some_and(startable))
                    .collect()
            }
        };
        if !free.is_empty() {
            let start = outlook.starts.entry(version.id).or_insert_with(|| Start {
                version: Arc::clone(version),
                resources: Vec::new(),
                latches: Vec::new(),
            });
            let latching = gates.iter().filter(|gate| gate.latches);
            let latching = latching.map(|gate| gate.rule).collect();
            start.latches.push((start.resources.len(), latching));
            start.resources.extend(free);
        }
        break;
    }
}

/// Chooses the agent, numbers the release and renders the configuration for one target; also renders what would be
/// measured after it, so that nothing is deployed that could not be verified.
fn prepare(
    view: &LaneView<'_>,
    version: &Version,
    resource: ResourceId,
    promotion: PromotionId,
    release: ReleaseId,
) -> Result<(JobAgentId, u64, Json), Block> {
    let block = |code: &str, message: String| Block {
        version: version.id,
        code: code.to_owned(),
        message,
    };
    let lane = view.engine.state.lane(view.key);
    let number = lane
        .and_then(|lane| lane.targets.get(&resource))
        .map_or(0, |it| it.number)
        + 1;
    let agent = view
        .choose_agent()
        .map_err(|message| block("no_job_agent", message))?;
    let config = view.render_config(&agent, version, resource, promotion, release, number);
    let config = config.map_err(|message| block("template_unresolvable", message))?;
    view.plan_metrics(version, resource, promotion, release, number, None)
        .map_err(|message| {
            block(
                "template_unresolvable",
                format!("its verification could not be measured: {message}"),
            )
        })?;
    Ok((agent.id, number, config))
}

fn record(gate: &GateStanding) -> GateRecord {
    let (state, satisfied_at, until) = match &gate.verdict {
        Verdict::Allow { satisfied_at, .. } => (GateState::Allow, Some(*satisfied_at), None),
        Verdict::Wait { until, .. } => (GateState::Wait, None, *until),
        Verdict::Deny { .. } => (GateState::Deny, None, None),
    };
    let why = gate.verdict.why();
    GateRecord {
        policy: gate.policy,
        rule: gate.rule,
        kind: gate.kind.to_owned(),
        state,
        code: why.code.to_owned(),
        message: why.message.clone(),
        satisfied_at,
        until,
    }
}

/// Whether a gate stands differently in kind. Its message may count things; that alone is no news.
fn differs(a: &GateRecord, b: &GateRecord) -> bool {
    (a.state, &a.code, a.satisfied_at, a.until) != (b.state, &b.code, b.satisfied_at, b.until)
}

enum Next {
    Move(PromotionStatus),
    End {
        status: PromotionStatus,
        reason: String,
        by: Option<VersionId>,
    },
}

fn next_status(state: &State, key: LaneKey, id: PromotionId, outlook: &Outlook) -> Option<Next> {
    let promotion: &Promotion = state.promotions.get(&id)?;
    let version = state.versions.get(&promotion.version)?;
    let lane = state.lane(key)?;
    let end = |status, reason: &str, by| {
        Some(Next::End {
            status,
            reason: reason.to_owned(),
            by,
        })
    };
    let moved = |status| (promotion.status != status).then_some(Next::Move(status));
    if promotion.running > 0 {
        return moved(PromotionStatus::Deploying);
    }
    if promotion.verifying > 0 {
        return moved(PromotionStatus::Verifying);
    }
    let behind = lane.behind(version.order());
    if promotion.started() && behind == 0 {
        return if promotion.failed > 0 {
            end(PromotionStatus::Failed, &failures(promotion), None)
        } else if promotion.cancelled == 0 {
            end(PromotionStatus::Succeeded, "every target succeeded", None)
        } else if promotion.succeeded == 0 {
            end(PromotionStatus::Cancelled, "its jobs were cancelled", None)
        } else {
            let (cancelled, all) = (
                promotion.cancelled,
                promotion.cancelled + promotion.succeeded,
            );
            let reason = format!("the jobs of {cancelled} of {all} targets were cancelled");
            end(PromotionStatus::Failed, &reason, None)
        };
    }
    match version.status {
        VersionStatus::Rejected => {
            return end(PromotionStatus::Rejected, "the version was rejected", None);
        }
        VersionStatus::Failed => {
            return end(
                PromotionStatus::Cancelled,
                "the version's build failed",
                None,
            );
        }
        _ => {}
    }
    if promotion.started() && failed_here(state, key, version) {
        return end(PromotionStatus::Failed, &failures(promotion), None);
    }
    // One that other targets should have now does not wait.
    let newer =
        newest_desired(state, outlook).filter(|_| !outlook.desired.contains(&promotion.version));
    if let Some(newer) = newer.filter(|newer| newer.order() > version.order()) {
        return end(
            PromotionStatus::Superseded,
            &format!("{} took its place", newer.tag),
            Some(newer.id),
        );
    }
    let overtaken = !promotion.started() && behind == 0 && !lane.targets.is_empty();
    if overtaken {
        let newest = lane.by_latest.keys().flatten().max().map(|order| order.1);
        return match newest.filter(|newest| *newest != version.id) {
            Some(newest) => end(
                PromotionStatus::Superseded,
                "every target already has a newer version",
                Some(newest),
            ),
            None => end(
                PromotionStatus::Cancelled,
                "no target is left that needs it",
                None,
            ),
        };
    }
    None
}

fn newest_desired<'s>(state: &'s State, outlook: &Outlook) -> Option<&'s Arc<Version>> {
    let desired = outlook.desired.iter();
    desired
        .filter_map(|id| state.versions.get(id))
        .max_by_key(|it| it.order())
}

fn failed_here(state: &State, key: LaneKey, version: &Version) -> bool {
    state
        .track(version.id, key.environment)
        .is_some_and(|track| track.failed_verifications > 0)
}

/// Whether some target could still be brought to the version, and neither a failure nor a newer one, wanted or already
/// there, stands in its way.
fn waits(state: &State, key: LaneKey, version: &Version, outlook: &Outlook) -> bool {
    let behind = state
        .lane(key)
        .is_some_and(|lane| lane.behind(version.order()) > 0);
    let there = state.lane(key).into_iter().flat_map(|it| &it.by_latest);
    let there = there.filter_map(|(order, _)| state.versions.get(&order.as_ref()?.1));
    let well =
        |it: &&Arc<Version>| it.status != VersionStatus::Rejected && !failed_here(state, key, it);
    let newest = there.filter(well).chain(newest_desired(state, outlook));
    behind
        && !failed_here(state, key, version)
        && newest
            .map(|newest| newest.order())
            .all(|newest| newest <= version.order())
}

fn failures(promotion: &Promotion) -> String {
    let ended = promotion.failed + promotion.succeeded + promotion.cancelled;
    format!("{} of {ended} targets failed", promotion.failed)
}
