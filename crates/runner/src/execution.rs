//! Between the words of the API and those of the `exec` agent.

use stagegate_api::{Job, JobReport};
use stagegate_integrations::agents::exec::{JobSpec, Outcome, OutcomeStatus};

/// What the agent is told to do.
pub(crate) fn spec(job: &Job) -> JobSpec {
    let context = job.dispatch_context.clone().unwrap_or_default();
    // Without a context the job's own members say the same.
    let config = match context.job_agent_config {
        stagegate_api::Json::Null => job.job_agent_config.clone(),
        config => config,
    };
    JobSpec {
        id: job.id.clone(),
        attempt: context.attempt.or(job.attempt).unwrap_or(1),
        epoch: context.epoch.unwrap_or(0),
        config,
        promotion_id: context
            .promotion_id
            .or_else(|| job.promotion_id.clone())
            .unwrap_or_default(),
        version: context
            .version
            .map(|version| version.tag)
            .unwrap_or_default(),
        deployment: context
            .deployment
            .map(|deployment| deployment.slug)
            .unwrap_or_default(),
        environment: context
            .environment
            .map(|environment| environment.name)
            .unwrap_or_default(),
        resource: context
            .resource
            .map(|resource| resource.identifier)
            .unwrap_or_default(),
        traceparent: context.traceparent.unwrap_or_default(),
    }
}

/// What the job is about, for people.
pub(crate) fn described(job: &Job) -> String {
    let spec = spec(job);
    format!(
        "{} {} to {} in {}",
        spec.deployment, spec.version, spec.resource, spec.environment
    )
}

/// What the server is told of the end.
pub(crate) fn report(outcome: Outcome, runner: &str) -> JobReport {
    let status = match outcome.status {
        OutcomeStatus::Successful => "successful",
        OutcomeStatus::Failure => "failure",
        OutcomeStatus::Cancelled => "cancelled",
        OutcomeStatus::InvalidIntegration => "invalidIntegration",
    };
    JobReport {
        status: status.to_owned(),
        message: Some(outcome.message).filter(|message| !message.is_empty()),
        external_id: None,
        runner: Some(runner.to_owned()),
        output_tail: Some(outcome.output_tail).filter(|tail| !tail.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stagegate_api::{Deployment, DispatchContext};

    #[test]
    fn the_context_wins_over_the_job() {
        let mut job = Job {
            id: "j".to_owned(),
            job_agent_config: json!({"command": "old"}),
            attempt: Some(2),
            ..Job::default()
        };
        assert_eq!(spec(&job).config, json!({"command": "old"}));
        assert_eq!(spec(&job).attempt, 2);
        job.dispatch_context = Some(DispatchContext {
            job_agent_config: json!({"command": "new"}),
            deployment: Some(Deployment {
                slug: "web".to_owned(),
                ..Deployment::default()
            }),
            attempt: Some(3),
            ..DispatchContext::default()
        });
        let spec = spec(&job);
        assert_eq!(spec.config, json!({"command": "new"}));
        assert_eq!((spec.deployment.as_str(), spec.attempt), ("web", 3));
    }
}
