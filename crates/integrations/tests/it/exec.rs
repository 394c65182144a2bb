//! The `exec` agent running commands to their end.

use crate::support::{PATIENCE, until};
use serde_json::{Value, json};
use stagegate_integrations::agents::exec::{
    ExecAgent, ExecEvent, JobSpec, Outcome, OutcomeCode, OutcomeStatus,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// An agent in a directory of its own.
pub struct Agent {
    pub exec: ExecAgent,
    pub root: TempDir,
}

impl Agent {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let exec = ExecAgent::new(root.path().join("state")).unwrap();
        Self { exec, root }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The runner dies (its processes do not) and another one starts.
    pub fn next_runner(self) -> Self {
        let Self { exec, root } = self;
        drop(exec);
        // What another test starts in this moment has the lock's file open until it is a program of its own.
        let deadline = std::time::Instant::now() + PATIENCE;
        let exec = loop {
            match ExecAgent::new(root.path().join("state")) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    assert!(std::time::Instant::now() < deadline, "{error}");
                    std::thread::yield_now();
                }
                opened => break opened.unwrap(),
            }
        };
        Self { exec, root }
    }

    pub async fn run(&self, id: &str, config: Value) -> Outcome {
        let (_keep, cancel) = watch::channel(false);
        let (events, _) = mpsc::channel(1);
        let run = self.exec.run(job(id, config), events, cancel);
        tokio::time::timeout(PATIENCE, run).await.unwrap()
    }

    /// Begins a job and forgets it once `file` is there, as a runner that is killed does.
    pub async fn begin(&self, id: &str, config: Value, file: &Path) {
        let (_keep, cancel) = watch::channel(false);
        let (events, _) = mpsc::channel(1);
        tokio::select! {
            outcome = self.exec.run(job(id, config), events, cancel) => panic!("ended: {outcome:?}"),
            () = until("the command began", async || file.exists()) => {}
        }
    }
}

pub fn job(id: &str, config: Value) -> JobSpec {
    JobSpec {
        id: id.into(),
        attempt: 2,
        epoch: 7,
        config,
        secrets: BTreeMap::new(),
        promotion_id: "promotion-1".into(),
        version: "v1".into(),
        deployment: "web".into(),
        environment: "staging".into(),
        resource: "eu/host-1".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    }
}

/// Whether a process with this exact id runs (and is no zombie).
pub fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn a_command_that_exits_with_0_is_successful_and_knows_its_job() {
    let agent = Agent::new();
    let (_keep, cancel) = watch::channel(false);
    let (events, mut received) = mpsc::channel(64);
    let config = json!({"command": ["/usr/bin/env"], "env": {"REGION": "eu"}});
    let outcome = agent.exec.run(job("j", config), events, cancel).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    assert_eq!((outcome.exit_code, outcome.code), (Some(0), None));
    for line in [
        "REGION=eu",
        "STAGEGATE_JOB_ID=j",
        "STAGEGATE_PROMOTION_ID=promotion-1",
        "STAGEGATE_VERSION=v1",
        "STAGEGATE_DEPLOYMENT=web",
        "STAGEGATE_ENVIRONMENT=staging",
        "STAGEGATE_RESOURCE=eu/host-1",
        "STAGEGATE_ATTEMPT=2",
        "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert!(
            outcome.output_tail.lines().any(|have| have == line),
            "{line}: {outcome:?}"
        );
    }
    assert!(outcome.output_tail.contains("STAGEGATE_BIN=/"));
    // Cargo sets plenty of variables for this test; none of them is the command's business.
    assert!(!outcome.output_tail.contains("CARGO"), "{outcome:?}");

    let mut sent = String::new();
    while let Some(ExecEvent::Output { offset, text }) = received.recv().await {
        assert_eq!(offset, sent.len() as u64);
        sent += &text;
    }
    assert_eq!(sent, outcome.output_tail);
    assert_eq!(read(&agent.file("state/jobs/j/output.log")), sent);
}

#[tokio::test]
async fn a_failure_carries_exit_code_and_both_streams_without_secrets() {
    let agent = Agent::new();
    let config = json!({
        "command": "echo out; echo \"token is $DEPLOY_TOKEN\" >&2; echo out again; exit 3",
        "env": {"DEPLOY_TOKEN": "hunter22"}
    });
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.status, OutcomeStatus::Failure);
    assert_eq!(
        (outcome.code, outcome.exit_code),
        (Some(OutcomeCode::ExitNonzero), Some(3))
    );
    assert!(outcome.message.contains("exit code 3"), "{outcome:?}");
    assert_eq!(outcome.output_tail, "out\ntoken is [redacted]\nout again\n");
}

#[tokio::test]
async fn arguments_are_no_shell_code() {
    let agent = Agent::new();
    let outcome = agent
        .run("j", json!({"command": ["echo", "$(id)", "; exit 1"]}))
        .await;
    assert_eq!(outcome.output_tail, "$(id) ; exit 1\n");
}

#[tokio::test]
async fn a_missing_program_or_directory_is_said() {
    let agent = Agent::new();
    let outcome = agent
        .run("a", json!({"command": ["no-such-program"]}))
        .await;
    assert_eq!(
        (outcome.status, outcome.exit_code),
        (OutcomeStatus::Failure, Some(127))
    );
    assert!(outcome.message.contains("not found"), "{outcome:?}");

    let outcome = agent
        .run(
            "b",
            json!({"command": "true", "workingDirectory": "/no/such"}),
        )
        .await;
    assert_eq!(outcome.status, OutcomeStatus::InvalidIntegration);
    assert!(outcome.message.contains("`/no/such`"), "{outcome:?}");

    let outcome = agent.run("c", json!({"comand": "true"})).await;
    assert_eq!(outcome.status, OutcomeStatus::InvalidIntegration);
    assert!(outcome.message.contains("comand"), "{outcome:?}");
}

#[tokio::test]
async fn only_the_end_of_much_output_is_kept() {
    let agent = Agent::new();
    let outcome = agent
        .run("j", json!({"command": "seq 1 200000; echo last"}))
        .await;
    assert_eq!(outcome.status, OutcomeStatus::Successful);
    assert!(outcome.output_tail.len() <= 64 * 1024);
    assert!(outcome.output_tail.ends_with("\n200000\nlast\n"));
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    let agent = Agent::new();
    let (child, stubborn) = (agent.file("child"), agent.file("stubborn"));
    let script = format!(
        "sleep 600 & echo $! > {}; sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.1; done' & echo begun; wait",
        child.display(),
        stubborn.display()
    );
    let outcome = agent
        .run("j", json!({"command": script, "timeoutSeconds": 1}))
        .await;
    assert_eq!(outcome.status, OutcomeStatus::Failure);
    assert_eq!(outcome.code, Some(OutcomeCode::Timeout));
    assert!(outcome.output_tail.starts_with("begun\n"), "{outcome:?}");
    for file in [child, stubborn] {
        assert!(
            !read(&file).is_empty() && !runs(&read(&file)),
            "{}",
            file.display()
        );
    }
}

#[tokio::test]
async fn cancelling_ends_the_whole_group() {
    let agent = Agent::new();
    let child = agent.file("child");
    let script = format!("sleep 600 & echo $! > {}; wait", child.display());
    let (cancel, cancelled) = watch::channel(false);
    let (events, _) = mpsc::channel(1);
    let run = agent
        .exec
        .run(job("j", json!({"command": script})), events, cancelled);
    let cancel_later = async {
        until("the command began", async || !read(&child).is_empty()).await;
        cancel.send(true).unwrap();
    };
    let (outcome, ()) = tokio::join!(run, cancel_later);
    assert_eq!(outcome.status, OutcomeStatus::Cancelled, "{outcome:?}");
    assert_eq!((outcome.exit_code, outcome.signal), (Some(143), Some(15)));
    assert!(!runs(&read(&child)));
}

#[tokio::test]
async fn cancelled_before_the_start_nothing_runs() {
    let agent = Agent::new();
    let mark = agent.file("mark");
    let (_keep, cancelled) = watch::channel(true);
    let (events, _) = mpsc::channel(1);
    let config = json!({"command": ["touch", mark]});
    let outcome = agent.exec.run(job("j", config), events, cancelled).await;
    assert_eq!(outcome.status, OutcomeStatus::Cancelled);
    assert!(!mark.exists());
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let agent = Agent::new();
    let child = agent.file("child");
    let script = format!("sleep 600 & echo $! > {}", child.display());
    let outcome = agent.run("j", json!({"command": script})).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful);
    until("the child is gone", async || !runs(&read(&child))).await;
}

#[tokio::test]
async fn a_job_that_runs_already_is_not_run_beside_itself() {
    let agent = Agent::new();
    let runs = agent.file("runs");
    let config = json!({"command": format!("echo x >> {}; sleep 0.3", runs.display())});
    let (first, second) = tokio::join!(agent.run("j", config.clone()), agent.run("j", config));
    assert_eq!(first, second);
    assert_eq!(read(&runs), "x\n");
}
