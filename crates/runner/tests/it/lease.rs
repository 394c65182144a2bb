//! Leases: who holds a job, and what becomes of its process when nobody does any more.

use crate::fake::FakeServer;
use crate::{TestRunner, dir, lines, unreported, until, waits_for_go};
use stagegate_runner::RunnerEvent;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether a process still mentions the directory in its command line.
fn runs_in(dir: &Path) -> bool {
    let name = dir.to_str().unwrap().as_bytes();
    fs::read_dir("/proc").unwrap().any(|entry| {
        let cmdline = entry.unwrap().path().join("cmdline");
        fs::read(cmdline).is_ok_and(|line| line.windows(name.len()).any(|part| part == name))
    })
}

fn dropped(event: &RunnerEvent) -> bool {
    matches!(event, RunnerEvent::Dropped { .. })
}

#[test]
fn a_cancel_reaches_the_process_through_the_heartbeat() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    // A heartbeat waits, for 10 s.
    until("a heartbeat came", || server.known().heartbeats > 0);
    server.ask_cancel("job");
    until("cancelled", || server.status("job") == "cancelled");
    until("the journal is empty", || unreported(data.path()) == 0);
    let events = runner.stop();
    assert!(events.iter().any(
        |event| matches!(event, RunnerEvent::Cancelling { why, .. } if why.contains("wrong host"))
    ));
    assert!(!runs_in(work.path()));
    assert_eq!(lines(&work.path().join("ran")), 0);
    let known = server.known();
    let ends = known.ends("job");
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].epoch, Some(1));
    let exit = ends[0].exit.clone().unwrap();
    assert_eq!(exit.signal.as_deref(), Some("SIGTERM"));
}

#[test]
fn a_cancel_that_comes_before_the_start_keeps_the_process_from_starting_or_ends_it() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    server.ask_cancel("job");
    let runner = TestRunner::start(&server, data.path());
    until("cancelled", || server.status("job") == "cancelled");
    runner.stop();
    assert!(!runs_in(work.path()));
}

#[test]
fn a_job_that_was_given_to_another_runner_is_stopped_and_nothing_is_said_of_it() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.requeue("job");
    {
        let mut known = server.known();
        let job = known.jobs.get_mut("job").unwrap();
        job.runner = Some("another".to_owned());
        job.status = "inProgress".to_owned();
    }
    until("dropped", || runner.saw(dropped));
    assert!(!runs_in(work.path()));
    assert_eq!(unreported(data.path()), 0);
    runner.stop();
    assert_eq!(server.status("job"), "inProgress");
    assert!(server.known().ends("job").is_empty());
}

#[test]
fn a_job_that_was_taken_away_is_claimed_and_done_anew() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.requeue("job");
    until("dropped", || runner.saw(dropped));
    fs::write(work.path().join("go"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 1);
    let known = server.known();
    assert_eq!(known.claims.len(), 2);
    let epochs: Vec<_> = known.ends("job").iter().map(|end| end.epoch).collect();
    assert_eq!(epochs, [Some(3)]);
}

#[test]
fn silence_stops_a_job_that_another_runner_may_get() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    server.set_limits("job", 2, 0, "requeue");
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.vanish();
    until("dropped", || runner.saw(dropped));
    assert!(!runs_in(work.path()));
    // Until the server has seen that, too, it is neither reported nor taken for lost records.
    server.go();
    until("the server is back", || {
        runner.saw(|event| matches!(event, RunnerEvent::ServerBack))
    });
    assert_eq!(unreported(data.path()), 1);
    server.requeue("job");
    fs::write(work.path().join("go"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 1);
    assert_eq!(server.known().ends("job").len(), 1);
}

#[test]
fn a_job_given_up_before_a_kill_stays_given_up() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    server.set_limits("job", 1, 0, "requeue");
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.vanish();
    until("dropped", || runner.saw(dropped));
    runner.kill();
    server.go();
    let runner = TestRunner::start(&server, data.path());
    until("ready", || {
        runner.saw(|event| matches!(event, RunnerEvent::Ready { .. }))
    });
    server.add_job("next", "true");
    until("the next is done", || server.status("next") == "successful");
    assert!(server.known().ends("job").is_empty());
    assert_eq!(server.status("job"), "inProgress");
    server.known().jobs.get_mut("job").unwrap().status = "failure".to_owned();
    until("the journal is empty", || unreported(data.path()) == 0);
    runner.stop();
    assert!(!runs_in(work.path()));
}

/// A claim in the journal of the runner `eu-1`, not begun, last heard of long ago.
fn old_claim(server: &FakeServer, data: &Path) {
    let job = {
        let mut known = server.known();
        let job = known.jobs.get_mut("job").unwrap();
        job.status = "queued".to_owned();
        job.runner = Some("eu-1".to_owned());
        job.epoch = Some(1);
        serde_json::to_value(&*job).unwrap()
    };
    let entry = serde_json::json!({"jobId": "job", "agentId": "agent-1", "job": job});
    fs::create_dir_all(data.join("unreported")).unwrap();
    let path = data.join("unreported/job.json");
    fs::write(&path, entry.to_string()).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(long_ago).unwrap();
}

#[test]
fn nothing_is_started_on_a_claim_that_was_taken_away_meanwhile() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.add_job("job", &format!("echo once >> {}", ran.display()));
    old_claim(&server, data.path());
    server.requeue("job");
    server.known().jobs.get_mut("job").unwrap().runner = Some("another".to_owned());
    let runner = TestRunner::start_with(&server, data.path(), |options| {
        options.name = Some("eu-1".to_owned());
    });
    until("dropped", || runner.saw(dropped));
    // It is said first, then forgotten.
    until("forgotten", || unreported(data.path()) == 0);
    runner.stop();
    assert_eq!(lines(&ran), 0);
}

#[test]
fn an_old_claim_that_still_stands_is_begun_once_the_server_says_so() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.add_job("job", &format!("echo once >> {}", ran.display()));
    old_claim(&server, data.path());
    server.vanish();
    let runner = TestRunner::start_with(&server, data.path(), |options| {
        options.name = Some("eu-1".to_owned());
    });
    until("noticed", || {
        runner.saw(|event| matches!(event, RunnerEvent::ServerLost { .. }))
    });
    assert_eq!(lines(&ran), 0);
    server.go();
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&ran), 1);
}
