//! What follows when a job has ended: its verification, and the end of its release.

use super::Turn;
use super::applicable::LaneView;
use crate::engine::Engine;
use crate::expressions::template_schema;
use crate::expressions::{
    DeploymentView, EnvironmentView, JobAgentView, PromotionView, ReleaseView, ResourceView,
    VariablesView, VersionView,
};
use crate::rules::retry;
use crate::rules::rollback::Failure;
use crate::state::{Job, Verification};
use stagegate_expressions::template::{JsonTemplate, TemplateError};
use stagegate_expressions::{Roots, View};
use stagegate_model::{
    Fact, JobAgent, JobId, JobStatus, Json, OrderCause, PackedJson, PlannedMetric, PromotionId,
    ReleaseId, ReleaseStatus, ResourceId, StartKind, Timestamp, Variables, VerificationId,
    VerificationStatus, VerificationTrigger, Version,
};
use std::sync::Arc;

impl Turn<'_> {
    /// Decides one job that has ended or whose time has come. Gives whether there was one.
    pub(super) fn settle_job(&mut self) -> bool {
        let Some(id) = self.engine.state.dirty.jobs.pop_first() else {
            return false;
        };
        let now = self.state().head.time;
        let Some(job) = self.state().jobs.get(&id).cloned() else {
            return true;
        };
        self.engine.know_lane(job.target.into());
        let order = self
            .state()
            .lane(job.target.into())
            .and_then(|lane| lane.orders.get(&job.target.resource))
            .filter(|order| order.kind == StartKind::Rollback);
        let undone = order.map(|order| order.reason.clone());
        if !job.status.is_terminal() {
            // One that is asked to stop in this moment is not out of time as well.
            match &undone {
                Some(reason) if job.cancel.is_none() => self.stop_undone(&job, reason, now),
                _ => self.settle_time(&job, now),
            }
            return true;
        }
        let ended = self
            .state()
            .releases
            .get(&job.release)
            .is_none_or(|release| release.ended_at.is_some());
        if ended {
            return true;
        }
        self.budget = self.budget.saturating_sub(1);
        let retried = self
            .state()
            .lane(job.target.into())
            .is_some_and(|lane| lane.retries.contains_key(&job.target.resource));
        if undone.is_some() {
            self.settle_undone(&job);
        } else if job.status == JobStatus::Successful {
            self.settle_successful(&job, now);
        } else if !retried {
            self.settle_unsuccessful(&job, now);
        }
        true
    }

    /// The target is to go back: what became of this release matters no more.
    fn settle_undone(&mut self, job: &Job) {
        let reason = "it was rolled back before it was verified";
        self.stop_where(job, reason, |_| true);
        let (status, reason) = match job.status {
            JobStatus::Successful => (ReleaseStatus::Cancelled, reason.to_owned()),
            JobStatus::Cancelled | JobStatus::Skipped => (ReleaseStatus::Cancelled, ended(job)),
            _ => (ReleaseStatus::Failed, ended(job)),
        };
        self.end_release(job, status, reason);
    }

    fn settle_successful(&mut self, job: &Job, now: Timestamp) {
        let latest = latest_runs(&self.engine.state, job);
        let failed = latest
            .iter()
            .find(|it| it.status == VerificationStatus::Failed);
        if let Some(failed) = failed {
            let reason = format!("its verification failed: {}", failed.reason);
            self.stop_running(job, "another verification of the job failed");
            self.fail_release(job, ReleaseStatus::Failed, reason, Failure::Verification);
            return;
        }
        // A job may succeed without ever having said that it had started.
        let wanted = [
            VerificationTrigger::JobStarted,
            VerificationTrigger::JobSuccess,
        ];
        for trigger in wanted {
            let asked = latest_runs(&self.engine.state, job)
                .iter()
                .any(|it| it.trigger == trigger);
            if asked {
                continue;
            }
            // It was measurable when the job was created and is not any more: not verified, so not succeeded.
            if let Started::Impossible(message) = self.start_verification(job.id, trigger, now) {
                let reason = format!("its verification cannot be measured: {message}");
                self.stop_running(job, &reason);
                self.fail_release(job, ReleaseStatus::Failed, reason, Failure::Verification);
                return;
            }
        }
        let Some(job) = self.state().jobs.get(&job.id).cloned() else {
            return;
        };
        if latest_runs(&self.engine.state, &job)
            .iter()
            .all(|it| it.status == VerificationStatus::Passed)
        {
            self.end_release(&job, ReleaseStatus::Succeeded, String::new());
        }
        // Else something runs, or a person has to decide; the target stays busy.
    }

    /// Cancels what still runs, except what is measured because the job failed.
    fn stop_running(&mut self, job: &Job, reason: &str) {
        let counts = |it: &Verification| it.trigger != VerificationTrigger::JobFailure;
        self.stop_where(job, reason, counts);
    }

    fn stop_where(&mut self, job: &Job, reason: &str, which: impl Fn(&Verification) -> bool) {
        let running: Vec<_> = latest_runs(&self.engine.state, job)
            .iter()
            .filter(|it| it.status == VerificationStatus::Running && which(it))
            .map(|it| it.id)
            .collect();
        for id in running {
            self.push(Fact::VerificationEnded {
                id,
                status: VerificationStatus::Cancelled,
                reason: reason.to_owned(),
                decided_by: None,
            });
        }
    }

    fn settle_unsuccessful(&mut self, job: &Job, now: Timestamp) {
        self.stop_running(job, &format!("the job ended: {}", job.status));
        // What is measured because the job failed decides nothing, but keeps the target busy until its end.
        let measuring = latest_runs(&self.engine.state, job)
            .iter()
            .any(|it| it.status == VerificationStatus::Running);
        if measuring {
            return;
        }
        if let Some(seconds) = self.retry_after(job) {
            self.push(Fact::RetryScheduled {
                release: job.release,
                job: job.id,
                attempt: job.attempt + 1,
                at: now.plus_seconds(i64::from(seconds)),
            });
            return;
        }
        let status = match job.status {
            JobStatus::Cancelled | JobStatus::Skipped => ReleaseStatus::Cancelled,
            _ => ReleaseStatus::Failed,
        };
        self.fail_release(job, status, ended(job), Failure::Job(job.status));
    }

    /// After how many seconds the release is tried again; `None` when it is not.
    fn retry_after(&self, job: &Job) -> Option<u32> {
        let state = self.state();
        let view = LaneView::new(self.engine, job.target.into())?;
        let version = state.versions.get(&job.version)?;
        let target = state
            .lane(view.key)
            .and_then(|lane| lane.targets.get(&job.target.resource))?;
        let release = state.releases.get(&job.release)?;
        // What was begun past the gates is not begun again through them; a stopped version is not begun again at all.
        let outside = matches!(release.kind, StartKind::BreakGlass);
        if target.leaving() || outside || view.stopped_for_good(version).is_some() {
            return None;
        }
        let stored = state.resource(job.target.resource).map(|it| &**it);
        let conduct = view.conduct(version, stored);
        retry::next(conduct.retries, job.status, job.attempt)
    }

    /// Ends a release that did not come to a good end, and orders its target back if a rule wants that.
    fn fail_release(&mut self, job: &Job, status: ReleaseStatus, reason: String, failure: Failure) {
        match self.rollback_of(job, failure) {
            Ok(None) => self.end_release(job, status, reason),
            Err(why) => self.end_release(job, status, format!("{reason}; {why}")),
            Ok(Some(to)) => {
                let cause = match failure {
                    Failure::Job(_) => OrderCause::JobFailed,
                    Failure::Verification => OrderCause::VerificationFailed,
                };
                self.end_release(job, status, reason.clone());
                self.order_rollback(job, to, cause, &reason);
            }
        }
    }

    fn end_release(&mut self, job: &Job, status: ReleaseStatus, reason: String) {
        self.push(Fact::ReleaseEnded {
            id: job.release,
            job: job.id,
            status,
            reason,
        });
    }

    /// Starts what the policies that apply want measured at `trigger`.
    pub(crate) fn start_verification(
        &mut self,
        id: JobId,
        trigger: VerificationTrigger,
        _now: Timestamp,
    ) -> Started {
        let Some(job) = self.state().jobs.get(&id) else {
            return Started::Nothing;
        };
        let planned = plan_for(self.engine, job, trigger);
        match planned {
            Ok(metrics) if metrics.is_empty() => Started::Nothing,
            Ok(metrics) => {
                let verification = self.new_id().into();
                self.push(Fact::VerificationStarted {
                    id: verification,
                    job: id,
                    trigger,
                    metrics,
                    rerun_of: None,
                });
                Started::Yes
            }
            Err(message) => Started::Impossible(message),
        }
    }
}

/// How a job ended, in its agent's words if it has any.
fn ended(job: &Job) -> String {
    if job.message.is_empty() {
        format!("the job ended: {}", job.status)
    } else {
        job.message.clone()
    }
}

/// The fact that starts what is wanted at a trigger that is not the job's success; none when nothing is wanted or
/// it cannot be measured (what should have run beside a job that then succeeds is asked for again at its end).
pub(crate) fn start_on_trigger(
    engine: &Engine,
    job: &Job,
    trigger: VerificationTrigger,
    id: VerificationId,
) -> Option<Fact> {
    let metrics = plan_for(engine, job, trigger)
        .ok()
        .filter(|metrics| !metrics.is_empty())?;
    Some(Fact::VerificationStarted {
        id,
        job: job.id,
        trigger,
        metrics,
        rerun_of: None,
    })
}

fn plan_for(
    engine: &Engine,
    job: &Job,
    trigger: VerificationTrigger,
) -> Result<Vec<PlannedMetric>, String> {
    let state = &engine.state;
    let (Some(view), Some(version), Some(release)) = (
        LaneView::new(engine, job.target.into()),
        state.versions.get(&job.version),
        state.releases.get(&job.release),
    ) else {
        return Ok(Vec::new());
    };
    let subject = RenderSubject {
        version,
        resource: job.target.resource,
        promotion: job.promotion,
        release: release.id,
        number: release.number,
        variables: &release.variables,
    };
    view.plan_metrics(&subject, Some(trigger))
}

/// What came of starting a verification.
pub(crate) enum Started {
    Yes,
    /// No policy wants anything measured.
    Nothing,
    Impossible(String),
}

/// A job's verifications, each only in its latest run.
pub(crate) fn latest_runs<'s>(state: &'s crate::State, job: &Job) -> Vec<&'s Verification> {
    let all: Vec<&Verification> = job
        .verifications
        .iter()
        .filter_map(|id| state.verifications.get(id))
        .collect();
    let superseded: Vec<_> = all.iter().filter_map(|it| it.rerun_of).collect();
    all.into_iter()
        .filter(|it| !superseded.contains(&it.id))
        .collect()
}

/// What templates are rendered for.
#[derive(Clone, Copy)]
pub(crate) struct RenderSubject<'e> {
    pub version: &'e Version,
    pub resource: ResourceId,
    pub promotion: PromotionId,
    pub release: ReleaseId,
    pub number: u64,
    /// As the release has them.
    pub variables: &'e Variables,
}

/// What templates find where a variable is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    /// A mark that whoever carries out the job replaces.
    Marked,
    /// Nothing: the template cannot be rendered.
    Absent,
}

impl LaneView<'_> {
    /// The one agent the deployment's selector takes.
    pub fn choose_agent(&self) -> Result<Arc<JobAgent>, String> {
        let name = &self.deployment.name;
        let selector = match self.engine.compiled.agent_selector(self.deployment.id) {
            Some(Ok(selector)) => selector,
            Some(Err(error)) => {
                return Err(format!(
                    "the job agent selector of {name} does not compile: {error}"
                ));
            }
            None => return Err(format!("{name} has no job agent selector")),
        };
        let mut matching = Vec::new();
        for agent in self.engine.state.agents.values() {
            let view = JobAgentView(agent);
            match selector.eval(&Roots::new().with("jobAgent", View::Object(&view))) {
                Ok(true) => matching.push(agent),
                Ok(false) => {}
                Err(error) => {
                    return Err(format!(
                        "the job agent selector of {name} cannot be evaluated: {error}"
                    ));
                }
            }
        }
        match matching.as_slice() {
            [agent] => Ok(Arc::clone(agent)),
            [] => Err(format!(
                "no job agent matches `{}` of {name}; create one or change the selector",
                selector.text()
            )),
            [first, second, ..] => Err(format!(
                "several job agents match `{}` of {name}: `{}`, `{}`; make the selector match one",
                selector.text(),
                first.name,
                second.name
            )),
        }
    }

    /// The agent's configuration with the deployment's and the version's laid over it.
    pub fn config_template(&self, agent: &JobAgent, version: &Version) -> JsonTemplate {
        let mut config = agent.config.clone();
        lay_over(&mut config, &self.deployment.job_agent_config);
        lay_over(&mut config, &version.job_agent_config);
        JsonTemplate::compile(&config, template_schema())
    }

    /// A job's configuration for one target.
    pub fn render_config(
        &self,
        template: &JsonTemplate,
        subject: &RenderSubject<'_>,
    ) -> Result<PackedJson, String> {
        let write = |roots: &Roots<'_>| template.render_text(roots);
        let text = self.rendered(subject, Secrets::Marked, write)?;
        PackedJson::from_text(&text)
            .map_err(|error| format!("what was rendered is no JSON: {error}"))
    }

    /// What a template renders for one target with `render`.
    fn rendered<T>(
        &self,
        subject: &RenderSubject<'_>,
        secrets: Secrets,
        render: impl FnOnce(&Roots<'_>) -> Result<T, TemplateError>,
    ) -> Result<T, String> {
        let RenderSubject {
            version,
            resource,
            promotion,
            release,
            number,
            variables,
        } = *subject;
        let stored = self
            .engine
            .state
            .resource(resource)
            .ok_or("the resource is gone")?;
        let resource = ResourceView(stored);
        let variables = VariablesView {
            variables,
            release: (secrets == Secrets::Marked).then_some(release),
        };
        let environment = EnvironmentView(self.environment);
        let deployment = DeploymentView(self.deployment);
        let version = VersionView(version);
        let release = ReleaseView {
            id: release,
            number,
        };
        let promotion = PromotionView(promotion);
        let roots = Roots::new()
            .with("resource", View::Object(&resource))
            .with("environment", View::Object(&environment))
            .with("deployment", View::Object(&deployment))
            .with("version", View::Object(&version))
            .with("release", View::Object(&release))
            .with("promotion", View::Object(&promotion))
            .with("variables", View::Object(&variables));
        render(&roots).map_err(|error| format!("{error} (on resource `{}`)", stored.identifier()))
    }

    /// What the policies that apply want measured at `trigger` (at any, when `None`), rendered.
    pub fn plan_metrics(
        &self,
        subject: &RenderSubject<'_>,
        trigger: Option<VerificationTrigger>,
    ) -> Result<Vec<PlannedMetric>, String> {
        let mut metrics = Vec::new();
        if !self.measures() {
            return Ok(metrics);
        }
        let stored = self.engine.state.resource(subject.resource);
        for applicable in self.applicable(subject.version, stored.map(|it| &**it)) {
            // A policy that measures nothing has no say here, whether or not it applies.
            let mut rules = applicable.policy.rules.iter();
            let measures = rules.any(|rule| {
                let evaluator = rule.evaluator.as_ref().ok();
                evaluator.is_none_or(|it| it.verification().is_some())
            });
            if let Some(error) = applicable.error.as_ref().filter(|_| measures) {
                return Err(format!(
                    "whether `{}` applies cannot be said: {error}",
                    applicable.policy.policy.name
                ));
            }
            for rule in &applicable.policy.rules {
                let evaluator = rule.evaluator.as_ref().map_err(Clone::clone)?;
                let Some(spec) = evaluator.verification() else {
                    continue;
                };
                if trigger.is_some_and(|trigger| trigger != spec.trigger_on) {
                    continue;
                }
                for (metric, provider) in spec.metrics.iter().zip(&spec.providers) {
                    // The server measures; it does not know the secrets of those who carry out jobs.
                    let render = |roots: &Roots<'_>| provider.render(roots);
                    let provider = self.rendered(subject, Secrets::Absent, render);
                    let provider =
                        provider.map_err(|error| format!("metric `{}`: {error}", metric.name))?;
                    let metric = stagegate_model::Metric {
                        provider,
                        ..metric.clone()
                    };
                    metrics.push(PlannedMetric {
                        rule: rule.id,
                        metric,
                    });
                }
            }
        }
        Ok(metrics)
    }
}

/// Lays `over` over `base`: objects member by member, anything else as a whole.
fn lay_over(base: &mut Json, over: &Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key.clone()).or_insert(Json::Null), value);
            }
        }
        (base, over) => base.clone_from(over),
    }
}
