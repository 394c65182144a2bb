//! Two runners for one agent: what the one that was thought dead may still do.

use super::Site;

#[test]
fn a_runner_that_wakes_up_late_neither_completes_the_job_nor_keeps_its_process() {
    let limits = "{ leaseSeconds: 5, graceSeconds: 1, onLostLease: requeue }";
    let mut site = Site::new(limits, "");
    site.start_runner("eu-1");
    site.create("v1");
    let job = site.job_runs();
    assert_eq!(job.runner.as_deref(), Some("eu-1"));
    site.start_runner("eu-2");
    site.signal("eu-1", "STOP");
    site.until("another runner has begun it", |site| {
        site.lines("runs").len() == 2
    });
    let again = site.job("taken over", |job| job.runner.as_deref() == Some("eu-2"));
    assert!(again.epoch > job.epoch);
    let pids = site.lines("pids");
    assert!(site.script_runs(&pids[0]) && site.script_runs(&pids[1]));

    site.signal("eu-1", "CONT");
    site.until("the first process is stopped", |site| {
        !site.script_runs(&pids[0])
    });
    site.until("the first runner has nothing to say", |site| {
        std::fs::read_dir(site.path("eu-1/unreported"))
            .unwrap()
            .count()
            == 0
    });
    let job = site.jobs().remove(0);
    assert_eq!(job.status, "inProgress", "{job:?}");
    assert_eq!(job.runner.as_deref(), Some("eu-2"));
    assert!(site.script_runs(&pids[1]));

    site.touch("go");
    let job = site.job("successful", |job| job.status == "successful");
    assert_eq!(job.runner.as_deref(), Some("eu-2"));
    assert_eq!(site.lines("runs"), [job.id.as_str(), job.id.as_str()]);
    assert_eq!(site.jobs().len(), 1);
    site.run(&["audit", "verify"]).ok();
    site.leaves_nothing_running();
}

#[test]
fn an_end_that_comes_after_the_job_was_handed_out_again_does_not_count() {
    let limits = "{ leaseSeconds: 5, graceSeconds: 1, onLostLease: requeue }";
    let mut site = Site::new(limits, "");
    site.start_runner("eu-1");
    site.create("v1");
    site.job_runs();
    site.signal("eu-1", "STOP");
    // The process of a runner that is stopped goes on, and ends.
    site.touch("go");
    site.until("the first process has ended", |site| {
        !site.script_runs(&site.lines("pids")[0])
    });
    site.job("handed out again", |job| job.status == "pending");
    std::fs::remove_file(site.path("go")).unwrap();
    site.start_runner("eu-2");
    site.until("another runner has begun it", |site| {
        site.lines("runs").len() == 2
    });
    site.signal("eu-1", "CONT");
    site.until("the first runner has nothing to say", |site| {
        std::fs::read_dir(site.path("eu-1/unreported"))
            .unwrap()
            .count()
            == 0
    });
    let job = site.jobs().remove(0);
    assert_eq!(job.status, "inProgress", "{job:?}");
    site.touch("go");
    let job = site.job("successful", |job| job.status == "successful");
    assert_eq!(job.runner.as_deref(), Some("eu-2"));
    site.leaves_nothing_running();
}

#[test]
fn a_job_whose_runner_does_not_come_back_fails_and_says_why() {
    let mut site = Site::new("{ leaseSeconds: 5, graceSeconds: 1 }", "");
    site.start_runner("eu-1");
    site.create("v1");
    site.job_runs();
    site.kill_runner("eu-1");
    let job = site.job("failed", |job| job.status == "failure");
    let message = job.message.unwrap_or_default();
    assert!(
        message.contains("`eu-1`") && message.contains("unknown"),
        "{message}"
    );
    assert_eq!(site.lines("runs").len(), 1);

    // It comes back after all: what it left running is stopped, and what it says changes nothing.
    let pid = site.lines("pids").remove(0);
    assert!(site.script_runs(&pid));
    site.start_runner("eu-1");
    site.until("its process is stopped", |site| !site.script_runs(&pid));
    site.until("the runner has nothing to say", |site| {
        std::fs::read_dir(site.path("eu-1/unreported"))
            .unwrap()
            .count()
            == 0
    });
    assert_eq!(site.jobs()[0].status, "failure");
    assert_eq!(site.lines("runs").len(), 1);
    site.leaves_nothing_running();
}
