//! Folding what runs: jobs, releases, verifications.

use super::super::Ended;
use super::super::{
    Good, Held, Job, LaneKey, Measurement, MetricRun, Ordered, Release, State, Success, Target,
    Verified,
};
use stagegate_model::{
    Fact, JobId, JobStatus, MeasurementStatus, NewJob, PromotionId, ReleaseId, ReleaseStatus,
    ResourceId, StartKind, VerificationId, VerificationStatus, VersionId, VersionOrder,
};

impl State {
    pub(super) fn create_job(
        &mut self,
        fact: &Fact,
        promotion: PromotionId,
        version: VersionId,
        new: &NewJob,
    ) {
        let Fact::JobsCreated {
            environment,
            agent,
            kind,
            limits,
            ..
        } = fact
        else {
            return;
        };
        let now = self.head.time;
        let Some((deployment, order)) = self
            .versions
            .get(&version)
            .map(|v| (v.deployment, v.order()))
        else {
            return;
        };
        let key = LaneKey {
            deployment,
            environment: *environment,
        };
        let target = key.target(new.resource);
        let tried = (new.attempt > 1).then(|| self.releases.get_mut(&new.release));
        let again = tried.flatten().map(|release| {
            let before = std::mem::replace(&mut release.job, new.job);
            // The attempt before has ended; nothing refers to it any more.
            (before, release.number)
        });
        if let Some((before, _)) = again {
            self.archive_job(before);
        } else {
            let order = self.lanes.get(&key);
            let order = order.and_then(|lane| lane.orders.get(&new.resource));
            let ordered = order.filter(|order| order.kind == *kind);
            let release = Release {
                id: new.release,
                target,
                number: new.number,
                version,
                promotion,
                job: new.job,
                kind: *kind,
                rollback_of: new.rollback_of,
                variables: new.variables.clone(),
                ordered: ordered.map(|order| {
                    Box::new(Ordered {
                        cause: order.cause,
                        reason: order.reason.clone(),
                        by: order.by,
                    })
                }),
                status: ReleaseStatus::Pending,
                created_at: now,
                ended_at: None,
                reason: String::new(),
            };
            self.releases.insert(new.release, Box::new(release));
        }
        self.jobs_of.entry(promotion).or_default().insert(new.job);
        self.jobs.insert(
            new.job,
            Box::new(Job {
                id: new.job,
                release: new.release,
                promotion,
                target,
                version,
                agent: *agent,
                attempt: new.attempt,
                kind: *kind,
                status: JobStatus::Pending,
                limits: *limits,
                runner: None,
                epoch: 0,
                lease: false,
                lost: None,
                requeues: 0,
                cancel: None,
                config: new.config.clone(),
                message: String::new(),
                external_id: None,
                output_tail: None,
                exit: None,
                links: None,
                created_at: now,
                updated_at: now,
                started_at: None,
                waiting_since: now,
                running_since: None,
                wake_at: None,
                completed_at: None,
                verifications: Vec::new(),
            }),
        );
        let retried = again.is_some();
        self.time_job(new.job);
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.running += 1;
            promotion.break_glass |= *kind == StartKind::BreakGlass;
            promotion.retrying = promotion.retrying.saturating_sub(u32::from(retried));
        }
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.retries.remove(&new.resource);
        let changed = lane.change(new.resource, |target| {
            let had = (target.latest, target.current, target.floor);
            let forward = target.floor < Some(order);
            target.number = new.number;
            target.latest = Some(new.release);
            target.latest_order = Some(order);
            target.active = Some(new.job);
            target.block = None;
            if forward {
                target.floor = Some(order);
            }
            (had, forward)
        });
        let Some(((before, current, floor), forward)) = changed else {
            return;
        };
        let order_given = match retried {
            true => None,
            false => lane.orders.remove(&new.resource),
        };
        // Taken past the gates to something older, it does not go forward again by itself.
        if *kind == StartKind::BreakGlass
            && let Some(VersionOrder(_, from)) = floor.filter(|floor| *floor > order)
        {
            lane.held.entry(new.resource).or_insert(Held {
                since: now,
                from,
                reason: order_given.map(|it| it.reason).unwrap_or_default(),
            });
        }
        if forward {
            lane.held.remove(&new.resource);
        }
        let before = before.filter(|before| Some(*before) != current && *before != new.release);
        if let Some(before) = before {
            self.archive_release(before);
        }
    }

    /// Takes a release that is neither the latest nor the current of its target out of memory, with its job
    /// and verifications.
    pub(in crate::state) fn archive_release(&mut self, id: ReleaseId) {
        let Some(release) = self.releases.remove(&id) else {
            return;
        };
        let job = release.job;
        self.archive.push(Ended::Release(release));
        self.archive_job(job);
    }

    /// Takes an ended job out of memory, with its verifications.
    fn archive_job(&mut self, id: JobId) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(its) = self.jobs_of.get_mut(&job.promotion) {
            its.remove(&id);
            if its.is_empty() {
                self.jobs_of.remove(&job.promotion);
            }
        }
        Self::unwake(&mut self.wakes, &mut job);
        for id in &job.verifications {
            if let Some(verification) = self.verifications.remove(id) {
                self.archive
                    .push(Ended::Verification(Box::new(verification)));
            }
        }
        self.archive.push(Ended::Job(job));
    }

    pub(super) fn change_job(&mut self, id: JobId, status: JobStatus) {
        let now = self.head.time;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.status = status;
        job.updated_at = now;
        let started = matches!(
            status,
            JobStatus::InProgress | JobStatus::ActionRequired | JobStatus::Successful
        );
        if started {
            job.started_at = job.started_at.or(Some(now));
            job.running_since = job.running_since.or(Some(now));
            if let Some(release) = self.releases.get_mut(&job.release) {
                release.status = ReleaseStatus::Running;
            }
        }
        if !status.is_terminal() {
            self.time_job(id);
            return;
        }
        job.completed_at = Some(now);
        let (target, version, promotion) = (job.target, job.version, job.promotion);
        let release_id = job.release;
        Self::unwake(&mut self.wakes, job);
        let release = self.releases.get(&job.release);
        let forced = release.is_some_and(|it| it.kind == StartKind::BreakGlass);
        // Ordered back while it ran: what it comes to is undone already.
        let order = self
            .lanes
            .get(&target.into())
            .and_then(|lane| lane.orders.get(&target.resource));
        let undone =
            order.is_some_and(|it| it.kind == StartKind::Rollback && it.of == Some(job.release));
        let verified = if job.verifications.is_empty() {
            Verified::NotAsked
        } else {
            Verified::Pending
        };
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            promotion.running = promotion.running.saturating_sub(1);
            promotion.verifying += 1;
        }
        let member = self.is_member(target.into(), target.resource);
        let track = self
            .tracks
            .entry((version, target.environment))
            .or_default();
        let mut result = Success::new(status, now, verified);
        if undone {
            result.roll_back();
        }
        // A redeploy that has not succeeded does not un-count the success before it.
        let keep = track.results.get(&target.resource).is_some_and(|old| {
            old.status() == JobStatus::Successful
                && status != JobStatus::Successful
                && old.replaced_at().is_none()
                && !old.rolled_back()
        });
        // What was forced past the gates is no evidence for anything further on.
        if !keep && !forced {
            track.put_result(target.resource, member, result);
        }
        if status == JobStatus::Successful {
            self.replace(target.into(), target.resource, version);
            self.change_target(target.into(), target.resource, |known| {
                known.brought = Some(release_id);
            });
            self.touch_neighbours(target.deployment, target.resource);
        }
        self.dirty.jobs.insert(id);
        self.touch_deployment(target.deployment);
    }

    /// Another version now runs on the target: the clock of what was there stops.
    pub(super) fn replace(&mut self, key: LaneKey, resource: ResourceId, by: VersionId) {
        let now = self.head.time;
        let before = self.change_target(key, resource, |target| {
            let left = target.before.take();
            target.deployed.replace(by).or(left)
        });
        let Some(before) = before.flatten().filter(|before| *before != by) else {
            return;
        };
        let member = self.is_member(key, resource);
        let track = self.tracks.entry((before, key.environment)).or_default();
        track.change_result(resource, member, |result| {
            result.replace(now);
        });
    }

    /// Says of a job's result what verification said; of an older job's result on the target it says nothing.
    pub(super) fn set_verified(&mut self, id: JobId, verified: Verified) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let Some(completed_at) = job.completed_at else {
            return;
        };
        let (resource, status) = (job.target.resource, job.status);
        let member = self.is_member(job.target.into(), resource);
        if let Some(track) = self.tracks.get_mut(&(job.version, job.target.environment)) {
            track.change_result(resource, member, |result| {
                if (result.status(), result.completed_at()) == (status, completed_at) {
                    result.set_verified(verified);
                }
            });
        }
    }

    pub(super) fn end_release(
        &mut self,
        id: ReleaseId,
        job: JobId,
        status: ReleaseStatus,
        reason: &str,
    ) {
        let now = self.head.time;
        let Some(release) = self.releases.get_mut(&id) else {
            return;
        };
        release.status = status;
        release.ended_at = Some(now);
        reason.clone_into(&mut release.reason);
        let (target, version, promotion) = (release.target, release.version, release.promotion);
        let (number, kind) = (release.number, release.kind);
        let waited = self
            .lanes
            .get_mut(&target.into())
            .and_then(|lane| lane.retries.remove(&target.resource))
            .is_some();
        let (asked, judged, succeeded_job) =
            self.jobs.get(&job).map_or((false, false, false), |job| {
                let failed = |id| {
                    let verification = self.verifications.get(id);
                    verification.is_some_and(|it| it.status == VerificationStatus::Failed)
                };
                (
                    !job.verifications.is_empty(),
                    job.verifications.iter().any(failed),
                    job.status == JobStatus::Successful,
                )
            });
        if let Some(promotion) = self.promotions.get_mut(&promotion) {
            if waited {
                promotion.retrying = promotion.retrying.saturating_sub(1);
            } else {
                promotion.verifying = promotion.verifying.saturating_sub(1);
            }
            match status {
                ReleaseStatus::Succeeded => promotion.succeeded += 1,
                ReleaseStatus::Cancelled => promotion.cancelled += 1,
                _ => promotion.failed += 1,
            }
        }
        match status {
            ReleaseStatus::Succeeded if asked => self.set_verified(job, Verified::Passed(now)),
            ReleaseStatus::Failed if succeeded_job => {
                self.set_verified(job, Verified::Failed);
                // Its verification could not even begin: as good as failed.
                if !judged {
                    self.fail_verification(id, version, target);
                }
            }
            _ => {}
        }
        if kind != StartKind::Rollback {
            let track = self
                .tracks
                .entry((version, target.environment))
                .or_default();
            match status {
                ReleaseStatus::Failed => {
                    track.failures.insert(target.resource);
                }
                ReleaseStatus::Succeeded => {
                    track.failed_verifications.remove(&target.resource);
                }
                _ => {}
            }
        }
        let resource = target.resource;
        let freed = self.change_target(target.into(), resource, |target| {
            target.active = None;
            let before = target.current.filter(|before| *before != id);
            let replaced = before.filter(|before| Some(*before) != target.latest);
            if status != ReleaseStatus::Succeeded {
                return (target.leaving, None);
            }
            target.current = Some(id);
            target.kept = None;
            target.good.retain(|good| good.version != version);
            // Most targets never have more than one or two.
            target.good.reserve_exact(1);
            target.good.push(Good {
                release: id,
                number,
                version,
            });
            if target.good.len() > Target::GOOD_KEPT {
                target.good.remove(0);
            }
            (target.leaving, replaced)
        });
        let (leaving, replaced) = freed.unwrap_or_default();
        if let Some(replaced) = replaced {
            self.archive_release(replaced);
        }
        if leaving {
            self.dirty.resources.insert(resource);
        }
        self.touch_deployment(target.deployment);
        if status == ReleaseStatus::Succeeded {
            self.succeeded.push_back((self.head.seq, id));
            self.touch_neighbours(target.deployment, resource);
        }
        self.touch_waiting();
    }

    pub(super) fn measure(&mut self, id: VerificationId, metric: usize, measurement: Measurement) {
        let Some(verification) = self.verifications.get_mut(&id) else {
            return;
        };
        let Some(run) = verification.metrics.get_mut(metric) else {
            return;
        };
        run.taken += 1;
        let passed = measurement.status == MeasurementStatus::Passed;
        let error = measurement.status == MeasurementStatus::Error;
        run.consecutive_passes = if passed {
            run.consecutive_passes + 1
        } else {
            0
        };
        run.consecutive_errors = if error { run.consecutive_errors + 1 } else { 0 };
        match measurement.status {
            MeasurementStatus::Passed => run.passed += 1,
            MeasurementStatus::Failed => run.failed += 1,
            MeasurementStatus::Inconclusive => run.inconclusive += 1,
            MeasurementStatus::Error => run.errors += 1,
        }
        run.last = Some(measurement.status);
        run.last_at = Some(measurement.measured_at);
        run.measurements.push(measurement);
        if run.measurements.len() > MetricRun::KEPT {
            run.measurements.remove(0);
        }
        self.dirty.verifications.insert(id);
    }
}
