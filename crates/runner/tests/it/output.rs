//! Output while a job runs.

use crate::fake::FakeServer;
use crate::{TestRunner, dir, until};
use std::fs;
use std::path::Path;

/// A shell line that says a word for each file `1`, `2` … that turns up, and ends with `end`.
fn talks(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "n=1; echo begun; while [ -d {dir} ] && [ ! -e {dir}/end ]; do \
         if [ -e {dir}/$n ]; then echo word $n; n=$((n+1)); fi; sleep 0.02; done; echo the end"
    )
}

fn has(server: &FakeServer, text: &str) {
    until(text, || {
        let known = server.known();
        known
            .output
            .get("job")
            .is_some_and(|have| have.contains(text))
    });
}

const WHOLE: &str = "begun\nword 1\nword 2\nthe end\n";

#[test]
fn output_arrives_before_the_job_has_ended_and_once() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &talks(work.path()));
    let runner = TestRunner::start(&server, data.path());
    has(&server, "begun");
    assert_eq!(server.status("job"), "inProgress");
    fs::write(work.path().join("1"), "").unwrap();
    has(&server, "word 1");
    fs::write(work.path().join("2"), "").unwrap();
    has(&server, "word 2");
    fs::write(work.path().join("end"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
    let known = server.known();
    assert_eq!(known.output["job"], WHOLE);
    assert_eq!(known.jobs["job"].output_tail.as_deref(), Some(WHOLE));
    assert!(
        known
            .pieces
            .iter()
            .all(|piece| piece.text.len() <= 16 * 1024)
    );
}

#[test]
fn a_killed_runner_goes_on_where_the_output_was() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &talks(work.path()));
    let runner = TestRunner::start(&server, data.path());
    has(&server, "begun");
    runner.kill();
    fs::write(work.path().join("1"), "").unwrap();
    let runner = TestRunner::start(&server, data.path());
    has(&server, "word 1");
    fs::write(work.path().join("2"), "").unwrap();
    has(&server, "word 2");
    fs::write(work.path().join("end"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
    let known = server.known();
    assert_eq!(known.output["job"], WHOLE);
    assert_eq!(known.jobs["job"].output_tail.as_deref(), Some(WHOLE));
}

#[test]
fn a_server_that_has_lost_the_output_gets_it_again() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &talks(work.path()));
    let runner = TestRunner::start(&server, data.path());
    has(&server, "begun");
    until("a heartbeat is held", || server.known().heartbeats_held > 0);
    server.vanish();
    server.known().output.clear();
    fs::write(work.path().join("1"), "").unwrap();
    server.go();
    has(&server, "begun\nword 1\n");
    fs::write(work.path().join("end"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
}

#[test]
fn much_output_leaves_a_gap_and_does_not_hold_up_the_job() {
    let (server, data) = (FakeServer::start(), dir());
    server.add_job("job", "seq 1 200000");
    let runner = TestRunner::start(&server, data.path());
    until("done", || server.status("job") == "successful");
    runner.stop();
    let known = server.known();
    assert!(known.output["job"].ends_with("199999\n200000\n"));
    let sent: usize = known.pieces.iter().map(|piece| piece.text.len()).sum();
    assert!(sent < 400 * 1024, "{sent}");
}
