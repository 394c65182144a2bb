//! What may start: jobs in the ordinary course and outside of it.

use super::Violation;
use super::follow::{Auditor, Checked, require};
use super::ledger::{JobRecord, Ledger, TargetRecord, Tried};
use stagegate_model::*;
use std::collections::BTreeSet;

impl Auditor {
    pub(super) fn jobs_created(&mut self, fact: &Fact) -> Checked {
        let Fact::JobsCreated {
            promotion,
            version: id,
            environment,
            latches,
            kind,
            jobs,
            limits,
            ..
        } = fact
        else {
            return Ok(());
        };
        let ledger = &mut self.ledger;
        let Some(version) = ledger.versions.get(id).cloned() else {
            return Err(Violation::new("gates", "a job of an unknown version"));
        };
        let open = ledger.promotions.get(promotion).is_some_and(|it| {
            it.status.is_open() && (it.version, it.environment) == (*id, *environment)
        });
        require(open, "promotion", || {
            format!("a job of {} without an open promotion", version.tag)
        })?;
        let mut under: BTreeSet<RuleId> = BTreeSet::new();
        // A freeze that does not hold yet, or no longer, need not be named.
        let mut frozen: BTreeSet<RuleId> = BTreeSet::new();
        for job in jobs {
            let key = TargetKey {
                resource: job.resource,
                environment: *environment,
                deployment: version.deployment,
            };
            ledger.may_start(*kind, &version, key, job)?;
            if let Some(owes) = ledger.owes(*kind, &version, key) {
                self.counts.add(owes);
            }
            if !matches!(kind, StartKind::Rollback | StartKind::BreakGlass) {
                under.extend(ledger.latching(&version, key));
                frozen.extend(ledger.freezes_aside(&version, key));
            }
            ledger.start(*promotion, *kind, *limits, &version, key, job)?;
        }
        let recorded: BTreeSet<RuleId> = latches.iter().copied().collect();
        require(under.is_subset(&recorded), "latches", || {
            format!("a rule that {} passed did not latch", version.tag)
        })?;
        let latched = ledger.latched.entry((*id, *environment)).or_default();
        // Retries of several promotions are written by promotion, and latch together.
        let sound = *kind == StartKind::Retry
            || recorded
                .iter()
                .all(|rule| under.union(&frozen).any(|it| it == rule) || latched.contains(rule));
        require(sound, "latches", || {
            let tag = &version.tag;
            format!("a rule latched for {tag} that applied to no started target")
        })?;
        latched.extend(&recorded);
        for rule in recorded {
            if ledger.skipped_everywhere(rule, *id, *environment) {
                ledger.begun_aside.insert((*id, *environment, rule));
            }
        }
        ledger.frozen.insert(*id);
        Ok(())
    }
}

impl Ledger {
    fn may_start(
        &self,
        kind: StartKind,
        version: &Version,
        key: TargetKey,
        job: &NewJob,
    ) -> Checked {
        let name = self.name(key);
        let tag = &version.tag;
        let record = self.targets.get(&key).cloned().unwrap_or_default();
        require(
            record.member && self.should_be_member(key),
            "membership",
            || format!("a job on {name}, which is no target"),
        )?;
        require(record.active.is_none(), "busy", || {
            format!("a second job on {name}")
        })?;
        let told = match kind {
            // It keeps what its first attempt was told.
            StartKind::Retry => Some(Default::default()),
            _ => self.told(key),
        };
        let given = job.variables.iter();
        let given = given
            .map(|(key, it)| (key.clone(), (it.value.clone(), it.source.to_string())))
            .collect();
        require(told.as_ref() == Some(&given), "variables", || {
            format!("{name} was told {given:?}, and should have been told {told:?}")
        })?;
        let number = record.number + u64::from(kind != StartKind::Retry);
        require(job.number == number, "numbers", || {
            format!("release {} follows {} on {name}", job.number, record.number)
        })?;
        require(
            kind == StartKind::Retry || record.retry.is_none(),
            "retry",
            || format!("{tag} started on {name} while another release is tried again"),
        )?;
        let ordered = record.order.as_ref();
        let first = ordered.is_none_or(|order| order.kind == StartKind::Redeploy);
        match kind {
            StartKind::Forward => {
                require(first, "orders", || {
                    format!("{tag} started on {name}, which was ordered to something else")
                })?;
                self.may_go_forward(version, key, &record)?;
            }
            StartKind::Retry => {
                require(first, "orders", || {
                    format!("{tag} is tried again on {name}, which was ordered to something else")
                })?;
                self.may_be_retried(version, key, &record, job)?;
            }
            _ => {
                let given = ordered.filter(|it| (it.kind, it.version) == (kind, version.id));
                let Some(order) = given else {
                    let what = format!("a {} of {tag} on {name} unasked", kind.as_str());
                    return Err(Violation::new("orders", what));
                };
                self.may_be_ordered(version, key, &record, job, order)?;
            }
        }
        match kind {
            StartKind::Rollback | StartKind::BreakGlass => Ok(()),
            _ => self.has_place(version, key),
        }
    }

    fn may_go_forward(&self, version: &Version, key: TargetKey, record: &TargetRecord) -> Checked {
        let (name, tag) = (self.name(key), &version.tag);
        require(record.held < Some(version.order()), "held", || {
            format!("{tag} started on {name}, which is held since it went back")
        })?;
        require(record.floor < Some(version.order()), "backwards", || {
            format!("{tag} after something newer on {name}")
        })?;
        if let Some(why) = self.shut(version, key) {
            let what = format!("{tag} started on {name} although {why}");
            return Err(Violation::new(self.rule_of_stop(version, key), what));
        }
        if let Some(why) = self.lacks(version, key) {
            let what = format!("{tag} started on {name} although {why}");
            return Err(Violation::new("dependencies", what));
        }
        let newer = self.versions_of(key.deployment);
        let mut newer = newer.iter().take_while(|it| it.order() > version.order());
        let could = |it: &&&Version| self.shut(it, key).is_none() && self.lacks(it, key).is_none();
        if let Some(newer) = newer.find(could) {
            let what = format!("{tag} started on {name} although {} could", newer.tag);
            return Err(Violation::new("newest", what));
        }
        self.is_released(version, key)
    }

    /// Under which name a shut version is told of: what stops it everywhere, or its gates.
    fn rule_of_stop(&self, version: &Version, key: TargetKey) -> &'static str {
        let stops = self.stops.get(&(version.id, key.environment));
        match stops.is_some_and(|stops| stops.quarantined) {
            true => "quarantine",
            false => "gates",
        }
    }

    fn may_be_retried(
        &self,
        version: &Version,
        key: TargetKey,
        record: &TargetRecord,
        job: &NewJob,
    ) -> Checked {
        let (name, tag) = (self.name(key), &version.tag);
        let expected = record.retry.filter(|retry| {
            (retry.release, retry.version, retry.attempt) == (job.release, version.id, job.attempt)
        });
        let Some(retry) = expected else {
            let what = format!("try {} of {tag} on {name} was not due", job.attempt);
            return Err(Violation::new("retry", what));
        };
        require(retry.at <= self.now, "retry", || {
            format!("{tag} was tried again on {name} before {}", retry.at)
        })?;
        if let Some(why) = self.shut(version, key) {
            let what = format!("{tag} was tried again on {name} although {why}");
            return Err(Violation::new(self.rule_of_stop(version, key), what));
        }
        let stops = self.stops.get(&(version.id, key.environment));
        require(stops.is_none_or(|it| !it.paused), "rollout", || {
            format!("{tag} was tried again on {name} while its rollout is paused")
        })
    }

    fn may_be_ordered(
        &self,
        version: &Version,
        key: TargetKey,
        record: &TargetRecord,
        job: &NewJob,
        order: &Order,
    ) -> Checked {
        let (name, tag) = (self.name(key), &version.tag);
        let stops = self.stops.get(&(version.id, key.environment));
        let quarantined = stops.is_some_and(|stops| stops.quarantined);
        let usable = match order.kind {
            StartKind::Rollback => version.status != VersionStatus::Rejected && !quarantined,
            StartKind::BreakGlass => stands(version),
            _ => stands(version) && !quarantined,
        };
        require(usable, "quarantine", || {
            format!(
                "a {} of {tag} on {name}, which may not be used there",
                order.kind.as_str()
            )
        })?;
        match order.kind {
            StartKind::Rollback => {
                require(job.rollback_of == order.of, "rollback", || {
                    format!("the rollback of {name} undoes something else")
                })?;
                require(self.was_good(record, order), "rollback", || {
                    format!("{name} goes back to {tag}, which never succeeded there")
                })?;
                match self.frozen_by(version, key, true) {
                    Some(why) => {
                        let what = format!("{name} went back to {tag} although {why}");
                        Err(Violation::new("gates", what))
                    }
                    None => Ok(()),
                }
            }
            StartKind::Redeploy => match self
                .gates_shut(version, key)
                .or_else(|| self.lacks(version, key))
            {
                Some(why) => {
                    let what = format!("{tag} was deployed again on {name} although {why}");
                    Err(Violation::new("gates", what))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether the release that an order goes back to succeeded on that very target.
    pub(super) fn was_good(&self, record: &TargetRecord, order: &Order) -> bool {
        let to = order.to.map(|release| (release, order.version));
        to.is_some_and(|to| record.good.contains(&to))
    }

    pub(super) fn leave(&mut self, key: TargetKey) {
        let Some(record) = self.targets.get_mut(&key) else {
            return;
        };
        record.member = false;
        if record.active.is_none() {
            // What it forgets on leaving is where it stood, not what was done there.
            *record = TargetRecord {
                number: record.number,
                good: std::mem::take(&mut record.good),
                deployed: std::mem::take(&mut record.deployed),
                ..TargetRecord::default()
            };
        }
    }

    fn start(
        &mut self,
        promotion: PromotionId,
        kind: StartKind,
        limits: JobLimits,
        version: &Version,
        target: TargetKey,
        job: &NewJob,
    ) -> Checked {
        let before = self.releases.insert(job.release, job.job);
        let before = before.and_then(|id| Some((id, self.jobs.get(&id)?.kind)));
        require(
            before.is_some() == (kind == StartKind::Retry),
            "jobs",
            || "a release id was used twice, or is tried again and unknown".to_owned(),
        )?;
        let record = JobRecord {
            target,
            version: version.id,
            promotion,
            release: job.release,
            kind: before.map_or(kind, |(_, kind)| kind),
            number: job.number,
            attempt: job.attempt,
            status: JobStatus::Pending,
            runner: None,
            limits,
            epoch: 0,
            lease: false,
            lost: None,
            requeues: 0,
            cancel: None,
            waiting_since: self.now,
            running_since: None,
            completed_at: None,
            completed_seq: 0,
            runs: Vec::new(),
            ended: None,
            retried: false,
        };
        let now = self.now;
        if let Some((tried, _)) = before
            && let Some(tried) = self.jobs.get_mut(&tried)
        {
            tried.ended = Some((ReleaseStatus::Failed, now));
            tried.retried = false;
        }
        let known = self.jobs.insert(job.job, record);
        require(known.is_none(), "jobs", || {
            "a job id was used twice".to_owned()
        })?;
        let of = self.attempts.entry((version.id, target)).or_default();
        of.push(Tried::Job(job.job));
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion
                .jobs
                .retain(|id| before.is_none_or(|it| it.0 != *id));
            promotion.jobs.push(job.job);
        }
        let record = self.targets.entry(target).or_default();
        let order = Some(version.order());
        record.number = job.number;
        record.latest = order;
        record.latest_release = Some(job.release);
        record.active = Some(job.job);
        record.block = None;
        record.retry = None;
        if kind != StartKind::Retry {
            record.order = None;
        }
        if record.floor < order {
            record.floor = order;
            record.held = None;
        } else if kind == StartKind::BreakGlass && record.floor > order {
            // Taken past the gates to something older, it does not go forward again by itself.
            record.held = record.held.or(record.floor);
        }
        Ok(())
    }
}

fn stands(version: &Version) -> bool {
    matches!(version.status, VersionStatus::Ready | VersionStatus::Paused)
}
