//! The runner against a small fake server, with real processes.

mod fake;
mod lease;
mod output;

use fake::{FakeServer, KEY};
use stagegate_runner::{RunnerError, RunnerEvent, RunnerOptions, run};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Generous: only a test that fails waits so long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// A runner with a runtime of its own, so that it can be killed between any two instructions that wait.
struct TestRunner {
    runtime: Runtime,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<Result<(), RunnerError>>,
    events: Arc<Mutex<Vec<RunnerEvent>>>,
}

impl TestRunner {
    fn start(server: &FakeServer, data_dir: &Path) -> Self {
        Self::start_with(server, data_dir, |_| {})
    }

    fn start_with(
        server: &FakeServer,
        data_dir: &Path,
        change: impl FnOnce(&mut RunnerOptions),
    ) -> Self {
        let events: Arc<Mutex<Vec<RunnerEvent>>> = Arc::default();
        let told = Arc::clone(&events);
        let mut options = RunnerOptions::new(server.url(), KEY, "w", "shell", data_dir)
            .on_event(move |event| told.lock().unwrap().push(event.clone()));
        options.poll_wait_seconds = 2;
        change(&mut options);
        let runtime = Runtime::new().unwrap();
        let (shutdown, asked) = watch::channel(false);
        let task = runtime.spawn(run(options, asked));
        Self {
            runtime,
            shutdown,
            task,
            events,
        }
    }

    fn saw(&self, fits: impl Fn(&RunnerEvent) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(fits)
    }

    /// As SIGKILL would: nothing more happens, and nothing is tidied up.
    fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }

    /// Asks it to stop and waits until it has.
    fn stop(self) -> Vec<RunnerEvent> {
        self.shutdown.send_replace(true);
        until("the runner ends", || self.task.is_finished());
        self.runtime.block_on(self.task).unwrap().unwrap();
        let events = self.events.lock().unwrap();
        events.clone()
    }

    fn error(self) -> RunnerError {
        until("the runner ends", || self.task.is_finished());
        self.runtime.block_on(self.task).unwrap().unwrap_err()
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A shell line that waits for `go` in `dir`, then adds a line to `ran`. It ends with the directory, so that a
/// failed test leaves nothing running.
fn waits_for_go(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "echo > {dir}/begun; while [ -d {dir} ] && [ ! -e {dir}/go ]; do sleep 0.02; done; echo once >> {dir}/ran; echo all done"
    )
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn unreported(data_dir: &Path) -> usize {
    fs::read_dir(data_dir.join("unreported")).map_or(0, Iterator::count)
}

#[test]
fn a_job_is_claimed_begun_done_and_reported() {
    let (server, data) = (FakeServer::start(), dir());
    let runner = TestRunner::start(&server, data.path());
    // Added while a poll waits.
    until("ready", || {
        runner.saw(|e| matches!(e, RunnerEvent::Ready { .. }))
    });
    server.add_job("good", "echo hello from $STAGEGATE_DEPLOYMENT");
    server.add_job("bad", "echo oh no >&2; exit 3");
    until("good ends", || server.status("good") == "successful");
    until("bad ends", || server.status("bad") == "failure");
    {
        let known = server.known();
        let name = known.claims[0].1.clone();
        assert!(!name.is_empty());
        let of = |id: &str| -> Vec<(String, Option<String>)> {
            let reports = known.reports.iter().filter(|(job, _)| job == id);
            reports
                .map(|(_, report)| (report.status.clone(), report.runner.clone()))
                .collect()
        };
        let named = |status: &str| (status.to_owned(), Some(name.clone()));
        assert_eq!(of("good"), [named("inProgress"), named("successful")]);
        assert_eq!(of("bad"), [named("inProgress"), named("failure")]);
        let tail = |id: &str| known.jobs[id].output_tail.clone().unwrap_or_default();
        assert!(tail("good").contains("hello from web"), "{}", tail("good"));
        assert!(tail("bad").contains("oh no"), "{}", tail("bad"));
        let message = known.jobs["bad"].message.clone().unwrap();
        assert!(message.contains('3'), "{message}");
    }
    until("the journal is empty", || unreported(data.path()) == 0);
    assert!(
        runner.saw(|e| matches!(e, RunnerEvent::Output { text, .. } if text.contains("hello")))
    );
    let events = runner.stop();
    assert!(events.iter().all(|event| !event.to_string().contains(KEY)));
}

#[test]
fn jobs_go_on_while_the_server_is_away() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("long", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.vanish();
    fs::write(work.path().join("go"), "").unwrap();
    until("finished without the server", || {
        runner.saw(|e| matches!(e, RunnerEvent::Finished { .. }))
    });
    until("noticed", || {
        runner.saw(|e| matches!(e, RunnerEvent::ServerLost { .. }))
    });
    assert_ne!(server.status("long"), "successful");
    server.go();
    until("reported late", || server.status("long") == "successful");
    server.add_job("next", "true");
    until("asks again", || server.status("next") == "successful");
    assert_eq!(lines(&work.path().join("ran")), 1);
    let events = runner.stop();
    assert!(events.contains(&RunnerEvent::ServerBack));
}

#[test]
fn a_report_is_repeated_until_it_is_acknowledged() {
    let (server, data) = (FakeServer::start(), dir());
    server.known().reports_failing = 3;
    server.add_job("job", "true");
    let runner = TestRunner::start(&server, data.path());
    until("reported", || server.status("job") == "successful");
    assert_eq!(server.known().reports_failing, 0);
    assert_eq!(server.known().ends("job").len(), 1);
    runner.stop();
}

#[test]
fn a_job_of_another_runner_is_left_alone() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.add_job("theirs", &format!("echo once >> {}", ran.display()));
    server.known().jobs.get_mut("theirs").unwrap().runner = Some("quicker".to_owned());
    let runner = TestRunner::start(&server, data.path());
    until("skipped", || {
        runner.saw(|e| matches!(e, RunnerEvent::NotClaimed { .. }))
    });
    server.add_job("ours", "true");
    until("the next is done", || server.status("ours") == "successful");
    let tries = server
        .known()
        .claims
        .iter()
        .filter(|(job, _)| job == "theirs")
        .count();
    assert!(tries < 20, "{tries} claims: no pause between them");
    runner.stop();
    assert_eq!(lines(&ran), 0);
    assert_eq!(unreported(data.path()), 0);
    assert!(
        server
            .known()
            .reports
            .iter()
            .all(|(job, _)| job != "theirs")
    );
}

#[test]
fn a_killed_runner_goes_on_with_its_job() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("long", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    runner.kill();
    fs::write(work.path().join("go"), "").unwrap();
    until("the process goes on alone", || {
        work.path().join("ran").exists()
    });
    assert_eq!(server.status("long"), "inProgress");
    let runner = TestRunner::start(&server, data.path());
    until("reported", || server.status("long") == "successful");
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 1);
    let known = server.known();
    assert_eq!(known.claims.len(), 1, "the same runner kept its claim");
    let tail = known.jobs["long"].output_tail.clone().unwrap();
    assert!(tail.contains("all done"), "{tail}");
}

#[test]
fn an_end_that_was_not_reported_survives_a_kill() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.vanish();
    fs::write(work.path().join("go"), "").unwrap();
    until("finished", || {
        runner.saw(|e| matches!(e, RunnerEvent::Finished { .. }))
    });
    runner.kill();
    // Away at the start, too.
    let runner = TestRunner::start(&server, data.path());
    until("noticed", || {
        runner.saw(|e| matches!(e, RunnerEvent::ServerLost { .. }))
    });
    server.go();
    until("reported", || server.status("job") == "successful");
    until("the journal is empty", || unreported(data.path()) == 0);
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 1);
}

#[test]
fn a_claim_whose_answer_was_lost_is_claimed_again() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.known().claims_unanswered = 2;
    server.add_job("job", &format!("echo once >> {}", ran.display()));
    let runner = TestRunner::start(&server, data.path());
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&ran), 1);
    assert_eq!(server.known().claims.len(), 3);
}

#[test]
fn a_claim_made_just_before_a_kill_is_found_again() {
    let (mut server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.known().claims_unanswered = usize::MAX;
    server.add_job("job", &format!("echo once >> {}", ran.display()));
    let runner = TestRunner::start(&server, data.path());
    until("claimed", || !server.known().claims.is_empty());
    server.vanish();
    runner.kill();
    assert_eq!(unreported(data.path()), 1);
    server.known().claims_unanswered = 0;
    server.go();
    let runner = TestRunner::start(&server, data.path());
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&ran), 1);
}

#[test]
fn a_job_whose_records_are_lost_is_not_done_again() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let ran = work.path().join("ran");
    server.add_job("job", &format!("echo once >> {}", ran.display()));
    {
        let mut known = server.known();
        let job = known.jobs.get_mut("job").unwrap();
        job.status = "inProgress".to_owned();
        job.runner = Some("eu-1".to_owned());
    }
    let runner = TestRunner::start_with(&server, data.path(), |options| {
        options.name = Some("eu-1".to_owned());
    });
    until("reported", || server.status("job") == "failure");
    let message = server.known().jobs["job"].message.clone().unwrap();
    assert!(message.contains("outcome unknown"), "{message}");
    runner.stop();
    assert_eq!(lines(&ran), 0);
}

#[test]
fn a_job_cancelled_at_the_server_is_stopped() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    server.known().jobs.get_mut("job").unwrap().status = "cancelled".to_owned();
    until("stopped", || {
        runner.saw(|e| matches!(e, RunnerEvent::Finished { status, .. } if status == "cancelled"))
    });
    until("reported all the same", || unreported(data.path()) == 0);
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 0);
}

#[test]
fn no_more_jobs_run_at_once_than_allowed() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let lock = work.path().join("lock");
    let line = format!("mkdir {0} || exit 9; sleep 0.1; rmdir {0}", lock.display());
    let ids = ["a", "b", "c"];
    for id in ids {
        server.add_job(id, &line);
    }
    let runner = TestRunner::start_with(&server, data.path(), |options| options.concurrency = 1);
    for id in ids {
        until("ended", || server.known().jobs[id].has_ended());
        assert_eq!(server.status(id), "successful", "{id}");
    }
    runner.stop();
}

#[test]
fn stopping_leaves_jobs_to_the_next_start() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start(&server, data.path());
    until("begun", || work.path().join("begun").exists());
    let events = runner.stop();
    assert!(events.contains(&RunnerEvent::Stopping { running: 1 }));
    assert_eq!(server.status("job"), "inProgress");
    let runner = TestRunner::start(&server, data.path());
    fs::write(work.path().join("go"), "").unwrap();
    until("done", || server.status("job") == "successful");
    runner.stop();
    assert_eq!(lines(&work.path().join("ran")), 1);
}

#[test]
fn stopping_can_end_jobs_with_the_runner() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    server.add_job("job", &waits_for_go(work.path()));
    let runner = TestRunner::start_with(&server, data.path(), |options| {
        options.stop_services_on_exit = true;
    });
    until("begun", || work.path().join("begun").exists());
    runner.stop();
    assert_eq!(server.status("job"), "cancelled");
    assert_eq!(unreported(data.path()), 0);
}

#[test]
fn services_outlive_the_runner_unless_told_otherwise() {
    let (server, data, work) = (FakeServer::start(), dir(), dir());
    let pid = work.path().join("pid");
    let line = format!("echo $$ > {}; exec sleep 1000", pid.display());
    let service = serde_json::json!({"service": {"command": line, "name": "web"}});
    server.add("job", service);
    let runner = TestRunner::start(&server, data.path());
    until("up", || server.status("job") == "successful");
    runner.stop();
    let pid = fs::read_to_string(pid).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    let runner = TestRunner::start_with(&server, data.path(), |options| {
        options.stop_services_on_exit = true;
    });
    until("ready", || {
        runner.saw(|e| matches!(e, RunnerEvent::Ready { .. }))
    });
    runner.stop();
    until("the service is gone", || {
        // One that nobody has waited for yet is gone, too.
        fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn a_runner_that_cannot_work_says_why() {
    let server = FakeServer::start();
    let refused = |change: fn(&mut RunnerOptions)| {
        let data = dir();
        TestRunner::start_with(&server, data.path(), change)
            .error()
            .to_string()
    };
    let error = refused(|options| options.agents = vec!["shel".to_owned()]);
    assert!(
        error.contains("`shel`") && error.contains("`shell`"),
        "{error}"
    );
    let error = refused(|options| options.agents = vec!["cloud".to_owned()]);
    assert!(error.contains("`webhook`"), "{error}");
    let error = refused(|options| options.key = "wrong".to_owned());
    assert!(error.contains("unauthorized"), "{error}");
    let error = refused(|options| options.agents.clear());
    assert!(error.contains("no job agent is named"), "{error}");
    let error = refused(|options| options.server = "localhost:80".to_owned());
    assert!(error.contains("`localhost:80`"), "{error}");

    let data = dir();
    let first = TestRunner::start(&server, data.path());
    until("ready", || {
        first.saw(|e| matches!(e, RunnerEvent::Ready { .. }))
    });
    let error = TestRunner::start(&server, data.path()).error().to_string();
    assert!(error.contains("another runner"), "{error}");
    first.stop();
}
