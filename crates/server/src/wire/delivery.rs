//! Releases, jobs, targets, verifications.

use super::{deployment, environment, job_agent, resource, some, version};
use stagegate_api as api;
use stagegate_engine::{self as engine, State};
use stagegate_model as model;

pub(crate) fn release_target(target: model::TargetKey) -> api::ReleaseTarget {
    api::ReleaseTarget {
        resource_id: target.resource.to_string(),
        environment_id: target.environment.to_string(),
        deployment_id: target.deployment.to_string(),
    }
}

/// The word for what was not begun in the ordinary course.
pub(crate) fn departure(kind: model::StartKind) -> Option<String> {
    (kind != model::StartKind::Forward).then(|| kind.as_str().to_owned())
}

pub(crate) fn release(state: &State, release: &engine::Release) -> api::Release {
    api::Release {
        id: Some(release.id.to_string()),
        number: Some(release.number),
        status: Some(release.status.to_string()),
        kind: departure(release.kind),
        rollback_of: release.rollback_of.map(|id| id.to_string()),
        version: state
            .versions()
            .get(&release.version)
            .map(|it| version(it))
            .unwrap_or_else(|| api::DeploymentVersion {
                id: release.version.to_string(),
                ..Default::default()
            }),
        release_target: release_target(release.target),
        created_at: release.created_at.to_string(),
        variables: super::plain_variables(&release.variables),
        encrypted_variables: super::secret_keys(&release.variables),
        resolved_variables: super::resolved_variables(&release.variables),
    }
}

pub(crate) fn job(job: &engine::Job) -> api::Job {
    api::Job {
        id: job.id.to_string(),
        release_id: job.release.to_string(),
        job_agent_id: job.agent.to_string(),
        job_agent_config: job.config.json(),
        external_id: job.external_id.clone(),
        status: job.status.to_string(),
        created_at: job.created_at.to_string(),
        updated_at: job.updated_at.to_string(),
        started_at: job.started_at.map(|at| at.to_string()),
        completed_at: job.completed_at.map(|at| at.to_string()),
        message: some(&job.standing_message()),
        epoch: (job.epoch > 0).then_some(job.epoch),
        limits: Some(api::JobLimits {
            start_deadline_seconds: job.limits.start_deadline_seconds,
            run_timeout_seconds: job.limits.run_timeout_seconds,
            lease_seconds: job.limits.lease_seconds,
            grace_seconds: job.limits.grace_seconds,
            on_lost_lease: job.limits.on_lost_lease.to_string(),
        }),
        lost_at: job.lost.as_ref().map(|it| it.at.to_string()),
        cancel: job.cancel.as_deref().map(job_cancel),
        exit: job.exit.as_ref().map(|it| api::JobExit {
            code: it.code,
            signal: it.signal.clone(),
        }),
        links: job.links().clone(),
        runner: job.runner.clone(),
        attempt: Some(job.attempt),
        kind: departure(job.kind),
        promotion_id: Some(job.promotion.to_string()),
        output_tail: job.output_tail.clone(),
        ..Default::default()
    }
}

/// That a job was asked to stop.
pub(crate) fn job_cancel(cancel: &engine::Cancel) -> api::JobCancel {
    api::JobCancel {
        cause: cancel.cause.to_string(),
        reason: cancel.reason.clone(),
        requested_at: Some(cancel.at.to_string()),
        requested_by: cancel.by.map(|it| it.to_string()),
    }
}

/// A job with all that its agent needs.
pub(crate) fn job_to_do(state: &State, it: &engine::Job) -> api::Job {
    let mut wire = job(it);
    let agent = state.agents().get(&it.agent);
    let its_release = state.releases().get(&it.release);
    wire.dispatch_context = Some(api::DispatchContext {
        deployment: state
            .deployments()
            .get(&it.target.deployment)
            .map(|it| deployment(it)),
        environment: state
            .environments()
            .get(&it.target.environment)
            .map(|it| environment(it)),
        resource: state
            .resource(it.target.resource)
            .map(|it| resource(state, it)),
        version: state.versions().get(&it.version).map(|it| version(it)),
        release: state
            .releases()
            .get(&it.release)
            .map(|it| release(state, it)),
        job_agent: agent.map(|it| job_agent(it)).unwrap_or_default(),
        job_agent_config: it.config.json(),
        variables: its_release.map(|it| super::plain_variables(&it.variables)),
        secrets: its_release
            .map(|it| super::secrets(it.id, &it.variables))
            .unwrap_or_default(),
        promotion_id: Some(it.promotion.to_string()),
        attempt: Some(it.attempt),
        epoch: Some(it.epoch),
        ..Default::default()
    });
    wire
}

/// A job with what it is about; the release may be one that left memory.
pub(crate) fn job_with_release(
    state: &State,
    it: &engine::Job,
    its_release: Option<&engine::Release>,
) -> api::JobWithRelease {
    let its_release = its_release.or_else(|| state.releases().get(&it.release).map(|it| &**it));
    api::JobWithRelease {
        job: job(it),
        release: its_release
            .map(|it| release(state, it))
            .unwrap_or_else(|| api::Release {
                id: Some(it.release.to_string()),
                release_target: release_target(it.target),
                ..Default::default()
            }),
        deployment: state
            .deployments()
            .get(&it.target.deployment)
            .map(|it| deployment(it)),
        environment: state
            .environments()
            .get(&it.target.environment)
            .map(|it| environment(it)),
        resource: state
            .resource(it.target.resource)
            .map(|it| resource(state, it)),
    }
}

pub(crate) fn verification(
    it: &engine::Verification,
    promotion: Option<model::PromotionId>,
    decided_by: impl Fn(model::UserId) -> String,
) -> api::Verification {
    api::Verification {
        id: it.id.to_string(),
        job_id: it.job.to_string(),
        promotion_id: promotion.map(|id| id.to_string()),
        status: it.status.to_string(),
        trigger_on: Some(it.trigger.to_string()),
        message: some(&it.reason),
        metrics: it.metrics.iter().map(metric).collect(),
        created_at: it.started_at.to_string(),
        completed_at: it.ended_at.map(|at| at.to_string()),
        decided_by: it.decided_by.map(decided_by),
        rerun_of: it.rerun_of.map(|id| id.to_string()),
    }
}

fn metric(run: &engine::MetricRun) -> api::VerificationMetric {
    let metric = &run.planned.metric;
    api::VerificationMetric {
        name: metric.name.clone(),
        provider: metric.provider.clone(),
        interval_seconds: metric.interval_seconds,
        count: metric.count,
        success_condition: metric.success_condition.clone(),
        failure_condition: metric.failure_condition.clone(),
        success_threshold: metric.success_threshold,
        failure_threshold: Some(metric.failure_threshold),
        initial_delay_seconds: Some(metric.initial_delay_seconds),
        inconclusive_threshold: Some(metric.inconclusive_threshold),
        consecutive_error_threshold: Some(metric.consecutive_error_threshold),
        dry_run: Some(metric.dry_run),
        status: Some(outcome(run).to_owned()),
        measurements: run
            .measurements
            .iter()
            .map(|measurement| api::Measurement {
                status: measurement.status.to_string(),
                measured_at: measurement.measured_at.to_string(),
                message: some(&measurement.message),
                data: (!measurement.data.is_null()).then(|| measurement.data.clone()),
            })
            .collect(),
    }
}

fn outcome(run: &engine::MetricRun) -> &'static str {
    match engine::metric_outcome(run) {
        engine::MetricOutcome::Passed => "passed",
        engine::MetricOutcome::Running => "running",
        engine::MetricOutcome::Inconclusive => "inconclusive",
        engine::MetricOutcome::Error => "error",
        engine::MetricOutcome::Failed => "failed",
    }
}
