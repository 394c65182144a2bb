//! The `exec` agent keeping services running.

use crate::exec::{Agent, job, read, runs};
use crate::support::{free_port, until};
use serde_json::{Value, json};
use stagegate_integrations::agents::exec::{OutcomeCode, OutcomeStatus, ServiceStatus};
use tokio::sync::{mpsc, watch};

const NAME: &str = "web@eu/host-1";

/// The sample service on `port`, ready when it answers.
fn sample(port: u16, version: &str, more: &[&str]) -> Value {
    let port_text = port.to_string();
    let mut command = vec![
        env!("CARGO_BIN_EXE_stagegate-sample-service"),
        "--port",
        &port_text,
        "--version",
        version,
    ];
    command.extend(more);
    json!({"service": {
        "command": command, "readyUrl": format!("http://127.0.0.1:{port}/health"),
        "readyTimeoutSeconds": 30, "minUptimeMs": 50
    }})
}

async fn about(port: u16) -> Option<Value> {
    let client = stagegate_integrations::http::client().unwrap();
    let response = client
        .get(format!("http://127.0.0.1:{port}/"))
        .send()
        .await
        .ok()?;
    serde_json::from_str(&response.text().await.ok()?).ok()
}

impl Agent {
    fn service(&self) -> Option<ServiceStatus> {
        self.exec
            .services()
            .into_iter()
            .find(|service| service.name == NAME)
    }

    fn pid(&self) -> String {
        self.service().unwrap().pid.to_string()
    }
}

#[tokio::test]
async fn a_new_version_replaces_the_old_and_no_orphan_stays() {
    let (agent, port) = (Agent::new(), free_port().await);
    let first = agent.run("j1", sample(port, "v1", &[])).await;
    assert_eq!(first.status, OutcomeStatus::Successful, "{first:?}");
    assert!(first.output_tail.contains("\"listening\""), "{first:?}");
    let old = agent.pid();
    let said = about(port).await.unwrap();
    assert_eq!(
        (&said["version"], &said["promotionId"]),
        (&json!("v1"), &json!("promotion-1"))
    );

    let second = agent.run("j2", sample(port, "v2", &[])).await;
    assert_eq!(second.status, OutcomeStatus::Successful, "{second:?}");
    assert_eq!(about(port).await.unwrap()["version"], "v2");
    assert!(!runs(&old));
    let service = agent.service().unwrap();
    assert!(service.alive && service.restarts == 0);

    agent.exec.stop_all_services().await.unwrap();
    assert!(!runs(&service.pid.to_string()));
    assert!(agent.exec.services().is_empty());
    assert!(about(port).await.is_none());
}

#[tokio::test]
async fn an_unhealthy_service_is_ready_for_verification_to_judge() {
    let (agent, port) = (Agent::new(), free_port().await);
    let outcome = agent.run("j", sample(port, "v1", &["--unhealthy"])).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    agent.exec.stop_all_services().await.unwrap();
}

#[tokio::test]
async fn a_service_that_ends_before_it_is_ready_fails_with_its_last_words() {
    let agent = Agent::new();
    let config = json!({"service": {"command": "echo no config >&2; exit 9"}});
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.status, OutcomeStatus::Failure);
    assert_eq!(
        (outcome.code, outcome.exit_code),
        (Some(OutcomeCode::ServiceDied), Some(9))
    );
    assert_eq!(outcome.output_tail, "no config\n");
    assert!(agent.service().is_none());
}

#[tokio::test]
async fn a_service_that_never_answers_is_stopped_with_all_its_children() {
    let (agent, port) = (Agent::new(), free_port().await);
    let child = agent.file("child");
    let config = json!({"service": {
        "command": format!("sleep 600 & echo $! > {}; echo waiting; wait", child.display()),
        "readyPort": port, "readyTimeoutSeconds": 1
    }});
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.code, Some(OutcomeCode::NotReady), "{outcome:?}");
    assert!(
        outcome.message.contains(&format!("port {port}")),
        "{outcome:?}"
    );
    assert_eq!(outcome.output_tail, "waiting\n");
    assert!(!runs(&read(&child)));
    assert!(agent.service().is_none());
}

#[tokio::test]
async fn a_port_that_someone_else_holds_proves_nothing() {
    let agent = Agent::new();
    let stranger = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = stranger.local_addr().unwrap().port();
    let config = json!({"service": {"command": "sleep 600", "readyPort": port}});
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.code, Some(OutcomeCode::PortInUse), "{outcome:?}");
    assert!(agent.service().is_none());
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed() {
    let agent = Agent::new();
    let deaf = json!({"service": {
        "command": "trap '' TERM; while :; do sleep 0.1; done", "stopTimeoutSeconds": 0
    }});
    agent.run("j1", deaf.clone()).await;
    let old = agent.pid();
    let outcome = agent.run("j2", deaf).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    assert!(!runs(&old));
    agent.exec.stop_all_services().await.unwrap();
}

#[tokio::test]
async fn cancelling_leaves_the_service_stopped() {
    let (agent, port) = (Agent::new(), free_port().await);
    let pid = agent.file("pid");
    let config = json!({"service": {
        "command": format!("echo $$ > {}; exec sleep 600", pid.display()),
        "readyPort": port, "readyTimeoutSeconds": 600
    }});
    let (cancel, cancelled) = watch::channel(false);
    let (events, _) = mpsc::channel(1);
    let run = agent.exec.run(job("j", config), events, cancelled);
    let cancel_later = async {
        until("the service began", async || !read(&pid).is_empty()).await;
        cancel.send(true).unwrap();
    };
    let (outcome, ()) = tokio::join!(run, cancel_later);
    assert_eq!(outcome.status, OutcomeStatus::Cancelled, "{outcome:?}");
    assert!(!runs(&read(&pid)));
    assert!(agent.service().is_none());
}

#[tokio::test]
async fn a_service_that_dies_is_restarted() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let old = agent.pid();
    kill(&old);
    until("it serves again", async || about(port).await.is_some()).await;
    let service = agent.service().unwrap();
    assert_eq!((service.alive, service.restarts), (true, 1));
    assert_ne!(service.pid.to_string(), old);
    let log = read(&agent.file("state/jobs/j/service.log"));
    assert!(
        log.contains("stagegate: was ended by signal 9; restarting in 0.5 s"),
        "{log}"
    );
    agent.exec.stop_all_services().await.unwrap();
    assert!(about(port).await.is_none());
}

#[tokio::test]
async fn the_next_runner_adopts_live_services_and_supervises_them() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let pid = agent.pid();
    let agent = agent.next_runner();
    assert!(runs(&pid), "the service outlives its runner");
    let recovered = agent.exec.recover().await.unwrap();
    assert_eq!(recovered.services_adopted, [NAME]);
    assert_eq!(agent.pid(), pid);

    kill(&pid);
    until("it serves again", async || {
        about(port).await.is_some() && agent.service().unwrap().restarts == 1
    })
    .await;
    let outcome = agent.run("j2", sample(port, "v2", &[])).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    assert_eq!(about(port).await.unwrap()["version"], "v2");
    agent.exec.stop_all_services().await.unwrap();
}

#[tokio::test]
async fn the_next_runner_restarts_services_that_died_meanwhile() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let pid = agent.pid();
    let agent = agent.next_runner();
    kill(&pid);
    until("it is gone", async || !runs(&pid)).await;
    let recovered = agent.exec.recover().await.unwrap();
    assert_eq!(recovered.services_restarting, [NAME]);
    until("it serves again", async || about(port).await.is_some()).await;
    agent.exec.stop_all_services().await.unwrap();
}

#[tokio::test]
async fn a_recycled_process_id_is_never_killed() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let real = agent.pid();
    let agent = agent.next_runner();
    // A stranger, leading a group of its own, now has the number that the record names.
    use std::os::unix::process::CommandExt as _;
    let mut stranger = std::process::Command::new("sleep")
        .arg("600")
        .process_group(0)
        .spawn()
        .unwrap();
    let file = agent.file("state/services/web@eu%2fhost-1.json");
    let mut record: Value = serde_json::from_str(&read(&file)).unwrap();
    record["process"]["pid"] = json!(stranger.id());
    std::fs::write(&file, record.to_string()).unwrap();
    agent.exec.stop_all_services().await.unwrap();
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "the stranger was killed"
    );
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    kill(&real);
}

#[tokio::test]
async fn an_interrupted_start_is_gone_on_with_and_not_repeated() {
    let (agent, port) = (Agent::new(), free_port().await);
    let (starts, go) = (agent.file("starts"), agent.file("go"));
    let script = format!(
        "echo $$ >> {}; while [ ! -e {} ]; do sleep 0.05; done; exec {} --port {port}",
        starts.display(),
        go.display(),
        env!("CARGO_BIN_EXE_stagegate-sample-service"),
    );
    let config =
        json!({"service": {"command": script, "readyPort": port, "readyTimeoutSeconds": 60}});
    agent.begin("j", config.clone(), &starts).await;
    let agent = agent.next_runner();
    let recovered = agent.exec.recover().await.unwrap();
    assert_eq!(
        (recovered.services_adopted, recovered.unfinished_jobs),
        (vec![NAME.to_owned()], vec!["j".to_owned()])
    );
    std::fs::write(&go, "").unwrap();
    let outcome = agent.run("j", config).await;
    assert_eq!(outcome.status, OutcomeStatus::Successful, "{outcome:?}");
    assert_eq!(read(&starts), format!("{}\n", agent.pid()));
    agent.exec.stop_all_services().await.unwrap();
}

#[tokio::test]
async fn stopping_reaches_services_that_were_never_recovered() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let pid = agent.pid();
    let agent = agent.next_runner();
    agent.exec.stop_all_services().await.unwrap();
    assert!(!runs(&pid));
    assert_eq!(
        agent.exec.recover().await.unwrap().services_restarting,
        [""; 0]
    );
}

#[tokio::test]
async fn one_damaged_record_does_not_keep_the_others_down() {
    let (agent, port) = (Agent::new(), free_port().await);
    agent.run("j", sample(port, "v1", &[])).await;
    let agent = agent.next_runner();
    std::fs::write(agent.file("state/services/other.json"), "{").unwrap();
    let recovered = agent.exec.recover().await.unwrap();
    assert_eq!(recovered.services_adopted, [NAME]);
    assert!(recovered.damaged[0].contains("other.json"), "{recovered:?}");
    agent.exec.stop_all_services().await.unwrap();
}

fn kill(pid: &str) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", pid])
        .status();
    assert!(killed.unwrap().success());
}
