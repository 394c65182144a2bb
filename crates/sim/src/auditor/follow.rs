//! Following the log entry by entry, and what callers were told.

use super::Violation;
use super::holders::Said;
use super::judge;
use super::ledger::{CastVote, JobRecord, Ledger, PromotionRecord, RunRecord};
use crate::counts::Counts;
use stagegate_controller::{Committed, SubmitError};
use stagegate_model::*;
use stagegate_store::{Row, entry_hash};
use std::collections::{BTreeMap, BTreeSet};

/// What was asked of Stagegate, as far as the auditor cares.
struct Asked {
    entry: EntryId,
    name: &'static str,
    /// What was said of a job.
    said: Option<Said>,
    told: Told,
}

#[derive(PartialEq, Eq)]
enum Told {
    /// Nothing, or that nobody knows.
    Nothing,
    Done,
    /// It was refused or not written.
    NotDone,
}

/// Follows the log and judges.
#[derive(Default)]
pub struct Auditor {
    pub ledger: Ledger,
    /// What starts owed to people who set rules aside.
    pub counts: Counts,
    entries: Vec<Entry>,
    by_id: BTreeMap<EntryId, u64>,
    hash: [u8; 32],
    asked: BTreeMap<u64, Asked>,
    tickets: BTreeMap<EntryId, u64>,
    /// Entries that Stagegate makes of itself.
    own: BTreeSet<EntryId>,
    /// When runners were last answered that they hold a job, and with which epoch.
    pub(super) heard: BTreeMap<JobId, (u64, Timestamp)>,
    /// The job that the entry being followed is a report of.
    pub(super) reported: Option<JobId>,
}

pub(super) type Checked = Result<(), Violation>;

pub(super) fn require(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(rule, what()))
    }
}

impl Auditor {
    /// The entries of the log so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A command is on its way; `entry` is the id its entry would have.
    pub fn asked(&mut self, ticket: u64, entry: EntryId, command: &Command) {
        let said = Said::of(command);
        self.tickets.insert(entry, ticket);
        let told = Told::Nothing;
        let name = command.name();
        self.asked.insert(
            ticket,
            Asked {
                entry,
                name,
                said,
                told,
            },
        );
    }

    /// Stagegate goes on by itself; `entry` is the id its entry would have.
    pub fn own_entry(&mut self, entry: EntryId) {
        self.own.insert(entry);
    }

    /// A caller was told what came of it.
    ///
    /// # Errors
    /// When that is not what the log says.
    pub fn told(&mut self, ticket: u64, answer: &Result<Committed, SubmitError>) -> Checked {
        let Some(asked) = self.asked.get_mut(&ticket) else {
            return Err(Violation::new("answers", "an answer that nobody asked for"));
        };
        let at = self.by_id.get(&asked.entry).copied();
        match answer {
            Ok(committed) if committed.facts.is_empty() => {
                asked.told = Told::NotDone;
                require(at.is_none(), "acknowledged", || {
                    format!("`{}` was said to change nothing, but did", asked.name)
                })?;
                require(
                    committed.seq <= self.entries.len() as u64,
                    "acknowledged",
                    || format!("an answer of `{}` saw what is not durable", asked.name),
                )
            }
            Ok(committed) => {
                asked.told = Told::Done;
                let entry = at.and_then(|seq| self.entries.get(usize::try_from(seq).ok()? - 1));
                let same = entry.is_some_and(|entry| {
                    entry.seq == committed.seq
                        && entry.time == committed.time
                        && entry.facts[..] == committed.facts[..]
                });
                require(same, "acknowledged", || {
                    format!(
                        "`{}` was acknowledged as entry {}, but the log does not have it so",
                        asked.name, committed.seq
                    )
                })
            }
            Err(SubmitError::Unavailable { code, .. }) if *code == "storage_unknown" => Ok(()),
            Err(error) => {
                asked.told = Told::NotDone;
                require(at.is_none(), "refused", || {
                    format!(
                        "`{}` was said to be refused ({error}), but is in the log",
                        asked.name
                    )
                })
            }
        }
    }

    /// Follows one row of the log.
    ///
    /// # Errors
    /// The first thing in it that must not be.
    pub fn follow(&mut self, row: &Row) -> Checked {
        let rule = "chain";
        require(row.prev_hash == self.hash, rule, || {
            format!("entry {} does not follow the one before it", row.seq)
        })?;
        require(
            row.hash == entry_hash(&row.prev_hash, &row.body),
            rule,
            || format!("entry {} has another hash", row.seq),
        )?;
        let entry = Entry::from_bytes(&row.body)
            .map_err(|error| Violation::new(rule, format!("entry {}: {error}", row.seq)))?;
        let expected = self.entries.len() as u64 + 1;
        require(
            entry.seq == expected && row.seq == expected && entry.id == row.id,
            rule,
            || format!("entry {expected} says it is {}", entry.seq),
        )?;
        require(entry.time >= self.ledger.now, rule, || {
            format!("entry {expected} is earlier than the one before it")
        })?;
        self.hash = row.hash;
        self.ledger.now = entry.time;
        self.ledger.seq = entry.seq;
        self.check_cause(&entry)?;
        for fact in &entry.facts {
            self.fact(fact)
                .map_err(|it| Violation::new(it.rule, format!("entry {expected}: {}", it.what)))?;
        }
        self.by_id.insert(entry.id, entry.seq);
        self.entries.push(entry);
        Ok(())
    }

    fn check_cause(&mut self, entry: &Entry) -> Checked {
        self.reported = None;
        let Some(asked) = self
            .tickets
            .get(&entry.id)
            .and_then(|ticket| self.asked.get(ticket))
        else {
            return require(self.own.contains(&entry.id), "refused", || {
                format!("entry {} was caused by nothing", entry.seq)
            });
        };
        require(asked.told != Told::NotDone, "refused", || {
            format!("entry {} is of a command that was refused", entry.seq)
        })?;
        let Some(said) = &asked.said else {
            return Ok(());
        };
        self.reported = (asked.name == "reportJob").then_some(said.job);
        match self.ledger.jobs.get(&said.job) {
            Some(job) => said.check(job, asked.name == "claimJob", &entry.facts),
            None => Ok(()),
        }
    }

    fn fact(&mut self, fact: &Fact) -> Checked {
        let ledger = &mut self.ledger;
        let now = ledger.now;
        match fact {
            Fact::VersionCreated { version } => {
                require(version.created_at <= now, "version", || {
                    format!("{} was created in the future", version.tag)
                })?;
                ledger.versions.insert(version.id, version.clone());
                Ok(())
            }
            Fact::VersionChanged {
                id,
                tag,
                dependencies,
                status,
                metadata,
                digest,
                ..
            } => {
                let frozen = ledger.frozen.contains(id);
                let Some(version) = ledger.versions.get_mut(id) else {
                    return Err(Violation::new("version", "an unknown version changed"));
                };
                require(!frozen || *digest == version.digest, "version", || {
                    format!("the content of {} changed though it is frozen", version.tag)
                })?;
                version.digest = *digest;
                if let Some(dependencies) = dependencies {
                    version.dependencies.clone_from(dependencies);
                }
                if let Some(tag) = tag {
                    version.tag.clone_from(tag);
                }
                version.status = status.unwrap_or(version.status);
                if let Some(metadata) = metadata {
                    version.metadata.clone_from(metadata);
                }
                Ok(())
            }
            Fact::VoteCast {
                version,
                environment,
                user,
                vote,
                digest,
                groups,
                ..
            } => {
                let known = ledger.versions.get(version).map(|it| it.digest);
                require(known == Some(*digest), "vote", || {
                    "a vote is on other content".to_owned()
                })?;
                ledger.frozen.insert(*version);
                let votes = ledger.votes.entry((*version, *environment)).or_default();
                let cast = CastVote {
                    vote: *vote,
                    digest: *digest,
                    groups: groups.clone(),
                };
                votes.insert(*user, cast);
                Ok(())
            }
            Fact::TargetsJoined {
                deployment,
                environment,
                resources,
            } => {
                for resource in resources {
                    let (resource, environment, deployment) =
                        (*resource, *environment, *deployment);
                    let key = TargetKey {
                        resource,
                        environment,
                        deployment,
                    };
                    let should = ledger.should_be_member(key);
                    require(should, "membership", || {
                        format!("{} joined, but does not match", ledger.name(key))
                    })?;
                    ledger.targets.entry(key).or_default().member = true;
                }
                Ok(())
            }
            Fact::TargetsLeft {
                deployment,
                environment,
                resources,
            } => {
                for resource in resources {
                    let (resource, environment, deployment) =
                        (*resource, *environment, *deployment);
                    let key = TargetKey {
                        resource,
                        environment,
                        deployment,
                    };
                    ledger.leave(key);
                }
                Ok(())
            }
            Fact::JobsCreated { .. } => self.jobs_created(fact),
            Fact::TargetBlocked { target, block } => {
                let record = ledger.targets.entry(*target).or_default();
                record.block.clone_from(block);
                Ok(())
            }
            Fact::PromotionOpened { .. }
            | Fact::GateChanged { .. }
            | Fact::PromotionMoved { .. }
            | Fact::PromotionEnded { .. } => self.promotion(fact),
            Fact::JobClaimed { .. }
            | Fact::JobChanged { .. }
            | Fact::JobLost { .. }
            | Fact::JobFound { .. }
            | Fact::JobRequeued { .. }
            | Fact::JobCancelRequested { .. }
            | Fact::ReportIgnored { .. }
            | Fact::ReleaseEnded { .. } => self.job(fact),
            Fact::RetryScheduled { .. }
            | Fact::TargetOrdered { .. }
            | Fact::OrderDropped { .. }
            | Fact::HoldReleased { .. }
            | Fact::Quarantined { .. }
            | Fact::QuarantineCleared { .. }
            | Fact::PromotionCancelRequested { .. }
            | Fact::PromotionReopened { .. }
            | Fact::RolloutStarted { .. }
            | Fact::RolloutWaveStarted { .. }
            | Fact::RolloutPaused { .. }
            | Fact::RolloutResumed { .. } => self.order(fact),
            Fact::VerificationStarted { .. }
            | Fact::Measured { .. }
            | Fact::VerificationEnded { .. } => self.verification(fact),
            other => {
                ledger.put(other);
                Ok(())
            }
        }
    }

    fn promotion(&mut self, fact: &Fact) -> Checked {
        let ledger = &mut self.ledger;
        match fact {
            Fact::PromotionOpened {
                id,
                version,
                environment,
                kind,
                ..
            } => {
                let twice = ledger.promotions.values().any(|it| {
                    it.status.is_open() && (it.version, it.environment) == (*version, *environment)
                });
                require(!twice, "promotion", || {
                    format!("a second open promotion of {}", ledger.tag(*version))
                })?;
                let record = PromotionRecord {
                    version: *version,
                    environment: *environment,
                    status: PromotionStatus::Waiting,
                    kind: *kind,
                    gates: BTreeMap::new(),
                    jobs: Vec::new(),
                };
                let known = ledger.promotions.insert(*id, record);
                require(known.is_none(), "promotion", || {
                    "an id was used twice".to_owned()
                })
            }
            Fact::GateChanged { promotion, gate } => {
                let Some(promotion) = ledger.promotions.get_mut(promotion) else {
                    return Err(Violation::new("promotion", "a gate of no promotion"));
                };
                promotion.gates.insert(gate.rule, gate.clone());
                Ok(())
            }
            Fact::PromotionMoved { id, status } => {
                let record = ledger.promotions.get_mut(id);
                let open = record.as_ref().is_some_and(|it| it.status.is_open());
                if let Some(record) = record {
                    record.status = *status;
                }
                require(open && status.is_open(), "terminal", || {
                    "an ended promotion moved".to_owned()
                })
            }
            Fact::PromotionEnded { id, status, by, .. } => {
                let Some(record) = ledger.promotions.get(id).cloned() else {
                    return Err(Violation::new("promotion", "an unknown promotion ended"));
                };
                require(record.status.is_open(), "terminal", || {
                    "a promotion ended twice".to_owned()
                })?;
                let jobs: Vec<&JobRecord> = record
                    .jobs
                    .iter()
                    .filter_map(|id| ledger.jobs.get(id))
                    .collect();
                require(
                    jobs.iter().all(|job| job.ended.is_some()),
                    "promotion",
                    || {
                        format!(
                            "a promotion of {} ended while a job runs",
                            ledger.tag(record.version)
                        )
                    },
                )?;
                let all = jobs
                    .iter()
                    .all(|job| job.ended.is_some_and(|it| it.0 == ReleaseStatus::Succeeded));
                require(
                    *status != PromotionStatus::Succeeded || (all && !jobs.is_empty()),
                    "promotion",
                    || {
                        format!(
                            "{} succeeded, but not everywhere",
                            ledger.tag(record.version)
                        )
                    },
                )?;
                let order = |id: VersionId| ledger.versions.get(&id).map(Version::order);
                let forward = by.is_none_or(|by| order(by) > order(record.version));
                require(forward, "supersession", || {
                    format!(
                        "{} was superseded by something older",
                        ledger.tag(record.version)
                    )
                })?;
                require(
                    *status != PromotionStatus::Superseded || by.is_some(),
                    "supersession",
                    || format!("{} was superseded by nothing", ledger.tag(record.version)),
                )?;
                if let Some(record) = ledger.promotions.get_mut(id) {
                    record.status = *status;
                }
                if *status == PromotionStatus::Expired {
                    let stops = ledger.stops_mut(record.version, record.environment);
                    stops.expired = true;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn verification(&mut self, fact: &Fact) -> Checked {
        let ledger = &mut self.ledger;
        match fact {
            Fact::VerificationStarted {
                id,
                job,
                trigger,
                metrics,
                rerun_of,
            } => {
                let Some(record) = ledger.jobs.get_mut(job) else {
                    return Err(Violation::new("verified", "a verification of no job"));
                };
                require(record.ended.is_none(), "terminal", || {
                    "a verification began after its release ended".to_owned()
                })?;
                record.runs.push(*id);
                let run = RunRecord {
                    job: *job,
                    trigger: *trigger,
                    metrics: metrics.iter().map(|it| (it.clone(), Vec::new())).collect(),
                    status: VerificationStatus::Running,
                    rerun_of: *rerun_of,
                };
                ledger.runs.insert(*id, run);
                Ok(())
            }
            Fact::Measured {
                verification,
                metric,
                ordinal,
                status,
                data,
                ..
            } => {
                let Some(run) = ledger.runs.get_mut(verification) else {
                    return Err(Violation::new("measured", "a measurement of nothing"));
                };
                require(
                    run.status == VerificationStatus::Running,
                    "terminal",
                    || "measured after the verification ended".to_owned(),
                )?;
                let Some((planned, statuses)) = run.metrics.get_mut(*metric) else {
                    return Err(Violation::new("measured", "a measurement of no metric"));
                };
                require(*ordinal as usize == statuses.len(), "measured", || {
                    format!("measurement {ordinal} after {}", statuses.len())
                })?;
                let expected = judge::measurement(&planned.metric, data);
                require(*status == expected, "measured", || {
                    format!("{data} was judged {status}, not {expected}")
                })?;
                statuses.push(*status);
                Ok(())
            }
            Fact::VerificationEnded {
                id,
                status,
                decided_by,
                ..
            } => {
                let Some(run) = ledger.runs.get(id).cloned() else {
                    return Err(Violation::new("verified", "an unknown verification ended"));
                };
                let running = run.status == VerificationStatus::Running;
                let by_measuring = running
                    && decided_by.is_none()
                    && (judge::outcome(&run) == Some(*status)
                        || *status == VerificationStatus::Cancelled);
                let undecided = !running
                    && !matches!(
                        run.status,
                        VerificationStatus::Passed | VerificationStatus::Failed
                    );
                let by_person = undecided && decided_by.is_some();
                let rule = if running { "verified" } else { "terminal" };
                require(by_measuring || by_person, rule, || {
                    format!("a verification went from {} to {status}", run.status)
                })?;
                if let Some(run) = ledger.runs.get_mut(id) {
                    run.status = *status;
                }
                let counts = *status == VerificationStatus::Failed
                    && run.trigger != VerificationTrigger::JobFailure;
                let job = ledger.jobs.get(&run.job).filter(|_| counts);
                // One of a rollback says nothing of the version that was good before.
                let job = job.filter(|job| job.kind != StartKind::Rollback);
                if let Some((version, target)) = job.map(|job| (job.version, job.target)) {
                    let stops = ledger.stops_mut(version, target.environment);
                    stops.failed.insert(target.resource);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether everything that was acknowledged is in the log and nothing that was refused; at the end.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn answers(&self) -> Checked {
        for asked in self.asked.values() {
            let there = self.by_id.contains_key(&asked.entry);
            match asked.told {
                Told::Done => require(there, "acknowledged", || {
                    format!("`{}` was acknowledged and is gone", asked.name)
                })?,
                Told::NotDone => require(!there, "refused", || {
                    format!("`{}` was refused and is in the log", asked.name)
                })?,
                Told::Nothing => {}
            }
        }
        Ok(())
    }
}
