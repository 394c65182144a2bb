//! Leases: a runner that is silent loses its job, a server that was away takes none.

use crate::world::{World, jobs, open_store};
use stagegate_controller::SubmitError;
use stagegate_controller::step::{Decided, Shard, commit};
use stagegate_model::{
    Actor, Command, Entry, EntryId, Fact, JobId, JobReport, JobStatus, Timestamp, WorkspaceId,
};
use stagegate_store::SqliteStore;
use std::path::Path;
use uuid::Uuid;

fn no_rules(_: &str) -> Vec<(&'static str, serde_json::Value)> {
    Vec::new()
}

fn claim(job: JobId) -> Command {
    Command::ClaimJob {
        job,
        runner: "r1".to_owned(),
        lease: true,
    }
}

/// A shard over what a controller left behind, with a clock of its own.
struct Stepped {
    store: SqliteStore,
    workspace: WorkspaceId,
    shard: Shard,
    now: Timestamp,
    job: JobId,
}

impl Stepped {
    async fn open(dir: &Path) -> Self {
        let world = World::open(dir).await;
        let deployment = world.configure(no_rules).await;
        let version = world.version(deployment, "v1");
        let job = jobs(&world.submit(version).await.unwrap().facts)[0];
        world.controller.shutdown().await;
        let (workspace, now) = (world.workspace, world.controller.now());
        drop(world);
        let store = open_store(dir).await;
        let shard = Shard::load(&store, workspace).unwrap();
        let mut stepped = Self {
            store,
            workspace,
            shard,
            now,
            job,
        };
        stepped.settle();
        stepped
    }

    fn reload(&mut self) {
        self.shard = Shard::load(&self.store, self.workspace).unwrap();
    }

    fn submit(&mut self, command: Command) -> Vec<Fact> {
        let id = EntryId(Uuid::now_v7());
        match self
            .shard
            .submit(id, Actor::System, command, Vec::new(), self.now)
        {
            Decided::Entry(prepared) => {
                commit(&self.store, &[prepared.append])[0].clone().unwrap();
                prepared.facts.to_vec()
            }
            Decided::Answer { answer, .. } => answer.unwrap().facts.to_vec(),
            _ => panic!("not decided"),
        }
    }

    /// What time brings by now.
    fn settle(&mut self) -> Vec<Fact> {
        let mut all = Vec::new();
        loop {
            let id = EntryId(Uuid::now_v7());
            let Some(prepared) = self.shard.settle(id, self.now) else {
                if self.shard.is_due(self.now) {
                    continue;
                }
                return all;
            };
            let entry = Entry::from_bytes(&prepared.append.row.body).unwrap();
            commit(&self.store, &[prepared.append])[0].clone().unwrap();
            all.extend(entry.facts);
        }
    }

    fn pass(&mut self, millis: i64) -> Vec<Fact> {
        self.now = self.now.plus_millis(millis);
        self.settle()
    }

    fn report(&self, status: JobStatus) -> Command {
        Command::ReportJob(JobReport {
            job: self.job,
            status,
            message: String::new(),
            runner: Some("r1".to_owned()),
            epoch: Some(1),
            external_id: None,
            output_tail: None,
            exit: None,
            links: Default::default(),
        })
    }
}

fn is_lost(facts: &[Fact]) -> bool {
    matches!(facts, [Fact::JobLost { .. }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_silent_for_its_lease_loses_its_job() {
    let dir = tempfile::tempdir().unwrap();
    let mut it = Stepped::open(dir.path()).await;
    let heard = it.now;
    it.submit(claim(it.job));
    assert_eq!(it.shard.next_wake(), Some(heard.plus_seconds(30)));
    assert!(it.pass(29_999).is_empty());
    let facts = it.pass(1);
    assert!(is_lost(&facts), "{facts:?}");
    let [Fact::JobLost { since, epoch, .. }] = facts[..] else {
        unreachable!();
    };
    assert_eq!((since, epoch), (heard, 1));
    // Lost once; then its grace runs.
    assert_eq!(it.shard.next_wake(), Some(it.now.plus_seconds(60)));
    let facts = it.pass(60_000);
    assert!(
        matches!(
            facts[0],
            Fact::JobChanged {
                status: JobStatus::Failure,
                ..
            }
        ),
        "{facts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_of_the_holder_renews_the_lease_also_one_that_says_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut it = Stepped::open(dir.path()).await;
    it.submit(claim(it.job));
    for status in [JobStatus::InProgress, JobStatus::ActionRequired] {
        assert!(it.pass(20_000).is_empty());
        it.submit(it.report(status));
    }
    assert!(it.pass(29_999).is_empty());
    assert!(is_lost(&it.pass(1)));
    // Found again, it has its whole lease.
    it.submit(it.report(JobStatus::InProgress));
    assert!(it.pass(29_999).is_empty());
    it.submit(it.report(JobStatus::Successful));
    assert!(
        it.pass(3_600_000).is_empty(),
        "what has ended is not watched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_gives_every_runner_its_whole_lease() {
    let dir = tempfile::tempdir().unwrap();
    let mut it = Stepped::open(dir.path()).await;
    it.submit(claim(it.job));
    it.reload();
    assert!(it.pass(3_600_000).is_empty(), "an hour later");
    assert!(it.pass(29_999).is_empty());
    assert!(is_lost(&it.pass(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_does_not_keep_a_silent_runner_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut it = Stepped::open(dir.path()).await;
    it.now = it.now.plus_seconds(100 * 3600);
    it.submit(claim(it.job));
    it.pass(-50 * 3_600_000);
    assert!(it.pass(29_999).is_empty());
    assert!(is_lost(&it.pass(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_lease_is_not_watched() {
    let dir = tempfile::tempdir().unwrap();
    let mut it = Stepped::open(dir.path()).await;
    it.submit(Command::ClaimJob {
        job: it.job,
        runner: "key 1".to_owned(),
        lease: false,
    });
    assert!(it.pass(3_600_000).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_finds_a_lost_job_and_hears_of_a_cancel() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    let version = world.version(deployment, "v1");
    let job = jobs(&world.submit(version).await.unwrap().facts)[0];
    world.submit(claim(job)).await.unwrap();
    let beat = async |runner: &'static str, renew: bool| {
        world
            .controller
            .heartbeat(world.workspace, job, runner, 1, renew)
            .await
    };
    let lapse = Command::LoseLease {
        job,
        epoch: 1,
        since: Timestamp(1),
    };
    world.submit(lapse).await.unwrap();
    let lost = async || {
        let look =
            move |engine: &stagegate_engine::Engine| engine.state().jobs()[&job].lost.clone();
        world.controller.read(world.workspace, look).await.unwrap()
    };
    beat("r1", false).await.unwrap();
    assert!(lost().await.is_some(), "a look is no heartbeat");
    let Err(SubmitError::Rejected(rejection)) = beat("r2", true).await else {
        panic!("another runner");
    };
    assert_eq!(rejection.code, "lease_lost");
    let pulse = beat("r1", true).await.unwrap();
    assert_eq!(lost().await, None);
    assert_eq!((pulse.lease_seconds, pulse.cancel), (30, None));
    let mut news = world.controller.job_news(world.workspace).unwrap();
    let reason = "enough".to_owned();
    world
        .submit(Command::CancelJob { job, reason })
        .await
        .unwrap();
    assert_eq!(news.recv().await.unwrap(), job);
    let asked = beat("r1", true)
        .await
        .unwrap()
        .cancel
        .expect("asked to stop");
    assert_eq!(asked.reason, "enough");
}
