//! Stagegate broken on purpose: the auditor must notice each of these.

use stagegate_engine::{LaneKey, Promotion, State};
use stagegate_model::*;
use stagegate_sim::{Saboteur, Step, Tampering, plan, run_steps, shrink};

/// Within so many seeds a mutant must be caught; most are in the first few.
const SEEDS_MAX: u64 = 2_000;
const STEPS: usize = 40;

/// Runs seeds with a mutant until one fails; it must be for one of the `rules`. Says after how many, and gives that.
fn caught<S: Saboteur>(rules: &[&str], mutant: impl Fn() -> S) -> u64 {
    for seed in 1..=SEEDS_MAX {
        let run = run_steps(seed, &plan::draw(seed, STEPS), &mut mutant(), false);
        if let Some(violation) = run.violation {
            assert!(
                rules.contains(&violation.rule),
                "seed {seed}: caught as {violation}"
            );
            println!("caught by seed {seed} as {violation}");
            return seed;
        }
    }
    panic!("{SEEDS_MAX} seeds did not catch it");
}

/// Changes the facts of entries.
struct Facts(fn(&State, EntryId, &mut Vec<Fact>) -> bool);

impl Saboteur for Facts {
    fn tamper(&mut self, state: &State, entry: &mut Entry) -> Tampering {
        if (self.0)(state, entry.id, &mut entry.facts) {
            Tampering::Changed
        } else {
            Tampering::None
        }
    }
}

#[test]
fn a_gate_that_is_ignored() {
    caught(&["gates"], || {
        Facts(|state, entry, facts| {
            let waits = facts.iter().find_map(|fact| match fact {
                Fact::GateChanged { promotion, gate } if gate.state == GateState::Wait => {
                    Some(*promotion)
                }
                _ => None,
            });
            let Some(promotion) = waits.and_then(|id| state.promotions().get(&id)) else {
                return false;
            };
            let Some(version) = state.versions().get(&promotion.version) else {
                return false;
            };
            let key = LaneKey {
                deployment: promotion.deployment,
                environment: promotion.environment,
            };
            let free = state.lane(key).into_iter().flat_map(|lane| &lane.targets);
            let mut free = free.filter(|(_, target)| {
                target.active().is_none()
                    && !target.leaving()
                    && target.latest_order() < Some(version.order())
            });
            let (Some((resource, target)), Some(agent)) =
                (free.next(), state.agents().keys().next())
            else {
                return false;
            };
            facts.push(Fact::JobsCreated {
                limits: Default::default(),
                promotion: promotion.id,
                version: version.id,
                environment: promotion.environment,
                agent: *agent,
                latches: Vec::new(),
                kind: stagegate_model::StartKind::Forward,
                jobs: vec![NewJob {
                    job: derive_id(entry, 1_000_001).into(),
                    release: derive_id(entry, 1_000_002).into(),
                    number: target.number() + 1,
                    resource: *resource,
                    attempt: 1,
                    config: Json::Null.into(),
                    variables: Default::default(),
                    rollback_of: None,
                }],
            });
            true
        })
    });
}

/// A job of a promotion on a free target that it `takes` and that nothing but gates keeps it from.
fn started_all_the_same(
    state: &State,
    entry: EntryId,
    promotion: &Promotion,
    takes: impl Fn(&Version, ResourceId) -> bool,
) -> Option<Fact> {
    let version = state.versions().get(&promotion.version)?;
    let key = LaneKey {
        deployment: promotion.deployment,
        environment: promotion.environment,
    };
    // What a release is told is another matter.
    let mut told = state.variables().of_deployment(promotion.deployment);
    if told.next().is_some() {
        return None;
    }
    let lane = state.lane(key)?;
    let mut targets = lane.targets.iter();
    let (resource, target) = targets.find(|(resource, target)| {
        let free = target.active().is_none() && !target.leaving();
        let asked = lane.orders.contains_key(resource)
            || lane.retries.contains_key(resource)
            || lane.held.contains_key(resource);
        free && !asked && target.floor() < Some(version.order()) && takes(version, **resource)
    })?;
    Some(Fact::JobsCreated {
        limits: Default::default(),
        promotion: promotion.id,
        version: version.id,
        environment: promotion.environment,
        agent: *state.agents().keys().next()?,
        latches: Vec::new(),
        kind: StartKind::Forward,
        jobs: vec![NewJob {
            job: derive_id(entry, 1_000_001).into(),
            release: derive_id(entry, 1_000_002).into(),
            number: target.number() + 1,
            resource: *resource,
            attempt: 1,
            config: Json::Null.into(),
            variables: Default::default(),
            rollback_of: None,
        }],
    })
}

#[test]
fn a_skip_that_is_honoured_after_its_end() {
    caught(&["gates"], || {
        Facts(|state, entry, facts| {
            let now = state.head().time;
            // A gate that shuts again just as the only skip of it ends, before anything began under it.
            let shut = facts.iter().find_map(|fact| match fact {
                Fact::GateChanged { promotion, gate } if gate.state == GateState::Wait => {
                    let promotion = state.promotions().get(promotion)?;
                    let begun = state.track(promotion.version, promotion.environment)?;
                    let mut skips = state.skips().values();
                    let over = skips.any(|skip| {
                        skip.rule == gate.rule
                            && skip.resource.is_none()
                            && skip.version.is_none_or(|it| it == promotion.version)
                            && skip
                                .environment
                                .is_none_or(|it| it == promotion.environment)
                            && skip.expires_at.is_some_and(|end| end <= now)
                    });
                    (over && !begun.skipped.contains_key(&gate.rule)).then_some(promotion)
                }
                _ => None,
            });
            let started = shut.and_then(|it| started_all_the_same(state, entry, it, |_, _| true));
            let any = started.is_some();
            facts.extend(started);
            any
        })
    });
}

#[test]
fn a_dependency_that_is_ignored() {
    caught(&["dependencies"], || {
        Facts(|state, entry, facts| {
            // A promotion that only waits for what its version needs on each target.
            let opened = facts.iter().find_map(|fact| match fact {
                Fact::PromotionOpened { id, .. } => state.promotions().get(id),
                _ => None,
            });
            let Some(promotion) = opened else {
                return false;
            };
            let shut = facts.iter().any(|fact| match fact {
                Fact::GateChanged { gate, .. } => gate.state != GateState::Allow,
                Fact::JobsCreated { .. } | Fact::PromotionEnded { .. } => true,
                _ => false,
            });
            if shut {
                return false;
            }
            let lacks = |version: &Version, resource| {
                let mut needed = version.dependencies.keys();
                needed.any(|needed| {
                    let lanes = state.lanes().iter();
                    let mut lanes = lanes.filter(|(key, _)| key.deployment == *needed);
                    !lanes.any(|(_, lane)| {
                        let target = lane.targets.get(&resource);
                        target.is_some_and(|it| it.current().is_some())
                    })
                })
            };
            let started = started_all_the_same(state, entry, promotion, lacks);
            let any = started.is_some();
            facts.extend(started);
            any
        })
    });
}

/// Changes the first job of an entry that creates some.
fn first_job(facts: &mut [Fact], change: impl FnOnce(&mut Vec<NewJob>)) -> bool {
    let created = facts.iter_mut().find_map(|fact| match fact {
        Fact::JobsCreated { jobs, .. } => Some(jobs),
        _ => None,
    });
    match created {
        Some(jobs) => {
            change(jobs);
            true
        }
        None => false,
    }
}

#[test]
fn a_job_that_is_dispatched_twice() {
    caught(&["busy"], || {
        Facts(|_, entry, facts| {
            let mut twin = None;
            first_job(facts, |jobs| twin = jobs.first().cloned());
            let Some(mut twin) = twin else {
                return false;
            };
            twin.job = derive_id(entry, 1_000_001).into();
            twin.release = derive_id(entry, 1_000_002).into();
            twin.number += 1;
            let Some(mut again) = facts
                .iter()
                .find(|fact| matches!(fact, Fact::JobsCreated { .. }))
                .cloned()
            else {
                return false;
            };
            if let Fact::JobsCreated { jobs, .. } = &mut again {
                *jobs = vec![twin];
            }
            facts.push(again);
            true
        })
    });
}

#[test]
fn a_release_number_that_is_skipped() {
    caught(&["numbers"], || {
        Facts(|_, _, facts| {
            first_job(facts, |jobs| {
                jobs.iter_mut().for_each(|job| job.number += 1)
            })
        })
    });
}

#[test]
fn a_latch_that_is_lost() {
    caught(&["latches"], || {
        Facts(|_, _, facts| {
            let mut lost = false;
            for fact in facts {
                if let Fact::JobsCreated { latches, .. } = fact {
                    lost |= !latches.is_empty();
                    latches.clear();
                }
            }
            lost
        })
    });
}

#[test]
fn a_terminal_state_that_is_overwritten() {
    caught(&["terminal"], || {
        Facts(|_, _, facts| {
            let mut changed = false;
            for fact in facts {
                if let Fact::ReportIgnored { job, status, .. } = fact {
                    *fact = Fact::JobChanged {
                        exit: None,
                        links: Default::default(),
                        id: *job,
                        status: *status,
                        message: String::new(),
                        external_id: None,
                        output_tail: None,
                    };
                    changed = true;
                }
            }
            changed
        })
    });
}

#[test]
fn a_supersession_that_goes_backwards() {
    caught(&["supersession"], || {
        Facts(|state, _, facts| {
            let mut changed = false;
            for fact in facts {
                if let Fact::PromotionEnded {
                    id, by: Some(by), ..
                } = fact
                    && let Some(promotion) = state.promotions().get(id)
                    && let Some(oldest) = state.versions_of(promotion.deployment).last()
                {
                    *by = oldest.id;
                    changed = true;
                }
            }
            changed
        })
    });
}

#[test]
fn a_success_that_does_not_wait_for_its_verification() {
    caught(&["busy", "verified"], || {
        Facts(|state, _, facts| {
            let started = facts.iter().find_map(|fact| match fact {
                Fact::VerificationStarted { job, .. } => Some(*job),
                _ => None,
            });
            let Some(job) = started.and_then(|id| state.jobs().get(&id)) else {
                return false;
            };
            facts.push(Fact::ReleaseEnded {
                id: job.release,
                job: job.id,
                status: ReleaseStatus::Succeeded,
                reason: String::new(),
            });
            true
        })
    });
}

/// Writes only the first half of an entry.
struct HalfWritten;

impl Saboteur for HalfWritten {
    fn tamper(&mut self, _: &State, entry: &mut Entry) -> Tampering {
        if entry.facts.len() < 2 || entry.seq < 10 {
            return Tampering::None;
        }
        entry.facts.truncate(entry.facts.len() / 2);
        Tampering::Hidden
    }
}

#[test]
fn an_entry_that_is_half_applied() {
    caught(&["acknowledged"], || HalfWritten);
}

/// Forgets who reports.
struct Credulous;

impl Saboteur for Credulous {
    fn command(&mut self, _: &State, command: &mut Command) {
        if let Command::ReportJob(report) = command {
            report.runner = None;
        }
    }
}

#[test]
fn a_foreign_report_that_is_accepted() {
    caught(&["foreign"], || Credulous);
}

/// Takes a report for one of the present claim, whoever made it.
struct Unfenced;

impl Saboteur for Unfenced {
    fn command(&mut self, state: &State, command: &mut Command) {
        if let Command::ReportJob(report) = command
            && let Some(job) = state.jobs().get(&report.job)
            && report.epoch.is_some()
        {
            report.runner.clone_from(&job.runner);
            report.epoch = Some(job.epoch);
        }
    }
}

#[test]
fn a_stale_lease_that_is_accepted() {
    caught(&["fencing", "foreign"], || Unfenced);
}

#[test]
fn a_quarantine_that_is_ignored() {
    // What it starts may also be in the way of a release that is tried again.
    caught(&["quarantine", "retry"], || {
        Facts(|state, entry, facts| {
            let quarantined = facts.iter().find_map(|fact| match fact {
                Fact::Quarantined {
                    version,
                    environment,
                    ..
                } => Some((*version, *environment)),
                _ => None,
            });
            let Some((version, environment)) = quarantined else {
                return false;
            };
            let promotion = state
                .track(version, environment)
                .and_then(|track| track.promotion);
            let promotion = promotion.and_then(|id| state.promotions().get(&id));
            let (Some(promotion), Some(version), Some(agent)) = (
                promotion.filter(|it| it.status.is_open()),
                state.versions().get(&version),
                state.agents().keys().next(),
            ) else {
                return false;
            };
            let key = LaneKey {
                deployment: version.deployment,
                environment,
            };
            let targets = state.lane(key).into_iter().flat_map(|lane| &lane.targets);
            let behind = targets.into_iter().find(|(_, target)| {
                target.active().is_none()
                    && !target.leaving()
                    && target.floor() < Some(version.order())
            });
            let Some((resource, target)) = behind else {
                return false;
            };
            // Before anything ends the promotion.
            let at = facts
                .iter()
                .position(|fact| matches!(fact, Fact::Quarantined { .. }))
                .map_or(0, |at| at + 1);
            let started = Fact::JobsCreated {
                limits: Default::default(),
                promotion: promotion.id,
                version: version.id,
                environment,
                agent: *agent,
                latches: Vec::new(),
                kind: StartKind::Forward,
                jobs: vec![NewJob {
                    job: derive_id(entry, 1_000_001).into(),
                    release: derive_id(entry, 1_000_002).into(),
                    number: target.number() + 1,
                    resource: *resource,
                    attempt: 1,
                    config: Json::Null.into(),
                    variables: Default::default(),
                    rollback_of: None,
                }],
            };
            facts.insert(at, started);
            true
        })
    });
}

#[test]
fn a_rollback_to_what_never_succeeded() {
    caught(&["rollback"], || {
        Facts(|_, entry, facts| {
            let order = facts.iter_mut().find_map(|fact| match fact {
                Fact::TargetOrdered { order, .. } if order.kind == StartKind::Rollback => {
                    Some(order)
                }
                _ => None,
            });
            let Some(order) = order else {
                return false;
            };
            order.to = Some(derive_id(entry, 1_000_003).into());
            true
        })
    });
}

/// Sleeps through what time decides.
struct Sleeper;

impl Saboteur for Sleeper {
    fn loses_wake(&mut self) -> bool {
        true
    }
}

#[test]
fn a_wake_up_that_is_lost() {
    caught(&["waits", "stuck"], || Sleeper);
}

#[test]
fn a_run_that_fails_replays_exactly_and_shrinks() {
    let seed = caught(&["foreign"], || Credulous);
    let play = |steps: &[Step]| run_steps(seed, steps, &mut Credulous, false);
    let steps = plan::draw(seed, STEPS);
    let (first, second) = (play(&steps), play(&steps));
    assert_eq!(first.hash, second.hash);
    assert_eq!(first.violation, second.violation);
    assert_eq!(first.counts, second.counts);

    let fails = |steps: &[Step]| play(steps).violation.is_some_and(|it| it.rule == "foreign");
    let small = shrink::shrink(&steps, 200, fails);
    assert!(small.len() * 2 < steps.len(), "{} steps left", small.len());
    let (first, second) = (play(&small), play(&small));
    assert_eq!(first.violation.as_ref().map(|it| it.rule), Some("foreign"));
    assert_eq!(first.hash, second.hash);
    assert!(!first.tail.is_empty(), "its end can be shown");
}
