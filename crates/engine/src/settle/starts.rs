//! Starting: releases and jobs for what a look at a lane found.

use super::Turn;
use super::applicable::LaneView;
use super::jobs::RenderSubject;
use super::look::{Outlook, Start, Urgency};
use crate::state::{LaneKey, Retry};
use stagegate_expressions::template::JsonTemplate;
use stagegate_model::{
    Block, Fact, JobAgent, JobAgentId, JobId, NewJob, PackedJson, PromotionId, ReleaseId,
    ResourceId, RuleId, StartKind, Timestamp, Variables, VerificationTrigger, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Turn<'_> {
    pub(super) fn start_jobs(&mut self, key: LaneKey, outlook: &Outlook, now: Timestamp) {
        for ((urgency, _), start) in &outlook.starts {
            // A release that gave way has failed, and that may have spent a budget that the rest counted upon.
            if self.start(key, *urgency, start, now) {
                self.engine.state.dirty.lanes.insert(key);
                return;
            }
        }
    }

    /// Gives whether a release that was to be tried again gave way.
    fn start(&mut self, key: LaneKey, urgency: Urgency, start: &Start, now: Timestamp) -> bool {
        let kind = urgency.kind();
        let Some(promotion) = self.promotion_for(key, kind, &start.version) else {
            return false;
        };
        let ids: Vec<(JobId, ReleaseId)> = start
            .resources
            .iter()
            .map(|_| (self.new_id().into(), self.new_id().into()))
            .collect();
        let Some(view) = LaneView::new(self.engine, key) else {
            return false;
        };
        let measured_at_once = view.may_want(VerificationTrigger::JobCreated);
        let making = Making::new(&view, &start.version);
        let mut jobs: BTreeMap<(PromotionId, JobAgentId), Vec<NewJob>> = BTreeMap::new();
        let mut blocked = Vec::new();
        let mut given_way = Vec::new();
        let (mut budget, mut bytes_left) = (self.budget, self.bytes_left);
        // Those that are tried again may belong to many promotions.
        let expected = match kind {
            StartKind::Retry => 1,
            _ => start.resources.len().min(budget),
        };
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
            let lane = self.state().lane(key);
            let retry = lane.and_then(|lane| lane.retries.get(&resource)).copied();
            let order = lane.and_then(|lane| lane.orders.get(&resource));
            let rollback_of = order.filter(|it| it.kind == kind).and_then(|it| it.of);
            let again = retry.filter(|_| kind == StartKind::Retry);
            let (release, promotion) = again
                .and_then(|retry| self.state().releases.get(&retry.release))
                .map_or((release, promotion), |known| (known.id, known.promotion));
            let prepared = making.prepare(resource, promotion, release, again);
            match prepared {
                Ok(Prepared {
                    agent,
                    number,
                    config,
                    variables,
                }) => {
                    budget -= 1;
                    let new = NewJob {
                        job,
                        release,
                        number,
                        resource,
                        attempt: again.map_or(1, |retry| retry.attempt),
                        config,
                        variables,
                        rollback_of,
                    };
                    bytes_left = bytes_left.saturating_sub(told_bytes(&new));
                    let of_promotion = jobs.entry((promotion, agent));
                    let of_promotion = of_promotion.or_insert_with(|| Vec::with_capacity(expected));
                    of_promotion.push(new);
                    if again.is_none() && retry.is_some() {
                        given_way.push(resource);
                    }
                    if std::mem::take(&mut unlatched) {
                        latches.extend(class);
                    }
                }
                Err(block) => {
                    let known = lane.and_then(|lane| lane.targets.get(&resource));
                    // A known block costs nothing: many of them must not keep the rest from its turn.
                    if known.is_some_and(|known| known.block() != Some(&block)) {
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
        // Under a concurrency rule it held a place that another target may have.
        if !blocked.is_empty() {
            self.engine.state.dirty.lanes.insert(key);
        }
        for fact in blocked {
            self.push(fact);
        }
        let gave_way = !given_way.is_empty();
        for resource in given_way {
            let reason = format!(
                "it gave way to {} before it was tried again",
                start.version.tag
            );
            self.end_retry(key, resource, &reason);
        }
        for ((promotion, agent), jobs) in jobs {
            let ids: Vec<_> = jobs.iter().map(|job| job.job).collect();
            self.push(Fact::JobsCreated {
                promotion,
                version: start.version.id,
                environment: key.environment,
                agent,
                latches: latches.iter().copied().collect(),
                kind,
                limits: self
                    .state()
                    .job_limits(agent, key.deployment, start.version.id),
                jobs,
            });
            for job in ids.into_iter().filter(|_| measured_at_once) {
                self.start_verification(job, VerificationTrigger::JobCreated, now);
            }
        }
        gave_way
    }

    /// The open promotion that a start belongs to; what departs from the ordinary course opens one where none is.
    fn promotion_for(
        &mut self,
        key: LaneKey,
        kind: StartKind,
        version: &Version,
    ) -> Option<PromotionId> {
        let track = self.state().track(version.id, key.environment);
        let (previous, attempts) =
            track.map_or((None, 0), |track| (track.promotion, track.attempts));
        if matches!(kind, StartKind::Forward | StartKind::Retry) {
            return previous;
        }
        let open = previous
            .and_then(|id| self.state().promotions.get(&id))
            .is_some_and(|it| it.status.is_open());
        if open {
            return previous;
        }
        let id: PromotionId = self.new_id().into();
        self.push(Fact::PromotionOpened {
            id,
            version: version.id,
            environment: key.environment,
            attempt: attempts + 1,
            previous,
            kind,
        });
        Some(id)
    }
}

/// Whether a job for the target can be made at all; which release it would be of does not matter.
pub(super) fn can_start(view: &LaneView<'_>, version: &Version, resource: ResourceId) -> bool {
    let (promotion, release) = (uuid::Uuid::nil().into(), uuid::Uuid::nil().into());
    let making = Making::new(view, version);
    making.prepare(resource, promotion, release, None).is_ok()
}

/// What a job for a target is made of.
struct Prepared {
    agent: JobAgentId,
    number: u64,
    config: PackedJson,
    /// None for a release that is tried again: it keeps its own.
    variables: Variables,
}

/// How many bytes of an entry go into what is told of a job.
pub(super) fn told_bytes(job: &NewJob) -> usize {
    // Most deployments have none, and this is asked for each of many targets.
    let variables = match job.variables.is_empty() {
        true => 0,
        false => serde_json::json!(job.variables).to_string().len(),
    };
    job.config.text().len() + variables
}

/// What the jobs of a version have in common in a lane.
struct Making<'v, 'e> {
    view: &'v LaneView<'e>,
    version: &'v Version,
    /// The agent with its configuration, or why there is none.
    agent: Result<(Arc<JobAgent>, JsonTemplate), String>,
}

impl<'v, 'e> Making<'v, 'e> {
    fn new(view: &'v LaneView<'e>, version: &'v Version) -> Self {
        let agent = view.choose_agent();
        let agent = agent.map(|agent| {
            let template = view.config_template(&agent, version);
            (agent, template)
        });
        Self {
            view,
            version,
            agent,
        }
    }

    /// Resolves the variables, numbers the release and renders the configuration for one target; also renders what
    /// would be measured after it, so that nothing is deployed that could not be verified.
    fn prepare(
        &self,
        resource: ResourceId,
        promotion: PromotionId,
        release: ReleaseId,
        again: Option<Retry>,
    ) -> Result<Prepared, Block> {
        let (view, version) = (self.view, self.version);
        let block = |code: &str, message: String| Block {
            version: version.id,
            code: code.to_owned(),
            message,
        };
        let lane = view.engine.state.lane(view.key);
        let last = lane
            .and_then(|lane| lane.targets.get(&resource))
            .map_or(0, |it| it.number());
        // A release that is tried again keeps its number.
        let number = if again.is_some() { last } else { last + 1 };
        let (agent, template) = match &self.agent {
            Ok(agent) => agent,
            Err(message) => return Err(block("no_job_agent", message.clone())),
        };
        let kept = again.and_then(|retry| view.engine.state.releases.get(&retry.release));
        let resolved = match kept {
            Some(_) => Variables::new(),
            None => view
                .resolve_variables(resource)
                .map_err(|message| block("variable_unresolved", message))?,
        };
        let subject = RenderSubject {
            version,
            resource,
            promotion,
            release,
            number,
            variables: kept.map_or(&resolved, |release| &release.variables),
        };
        let config = view.render_config(template, &subject);
        let config = config.map_err(|message| block("template_unresolvable", message))?;
        view.plan_metrics(&subject, None).map_err(|message| {
            block(
                "template_unresolvable",
                format!("its verification could not be measured: {message}"),
            )
        })?;
        Ok(Prepared {
            agent: agent.id,
            number,
            config,
            variables: resolved,
        })
    }
}
