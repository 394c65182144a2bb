//! Workspaces that nobody needs leave memory and come back, and nobody can tell the difference.

use crate::world::{World, jobs, open_store};
use stagegate_controller::{Clock, Controller, Options, ReadError, SystemClock};
use stagegate_model::{
    Actor, Command, DeploymentId, Fact, JobStatus, Role, Timestamp, UserId, VersionStatus,
    WorkspaceId,
};
use stagegate_store::Store;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

const POLLS: usize = 6_000;
const PAUSE: Duration = Duration::from_millis(10);

/// They leave as soon as they can.
fn at_once() -> Options {
    Options {
        rest_after: Some(Duration::ZERO),
        ..Options::default()
    }
}

fn no_rules(_: &str) -> Vec<(&'static str, serde_json::Value)> {
    Vec::new()
}

/// The machine's clock, and how far it is ahead.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0.load(Ordering::SeqCst))
    }
}

async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..POLLS {
        if is() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("it never came about: {what}");
}

async fn leaves(controller: &Controller, workspace: WorkspaceId) {
    until("it leaves memory", || !controller.is_in_memory(workspace)).await;
}

/// Makes a workspace with nothing in it; gives when it has left memory.
async fn another(controller: &Controller) -> WorkspaceId {
    let id = WorkspaceId(Uuid::now_v7());
    let slug = format!("w-{id}");
    controller.create_workspace(id, &slug, &slug).await.unwrap();
    leaves(controller, id).await;
    id
}

async fn form(world: &World) -> String {
    let read = world
        .controller
        .read(world.workspace, |engine| engine.state().settled_form());
    format!("{:?}", read.await.unwrap())
}

fn building(world: &World, deployment: DeploymentId, tag: &str) -> Command {
    let mut command = world.version(deployment, tag);
    if let Command::CreateVersion(new) = &mut command {
        new.status = VersionStatus::Building;
    }
    command
}

/// What a process that is killed now leaves behind.
fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "lock" {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_back_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    let created = world.submit(world.version(deployment, "v1")).await.unwrap();
    for job in jobs(&created.facts) {
        world.report(job, JobStatus::Successful).await;
    }
    let before = form(&world).await;
    world.controller.shutdown().await;
    drop(world);

    let world = World::open_with(dir.path(), at_once()).await;
    for _ in 0..3 {
        leaves(&world.controller, world.workspace).await;
        // It is counted a moment after it has left.
        until("none is in memory", || world.controller.in_memory() == 0).await;
        assert_eq!(form(&world).await, before);
    }
    leaves(&world.controller, world.workspace).await;
    let told = world.controller.durable(world.workspace).unwrap();
    let head = world.store.head(world.workspace).unwrap().unwrap();
    assert_eq!(told.borrow().seq, head.seq, "its head is known meanwhile");
    let report = world.controller.verify(world.workspace).await.unwrap();
    assert_eq!(report.entries, head.seq);
    assert!(
        !world.controller.is_in_memory(world.workspace),
        "checking the log needs no state"
    );
    let refused = world
        .submit(world.version(DeploymentId(Uuid::now_v7()), "v2"))
        .await;
    assert!(refused.is_err(), "it is decided as ever");
    let deployment = world.submit(world.version(deployment, "v2")).await.unwrap();
    assert_eq!(jobs(&deployment.facts).len(), 2);
    world.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_meet_it_leaving_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::open_with(dir.path(), at_once()).await);
    let deployment = world.configure(no_rules).await;
    let mut made = 0;
    for round in 0..12 {
        leaves(&world.controller, world.workspace).await;
        // Together they bring it back once; one after the other they meet it on its way out.
        let commands = (0..8).map(|index| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for step in 0..4 {
                    let tag = format!("v-{round}-{index}-{step}");
                    let command = building(&world, deployment, &tag);
                    world.submit(command).await.unwrap();
                    let seen = world
                        .controller
                        .read(world.workspace, move |engine| {
                            let mut versions = engine.state().versions().values();
                            versions.any(|it| it.tag == tag)
                        })
                        .await
                        .unwrap();
                    assert!(seen, "what was acknowledged is seen");
                    tokio::time::sleep(Duration::from_millis(step * 7)).await;
                }
                4
            })
        });
        for command in commands.collect::<Vec<_>>() {
            made += command.await.unwrap();
        }
    }
    leaves(&world.controller, world.workspace).await;
    let report = world.controller.verify(world.workspace).await.unwrap();
    let (versions, seq) = world
        .controller
        .read(world.workspace, |engine| {
            let state = engine.state();
            (state.versions().len(), state.head().seq)
        })
        .await
        .unwrap();
    assert_eq!(versions, made);
    assert_eq!(report.entries, seq);
    world.controller.shutdown().await;
}

/// A world whose only version waits for its cooldown, at rest.
async fn waiting(dir: &Path, clock: &Arc<Ahead>) -> (World, u64) {
    let cooldown = |_: &str| {
        vec![(
            "versionCooldown",
            serde_json::json!({"intervalSeconds": 3600}),
        )]
    };
    let clock: Arc<dyn Clock> = Arc::<Ahead>::clone(clock);
    let world = World::open_at(dir, at_once(), clock).await;
    let deployment = world.configure(cooldown).await;
    let created = world.submit(world.version(deployment, "v1")).await.unwrap();
    for job in jobs(&created.facts) {
        world.report(job, JobStatus::Successful).await;
    }
    let waits = world.submit(world.version(deployment, "v2")).await.unwrap();
    assert!(jobs(&waits.facts).is_empty());
    leaves(&world.controller, world.workspace).await;
    let head = world.store.head(world.workspace).unwrap().unwrap().seq;
    (world, head)
}

async fn started(store: &dyn Store, workspace: WorkspaceId, after: u64) {
    // The log says so, so that looking does not bring it back.
    let has_started = || {
        store.read(workspace, after, 100).unwrap().iter().any(|it| {
            let entry = stagegate_model::Entry::from_bytes(&it.body).unwrap();
            let mut facts = entry.facts.iter();
            facts.any(|it| matches!(it, Fact::JobsCreated { .. }))
        })
    };
    until("what was due is decided", has_started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_meanwhile_is_decided_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Ahead::default());
    let (world, head) = waiting(dir.path(), &clock).await;
    // Nothing happens before.
    another(&world.controller).await;
    assert_eq!(
        world.store.head(world.workspace).unwrap().unwrap().seq,
        head
    );
    clock.0.store(3_700_000, Ordering::SeqCst);
    // The deciding thread sleeps by the machine's clock; somebody else's command has it look at ours.
    let other = WorkspaceId(Uuid::now_v7());
    let made = world.controller.create_workspace(other, "other", "other");
    made.await.unwrap();
    started(&*world.store, world.workspace, head).await;
    assert!(
        world.controller.is_in_memory(world.workspace),
        "jobs wait there"
    );
    world.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_meanwhile_leaves_it_at_rest_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Ahead::default());
    let (world, head) = waiting(dir.path(), &clock).await;
    let is_noted = || {
        let rests = world.store.rests().unwrap();
        rests.iter().any(|rest| rest.seq == head)
    };
    until("it is noted", is_noted).await;
    let killed = tempfile::tempdir().unwrap();
    copy(dir.path(), killed.path());
    world.controller.shutdown().await;

    let next = |clock: &Arc<Ahead>| {
        let clock: Arc<dyn Clock> = Arc::<Ahead>::clone(clock);
        let dir = killed.path().to_owned();
        async move {
            let store = Arc::new(open_store(&dir).await);
            let controller = Controller::start_with(store.clone(), clock, at_once()).unwrap();
            (store, controller)
        }
    };
    {
        let (store, controller) = next(&clock).await;
        assert!(!controller.is_in_memory(world.workspace), "it was not read");
        another(&controller).await;
        let now = store.head(world.workspace).unwrap().unwrap().seq;
        assert_eq!(now, head);
        controller.shutdown().await;
    }
    // When it was due while no process ran, the next one decides it at once.
    clock.0.store(3_700_000, Ordering::SeqCst);
    let (store, controller) = next(&clock).await;
    started(&*store, world.workspace, head).await;
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_listeners_keep_it_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open_with(dir.path(), at_once()).await;
    let deployment = world.configure(no_rules).await;
    let created = world.submit(world.version(deployment, "v1")).await.unwrap();
    let controller = &world.controller;
    for job in jobs(&created.facts) {
        // Others leave, so it was looked who can.
        another(controller).await;
        assert!(controller.is_in_memory(world.workspace), "a job waits");
        world.report(job, JobStatus::Successful).await;
    }
    leaves(controller, world.workspace).await;

    let listener = controller.durable(world.workspace).unwrap();
    form(&world).await;
    for _ in 0..2 {
        another(controller).await;
        assert!(controller.is_in_memory(world.workspace), "somebody listens");
    }
    drop(listener);
    leaves(controller, world.workspace).await;

    let listener = controller.job_news(world.workspace).unwrap();
    form(&world).await;
    another(controller).await;
    assert!(controller.is_in_memory(world.workspace), "somebody listens");
    drop(listener);
    leaves(controller, world.workspace).await;
    world.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_those_unused_for_the_longest_leave() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        rest_after: Some(Duration::from_secs(3600)),
        in_memory_max: 3,
        ..Options::default()
    };
    let world = World::open_with(dir.path(), options).await;
    let controller = &world.controller;
    let mut all = Vec::new();
    for index in 0..20 {
        let id = WorkspaceId(Uuid::now_v7());
        let slug = format!("w-{index}");
        controller.create_workspace(id, &slug, &slug).await.unwrap();
        all.push(id);
    }
    let reads = all.iter().cycle().take(200).map(|id| {
        let (controller, id) = (controller.clone(), *id);
        tokio::spawn(async move {
            let read = controller.read(id, |engine| engine.state().head().seq);
            read.await.unwrap()
        })
    });
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap(), 1);
    }
    // What comes next makes room for itself.
    let come = all.iter().cycle().take(60);
    for id in come {
        let user = UserId(Uuid::now_v7());
        let role = Role::Viewer;
        let command = Command::CreateUser { id: user, role };
        let done = controller.submit(*id, Actor::System, command, Vec::new());
        done.await.unwrap();
    }
    until("the others leave", || controller.in_memory() <= 3).await;
    for id in &all {
        let users = controller.read(*id, |engine| engine.state().users().len());
        assert_eq!(users.await.unwrap(), 3);
    }
    world.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stampede_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open_with(dir.path(), at_once()).await;
    world.configure(no_rules).await;
    leaves(&world.controller, world.workspace).await;
    world.store.reads_stall.store(true, Ordering::SeqCst);
    let reads: Vec<_> = (0..3_000)
        .map(|_| {
            let (controller, workspace) = (world.controller.clone(), world.workspace);
            tokio::spawn(async move {
                let read = controller.read(workspace, |engine| engine.state().head().seq);
                read.await
            })
        })
        .collect();
    // Nobody is answered but those who are turned away.
    until("some are turned away", || {
        reads.iter().filter(|read| read.is_finished()).count() >= 1_000
    })
    .await;
    world.store.reads_stall.store(false, Ordering::SeqCst);
    let (mut answered, mut turned_away) = (0, 0);
    for read in reads {
        match read.await.unwrap() {
            Ok(_) => answered += 1,
            Err(ReadError::Overloaded) => turned_away += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answered >= 1_000, "{answered}");
    assert!(turned_away >= 1_000, "{turned_away}");
    assert!(world.controller.in_memory() <= 1);
    world.controller.shutdown().await;
}
