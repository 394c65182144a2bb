//! The `exec` agent when runners die: nothing is lost, nothing runs twice.

use crate::exec::{Agent, job, read, runs};
use crate::support::until;
use serde_json::{Value, json};
use stagegate_integrations::agents::exec::{ExecAgent, Outcome, OutcomeCode, OutcomeStatus};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

#[tokio::test]
async fn a_finished_job_is_never_run_again() {
    let agent = Agent::new();
    let count = agent.file("count");
    let config = json!({"command": format!("echo x >> {}; echo said; exit 4", count.display())});
    let first = agent.run("j", config.clone()).await;
    let agent = agent.next_runner();
    assert_eq!(agent.run("j", config).await, first);
    assert_eq!(read(&count), "x\n");
    assert_eq!(agent.exec.recover().await.unwrap().unfinished_jobs, [""; 0]);
}

#[tokio::test]
async fn a_command_that_still_runs_is_waited_for() {
    let agent = Agent::new();
    let (count, go) = (agent.file("count"), agent.file("go"));
    let script = format!(
        "echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit 5",
        count.display(),
        go.display()
    );
    let config = json!({"command": script});
    agent.begin("j", config.clone(), &count).await;
    let agent = agent.next_runner();
    assert_eq!(agent.exec.recover().await.unwrap().unfinished_jobs, ["j"]);
    let finish = async { std::fs::write(&go, "").unwrap() };
    let (outcome, ()) = tokio::join!(agent.run("j", config), finish);
    assert_eq!(
        (outcome.status, outcome.exit_code),
        (OutcomeStatus::Failure, Some(5))
    );
    assert_eq!(outcome.output_tail, "done\n");
    assert_eq!(read(&count), "x\n");
}

#[tokio::test]
async fn a_command_that_ended_meanwhile_keeps_its_exit_code() {
    let agent = Agent::new();
    let (count, go) = (agent.file("count"), agent.file("go"));
    let script = format!(
        "echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done",
        count.display(),
        go.display()
    );
    let config = json!({"command": script});
    agent.begin("j", config.clone(), &count).await;
    let agent = agent.next_runner();
    std::fs::write(&go, "").unwrap();
    let exit = agent.file("state/jobs/j/exit");
    until("the exit code is written", async || read(&exit) == "0\n").await;
    let outcome = agent.run("j", config).await;
    assert_eq!(
        (outcome.status, outcome.exit_code),
        (OutcomeStatus::Successful, Some(0))
    );
    assert_eq!(read(&count), "x\n");
}

/// A command that ran under an earlier runner and was killed, wrapper and all, before the next began.
async fn killed_meanwhile() -> (Agent, Value) {
    let agent = Agent::new();
    let (count, pid) = (agent.file("count"), agent.file("pid"));
    let again = agent.file("again");
    // The parent is the wrapper, which leads the group.
    let script = format!(
        "echo x >> {}; echo $PPID > {}; [ -e {} ] || sleep 600",
        count.display(),
        pid.display(),
        again.display(),
    );
    let config = json!({"command": script});
    agent.begin("j", config.clone(), &pid).await;
    until("the pid is written", async || read(&pid).ends_with('\n')).await;
    let agent = agent.next_runner();
    let group = format!("-{}", read(&pid).trim());
    let killed = std::process::Command::new("kill")
        .args(["-KILL", "--", &group])
        .status();
    assert!(killed.unwrap().success());
    std::fs::write(again, "").unwrap();
    (agent, config)
}

#[tokio::test]
async fn a_command_that_was_killed_meanwhile_has_an_unknown_outcome_and_is_not_repeated() {
    let (agent, config) = killed_meanwhile().await;
    let outcome = agent.run("j", config.clone()).await;
    assert_eq!(outcome.status, OutcomeStatus::Failure);
    assert_eq!(
        outcome.code,
        Some(OutcomeCode::OutcomeUnknown),
        "{outcome:?}"
    );
    assert!(
        outcome.message.starts_with("outcome unknown: "),
        "{outcome:?}"
    );
    assert_eq!(agent.run("j", config).await, outcome);
    assert_eq!(read(&agent.file("count")), "x\n");
}

#[tokio::test]
async fn a_command_that_was_never_let_go_is_started() {
    let (agent, config) = killed_meanwhile().await;
    std::fs::remove_file(agent.file("state/jobs/j/launched")).unwrap();
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    assert_eq!(read(&agent.file("count")), "x\nx\n");
}

#[tokio::test]
async fn after_a_reboot_a_missing_mark_proves_nothing() {
    let (agent, config) = killed_meanwhile().await;
    std::fs::remove_file(agent.file("state/jobs/j/launched")).unwrap();
    let file = agent.file("state/jobs/j/state.json");
    let mut state: Value = serde_json::from_str(&read(&file)).unwrap();
    state["process"]["bootId"] = json!("the boot before");
    std::fs::write(&file, state.to_string()).unwrap();
    let outcome = agent.run("j", config).await;
    assert_eq!(
        outcome.code,
        Some(OutcomeCode::OutcomeUnknown),
        "{outcome:?}"
    );
    assert_eq!(read(&agent.file("count")), "x\n");
}

#[tokio::test]
async fn a_stop_that_was_begun_is_finished() {
    let agent = Agent::new();
    let pid = agent.file("pid");
    let config = json!({"command": format!("echo $$ > {}; sleep 600", pid.display())});
    agent.begin("j", config.clone(), &pid).await;
    let agent = agent.next_runner();
    let file = agent.file("state/jobs/j/state.json");
    let mut state: Value = serde_json::from_str(&read(&file)).unwrap();
    state["phase"] = json!("stopping");
    state["why"] = json!("cancelled");
    std::fs::write(&file, state.to_string()).unwrap();
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.status, OutcomeStatus::Cancelled, "{outcome:?}");
    assert!(!read(&pid).is_empty() && !runs(&read(&pid)));
}

#[tokio::test]
async fn a_recovered_command_keeps_its_deadline_even_if_nobody_asks_for_it() {
    let agent = Agent::new();
    let pid = agent.file("pid");
    let config =
        json!({"command": format!("echo $$ > {}; sleep 600", pid.display()), "timeoutSeconds": 2});
    agent.begin("j", config.clone(), &pid).await;
    let agent = agent.next_runner();
    agent.exec.recover().await.unwrap();
    until("the command is ended", async || {
        !read(&pid).is_empty() && !runs(&read(&pid))
    })
    .await;
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.code, Some(OutcomeCode::Timeout), "{outcome:?}");
}

/// The job as it is claimed again after the lease of the first claim was lost.
async fn run_again(agent: &Agent, config: Value) -> Outcome {
    let (_keep, cancel) = watch::channel(false);
    let (events, _) = mpsc::channel(1);
    let mut again = job("j", config);
    again.epoch += 1;
    assert!(!agent.exec.has_begun("j", again.epoch));
    agent.exec.run(again, events, cancel).await
}

#[tokio::test]
async fn a_job_that_was_handed_out_again_is_done_again() {
    let agent = Agent::new();
    let count = agent.file("count");
    let config =
        json!({"command": format!("echo x >> {0}; [ $(wc -l < {0}) = 2 ]", count.display())});
    let first = agent.run("j", config.clone()).await;
    assert_eq!(first.exit_code, Some(1), "{first:?}");
    let agent = agent.next_runner();
    assert!(agent.exec.has_begun("j", 7));
    let second = run_again(&agent, config.clone()).await;
    assert_eq!(second.status, OutcomeStatus::Successful, "{second:?}");
    // Whoever still holds the first claim does nothing.
    let late = agent.run("j", config).await;
    assert_eq!(late.status, OutcomeStatus::Cancelled, "{late:?}");
    assert_eq!(read(&count), "x\nx\n");
}

#[tokio::test]
async fn what_an_earlier_claim_left_running_is_ended_before_the_job_is_done_again() {
    let agent = Agent::new();
    let pids = agent.file("pids");
    let config = json!({"command": format!("echo $$ >> {0}; [ $(wc -l < {0}) = 2 ] || sleep 600", pids.display())});
    agent.begin("j", config.clone(), &pids).await;
    until("the pid is written", async || read(&pids).ends_with('\n')).await;
    let agent = agent.next_runner();
    agent.exec.recover().await.unwrap();
    let second = run_again(&agent, config).await;
    assert_eq!(second.status, OutcomeStatus::Successful, "{second:?}");
    let first = read(&pids).lines().next().unwrap().to_owned();
    assert!(!runs(&first));
}

#[tokio::test]
async fn a_damaged_record_is_never_taken_for_a_new_job() {
    let agent = Agent::new();
    let mark = agent.file("mark");
    let state = agent.file("state/jobs/j");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("state.json"), "{").unwrap();
    let outcome = agent.run("j", json!({"command": ["touch", mark]})).await;
    assert_eq!(outcome.code, Some(OutcomeCode::OutcomeUnknown));
    assert!(!mark.exists());
}

const RUNNER_DIR: &str = "STAGEGATE_TEST_RUNNER_DIR";

fn counting(root: &std::path::Path) -> serde_json::Value {
    json!({"command": format!("echo x >> {}; sleep 0.1; exit 6", root.join("count").display())})
}

/// Not a test of its own: what [`killing_the_runner_at_any_moment_neither_loses_nor_doubles`] kills.
#[tokio::test]
#[ignore = "a process for another test"]
async fn runner_to_be_killed() {
    let Some(root) = std::env::var_os(RUNNER_DIR).map(PathBuf::from) else {
        return;
    };
    let agent = ExecAgent::new(root.join("state")).unwrap();
    let (_keep, cancel) = watch::channel(false);
    let (events, _) = mpsc::channel(1);
    std::fs::write(root.join("begun"), "").unwrap();
    agent.run(job("j", counting(&root)), events, cancel).await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killing_the_runner_at_any_moment_neither_loses_nor_doubles() {
    for delay_ms in [0, 1, 2, 3, 4, 6, 8, 12, 20, 40, 90, 150] {
        let root = tempfile::tempdir().unwrap();
        let mut runner = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "exec_durability::runner_to_be_killed",
            ])
            .env(RUNNER_DIR, root.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let begun = root.path().join("begun");
        until("the runner began", async || begun.exists()).await;
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        runner.kill().unwrap();
        runner.wait().unwrap();

        let exec = ExecAgent::new(root.path().join("state")).unwrap();
        let agent = Agent { exec, root };
        agent.exec.recover().await.unwrap();
        let outcome = agent.run("j", counting(agent.root.path())).await;
        assert_eq!(
            outcome.exit_code,
            Some(6),
            "after {delay_ms} ms: {outcome:?}"
        );
        assert_eq!(read(&agent.file("count")), "x\n", "after {delay_ms} ms");
    }
}
