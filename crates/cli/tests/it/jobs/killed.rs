//! Server or runner killed (`kill -9`) at every step of a job's life: nothing is lost, nothing is done twice, and no
//! process is left behind.

use super::Site;
use stagegate_api::PromotionsQuery;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Runner,
    Both,
}

use Victim::{Both, Runner, Server};

/// Patient enough for everything here, with restarts on a machine under load.
const PATIENT: &str = "{ leaseSeconds: 60, graceSeconds: 120 }";

/// A report of a runner.
const REPORT: &str = "PUT /api/v1/";

impl Site {
    fn kill(&mut self, victim: Victim) {
        if victim != Server {
            self.kill_runner("eu-1");
        }
        if victim != Runner {
            self.kill_server();
            self.start_server();
        }
        if victim != Server {
            self.start_runner("eu-1");
        }
    }

    /// The job ends well, was done once, and leaves nothing behind.
    #[track_caller]
    fn ends_well(self) {
        self.touch("go");
        self.job("successful", |job| job.status == "successful");
        self.was_done_once();
        self.leaves_nothing_running();
    }

    #[track_caller]
    fn was_done_once(&self) {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        assert_eq!(self.lines("runs"), [jobs[0].id.as_str()], "{}", self.logs());
        assert_eq!(jobs[0].attempt, Some(1));
        self.until("the runner has nothing left to say", |site| {
            std::fs::read_dir(site.path("eu-1/unreported"))
                .unwrap()
                .count()
                == 0
        });
        self.run(&["audit", "verify"]).ok();
    }

    fn entry(&self) -> String {
        let folder = std::fs::read_dir(self.path("eu-1/unreported"));
        let file = folder.ok().and_then(|mut it| it.next());
        let text = file.and_then(|file| std::fs::read_to_string(file.ok()?.path()).ok());
        text.unwrap_or_default()
    }
}

/// A few at once: they mostly wait.
fn with_each_victim(tell: fn(Victim)) {
    std::thread::scope(|scope| {
        for victim in [Server, Runner, Both] {
            scope.spawn(move || tell(victim));
        }
    });
}

#[test]
fn while_a_job_is_pending() {
    with_each_victim(|victim| {
        let mut site = Site::new(PATIENT, "");
        site.start_runner("eu-1");
        // It does not ask for jobs now.
        site.until("the runner is ready", |site| {
            site.logs().contains("is ready")
        });
        site.signal("eu-1", "STOP");
        site.create("v1");
        site.job("pending", |job| job.status == "pending");
        site.kill(victim);
        if victim == Server {
            site.signal("eu-1", "CONT");
        }
        site.ends_well();
    });
}

#[test]
fn before_the_runner_has_found_the_server() {
    let mut site = Site::new(PATIENT, "");
    site.create("v1");
    site.kill_server();
    site.start_runner("eu-1");
    site.until("it tries again", |site| {
        site.logs().contains("trying again")
    });
    site.start_server();
    site.ends_well();
}

#[test]
fn when_it_is_claimed_and_its_process_is_not_started() {
    with_each_victim(|victim| {
        let mut site = Site::new(PATIENT, "");
        site.proxy.hold(REPORT);
        site.start_runner("eu-1");
        site.create("v1");
        site.until("the start is about to be told", |site| {
            site.proxy.count_held() == 1
        });
        assert_eq!(site.lines("runs").len(), 0);
        site.job("claimed", |job| job.runner.as_deref() == Some("eu-1"));
        site.kill(victim);
        site.proxy.release();
        site.ends_well();
    });
}

#[test]
fn while_its_process_runs() {
    with_each_victim(|victim| {
        let mut site = Site::new(PATIENT, "");
        site.start_runner("eu-1");
        site.create("v1");
        site.job_runs();
        site.kill(victim);
        site.ends_well();
    });
}

#[test]
fn when_its_process_has_ended_and_nothing_is_reported() {
    with_each_victim(|victim| {
        let mut site = Site::new(PATIENT, "");
        site.start_runner("eu-1");
        site.create("v1");
        site.job_runs();
        site.proxy.hold(REPORT);
        site.touch("go");
        site.until("the end is written down", |site| {
            site.entry().contains("\"report\"")
        });
        assert_eq!(site.jobs()[0].status, "inProgress");
        site.kill(victim);
        site.proxy.release();
        site.ends_well();
    });
}

#[test]
fn when_it_was_asked_to_stop() {
    with_each_victim(|victim| {
        let mut site = Site::new(PATIENT, "");
        site.start_runner("eu-1");
        site.create("v1");
        let job = site.job_runs();
        // It does not hear of it before the kill.
        site.signal("eu-1", "STOP");
        site.run(&["jobs", "cancel", &job.id, "--reason", "wrong host"])
            .ok();
        let asked = site.job("to stop", |job| job.cancel.is_some());
        assert_eq!(asked.status, "inProgress");
        assert_eq!(asked.cancel.unwrap().reason, "wrong host");
        site.kill(victim);
        if victim == Server {
            site.signal("eu-1", "CONT");
        }
        let ended = site.job("cancelled", |job| job.status == "cancelled");
        assert_eq!(ended.exit.unwrap().signal.as_deref(), Some("SIGTERM"));
        assert!(!site.script_runs(&site.lines("pids")[0]));
        site.was_done_once();
        site.leaves_nothing_running();
    });
}

#[test]
fn when_its_lease_is_lost() {
    with_each_victim(|victim| {
        let mut site = Site::new("{ leaseSeconds: 5, graceSeconds: 120 }", "");
        site.start_runner("eu-1");
        site.create("v1");
        site.job_runs();
        site.signal("eu-1", "STOP");
        let lost = site.job("lost", |job| job.lost_at.is_some());
        assert_eq!(lost.status, "inProgress");
        let why = site.run(&["jobs", "get", &lost.id]).ok();
        assert!(why.contains("the outcome is unknown"), "{why}");
        site.kill(victim);
        if victim == Server {
            site.signal("eu-1", "CONT");
        }
        site.job("found", |job| job.lost_at.is_none());
        site.ends_well();
    });
}

/// Answers every request with 200 and counts them.
fn health() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer);
        }
    });
    (port, count)
}

#[test]
fn while_its_verification_runs() {
    with_each_victim(|victim| {
        let (port, asked) = health();
        let policy = format!(
            r#"---
type: Policy
name: Verified
selector: "true"
rules:
  - verification:
      metrics:
        - name: health
          provider: {{ type: http, url: "http://127.0.0.1:{port}/" }}
          successCondition: result.statusCode == 200
          intervalSeconds: 1
          count: 4
"#
        );
        let mut site = Site::new(PATIENT, &policy);
        site.start_runner("eu-1");
        site.touch("go");
        site.create("v1");
        site.until("it is measured", |_| asked.load(Ordering::SeqCst) > 0);
        site.kill(victim);
        let promotion = site.eventually("the promotion ends", |site| {
            let query = PromotionsQuery::default();
            let all = site.in_workspace(|it| async move { it.promotions(&query).await.ok() });
            all?.items.into_iter().find(|it| !it.is_open())
        });
        assert_eq!(promotion.status, "succeeded", "{promotion:?}");
        site.ends_well();
    });
}
