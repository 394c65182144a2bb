//! Limits of jobs in documents: read, compared, written back.

use crate::workspace::{Workspace, refusals};
use stagegate_documents::{Action, export};
use stagegate_model::{JobLimitsSpec, OnLostLease};

const LIMITED: &str = "\
type: JobAgent
name: local
agentType: exec
jobLimits:
  leaseSeconds: 10
  onLostLease: requeue
---
type: Deployment
name: API
jobLimits: { startDeadlineSeconds: 60, runTimeoutSeconds: 600 }
";

#[test]
fn limits_are_read_and_written_back() {
    let mut workspace = Workspace::default();
    workspace.apply(LIMITED);
    assert_eq!(
        workspace.agents[0].job_limits,
        JobLimitsSpec {
            lease_seconds: Some(10),
            on_lost_lease: Some(OnLostLease::Requeue),
            ..JobLimitsSpec::default()
        }
    );
    assert_eq!(
        workspace.deployments[0].job_limits,
        JobLimitsSpec {
            start_deadline_seconds: Some(60),
            run_timeout_seconds: Some(600),
            ..JobLimitsSpec::default()
        }
    );
    let text = export(&workspace);
    assert!(text.contains("leaseSeconds: 10"), "{text}");
    assert!(text.contains("runTimeoutSeconds: 600"), "{text}");
}

#[test]
fn a_limit_that_changes_is_a_difference_with_its_path() {
    let mut workspace = Workspace::default();
    workspace.apply(LIMITED);
    let changed = LIMITED.replace("leaseSeconds: 10", "leaseSeconds: 20");
    let planned = workspace.apply(&changed);
    assert_eq!(planned[0].action, Action::Changed);
    assert_eq!(planned[0].fields[0].path, "jobLimits.leaseSeconds");
    assert_eq!(planned[1].action, Action::Unchanged);
}

#[test]
fn what_cannot_be_a_limit_is_refused_where_it_stands() {
    let agent = |limits: &str| {
        refusals(&format!(
            "type: JobAgent\nname: a\nagentType: exec\njobLimits: {{ {limits} }}\n"
        ))
    };
    assert_eq!(
        agent("leaseSeconds: soon"),
        ["wrong_type 4:28 jobLimits.leaseSeconds"]
    );
    assert_eq!(
        agent("leaseSeconds: -1"),
        ["wrong_type 4:28 jobLimits.leaseSeconds"]
    );
    assert_eq!(
        agent("onLostLease: retry"),
        ["wrong_type 4:27 jobLimits.onLostLease"]
    );
    assert_eq!(
        agent("leaseSecond: 1"),
        ["unknown_field 4:14 jobLimits.leaseSecond"]
    );
    // What only the runners can keep is not a deployment's to say.
    assert_eq!(
        refusals("type: Deployment\nname: A\njobLimits: { leaseSeconds: 10 }\n"),
        ["unknown_field 3:14 jobLimits.leaseSeconds"]
    );
}
