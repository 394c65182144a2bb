//! Watching a job and stopping it.

use super::Site;
use crate::harness::PATIENCE;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

const LIMITS: &str = "{ leaseSeconds: 60, graceSeconds: 60 }";

/// `stagegate jobs logs -f`.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(site: &Site, job: &str) -> Self {
        let mut command = site.command(&["jobs", "logs", "-f", job]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    #[track_caller]
    fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        let rest = self.lines.iter().collect();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn output_is_seen_before_the_job_has_ended() {
    let mut site = Site::new(LIMITS, "");
    site.create("v1");
    // From before any runner has it.
    let job = site.job("pending", |job| job.status == "pending");
    let watching = Watching::start(&site, &job.id);
    site.start_runner("eu-1");
    assert_eq!(watching.line(), "begun");
    assert_eq!(site.jobs()[0].status, "inProgress");
    let so_far = site.run(&["jobs", "logs", &job.id]).ok();
    assert_eq!(so_far, "begun\n");
    site.touch("go");
    assert_eq!(watching.line(), "done");
    let (status, rest) = watching.ended();
    assert_eq!((status.code(), rest), (Some(0), Vec::new()));
    let after = site.run(&["jobs", "logs", &job.id]).ok();
    assert_eq!(after, "begun\ndone\n");
    let shown = site.run(&["jobs", "get", &job.id]).ok();
    assert!(
        shown.contains("code 0") && shown.contains("limits"),
        "{shown}"
    );
    site.leaves_nothing_running();
}

#[test]
fn watching_goes_on_over_a_killed_server_and_tells_of_a_failure() {
    let mut site = Site::new(LIMITS, "");
    site.start_runner("eu-1");
    site.create("v1");
    let job = site.job_runs();
    let watching = Watching::start(&site, &job.id);
    assert_eq!(watching.line(), "begun");
    site.kill_server();
    site.start_server();
    site.touch("fail");
    site.touch("go");
    assert_eq!(watching.line(), "done");
    let (status, rest) = watching.ended();
    assert_eq!((status.code(), rest), (Some(1), Vec::new()));
    let json = site.run(&["jobs", "logs", "-f", "-o", "json", &job.id]);
    assert_eq!(json.code, Some(1));
    let last: serde_json::Value =
        serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["status"]),
        (&"end".into(), &"failure".into())
    );
    site.leaves_nothing_running();
}

#[test]
fn a_cancel_reaches_the_process() {
    let mut site = Site::new(LIMITS, "");
    site.start_runner("eu-1");
    site.create("v1");
    let job = site.job_runs();
    let watching = Watching::start(&site, &job.id);
    assert_eq!(watching.line(), "begun");
    let told = site
        .run(&["jobs", "cancel", &job.id, "--reason", "wrong host"])
        .ok();
    assert!(
        told.contains("eu-1") || told.contains("cancelled"),
        "{told}"
    );
    let (status, _) = watching.ended();
    assert_eq!(status.code(), Some(1));
    assert!(!site.script_runs(&site.lines("pids")[0]));
    let job = site.job("cancelled", |job| job.status == "cancelled");
    assert_eq!(job.exit.unwrap().signal.as_deref(), Some("SIGTERM"));
    let shown = site.run(&["jobs", "get", &job.id]).ok();
    assert!(
        shown.contains("wrong host") && shown.contains("SIGTERM"),
        "{shown}"
    );
    let again = site.run(&["jobs", "cancel", &job.id]).failed(3);
    assert!(again.contains("[job_ended]"), "{again}");
    site.leaves_nothing_running();
}

#[test]
fn a_job_that_runs_too_long_is_stopped_and_fails() {
    let mut site = Site::new(
        "{ leaseSeconds: 60, graceSeconds: 60, runTimeoutSeconds: 2 }",
        "",
    );
    site.start_runner("eu-1");
    site.create("v1");
    let job = site.job("failed", |job| job.status == "failure");
    let message = job.message.unwrap_or_default();
    assert!(message.contains("longer than"), "{message}");
    assert!(!site.script_runs(&site.lines("pids")[0]));
    site.leaves_nothing_running();
}

#[test]
fn a_job_that_nobody_claims_fails_in_time() {
    let site = Site::new("{ startDeadlineSeconds: 1 }", "");
    site.create("v1");
    let job = site.job("failed", |job| job.status == "failure");
    let message = job.message.unwrap_or_default();
    assert!(message.contains("no runner claimed it"), "{message}");
    site.leaves_nothing_running();
}
