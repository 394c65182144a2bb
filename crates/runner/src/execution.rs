//! Between the words of the API and those of the `exec` agent.

use crate::hold::Hold;
use stagegate_api::{Job, JobExit, JobReport};
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
        epoch: context.epoch.or(job.epoch).unwrap_or(0),
        config,
        secrets: context.secrets,
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

/// What the server is told of the start.
pub(crate) fn started(hold: &Hold, runner: &str) -> JobReport {
    JobReport {
        status: "inProgress".to_owned(),
        runner: Some(runner.to_owned()),
        epoch: hold.epoch,
        ..JobReport::default()
    }
}

/// What the server is told of the end.
pub(crate) fn report(outcome: Outcome, hold: &Hold, runner: &str) -> JobReport {
    // A shell's exit code for a signal says less than the signal's name.
    let exit = match (outcome.signal, outcome.exit_code) {
        (Some(signal), _) => Some(JobExit {
            signal: Some(signal_name(signal)),
            code: None,
        }),
        (None, Some(code)) => Some(JobExit {
            code: Some(code),
            signal: None,
        }),
        (None, None) => None,
    };
    let status = match outcome.status {
        OutcomeStatus::Successful => "successful",
        OutcomeStatus::Failure => "failure",
        OutcomeStatus::Cancelled => "cancelled",
        OutcomeStatus::InvalidIntegration => "invalidIntegration",
    };
    JobReport {
        status: status.to_owned(),
        message: Some(outcome.message).filter(|message| !message.is_empty()),
        runner: Some(runner.to_owned()),
        output_tail: Some(outcome.output_tail).filter(|tail| !tail.is_empty()),
        epoch: hold.epoch,
        exit,
        ..JobReport::default()
    }
}

/// A signal's name, or its number where it has none that everyone knows.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        number => return number.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stagegate_api::{Deployment, DispatchContext};

    #[test]
    fn a_report_names_the_claim_and_how_the_process_ended() {
        let job = Job {
            id: "j".to_owned(),
            epoch: Some(4),
            ..Job::default()
        };
        let hold = Hold::new(&job, None);
        let outcome = |exit_code, signal| Outcome {
            status: OutcomeStatus::Failure,
            code: None,
            exit_code,
            signal,
            message: String::new(),
            output_tail: String::new(),
        };
        let told = report(outcome(Some(143), Some(15)), &hold, "eu-1");
        assert_eq!(
            (told.epoch, told.runner.as_deref()),
            (Some(4), Some("eu-1"))
        );
        let exit = told.exit.unwrap();
        assert_eq!((exit.code, exit.signal.as_deref()), (None, Some("SIGTERM")));
        let exit = report(outcome(Some(3), None), &hold, "eu-1").exit.unwrap();
        assert_eq!((exit.code, exit.signal), (Some(3), None));
        assert_eq!(report(outcome(None, None), &hold, "eu-1").exit, None);
    }

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
