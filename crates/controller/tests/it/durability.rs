//! What was acknowledged is there; what was not written never happened.

use crate::world::{Fault, World, jobs};
use stagegate_controller::{ReadError, SubmitError};
use stagegate_model::{JobStatus, VersionStatus};
use std::sync::atomic::Ordering;

fn no_rules(_: &str) -> Vec<(&'static str, serde_json::Value)> {
    Vec::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart_and_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (created, before) = {
        let world = World::open(dir.path()).await;
        let deployment = world.configure(no_rules).await;
        let created = jobs(
            &world
                .submit(world.version(deployment, "v1"))
                .await
                .unwrap()
                .facts,
        );
        assert_eq!(
            created.len(),
            2,
            "one job in each environment, in the entry of the version"
        );
        world.report(created[0], JobStatus::Successful).await;
        let state = world
            .controller
            .read(world.workspace, |engine| engine.state().settled_form())
            .await
            .unwrap();
        world.controller.shutdown().await;
        (created, format!("{state:?}"))
    };
    let world = World::open(dir.path()).await;
    let after = world
        .controller
        .read(world.workspace, |engine| engine.state().settled_form())
        .await
        .unwrap();
    assert_eq!(format!("{after:?}"), before);
    let done = world.report(created[1], JobStatus::Successful).await;
    assert!(!done.facts.is_empty());
    assert!(world.controller.verify(world.workspace).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    world.submit(world.version(deployment, "v1")).await.unwrap();
    world.store.set(Fault::Full);
    for tag in ["v2", "v3"] {
        let refused = world
            .submit(world.version(deployment, tag))
            .await
            .unwrap_err();
        let SubmitError::Unavailable { code, .. } = &refused else {
            panic!("{refused:?}")
        };
        assert!(["storage_full", "storage_io"].contains(code), "{refused:?}");
    }
    let tags = |state: &stagegate_engine::State| {
        let mut tags: Vec<String> = state
            .versions()
            .values()
            .map(|version| version.tag.clone())
            .collect();
        tags.sort();
        (tags == ["v1"]).then_some(())
    };
    world.eventually(tags).await;
    world.store.set(Fault::None);
    for _ in 0..100 {
        if world.submit(world.version(deployment, "v4")).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world
        .eventually(|state| {
            state
                .versions()
                .values()
                .any(|it| it.tag == "v4")
                .then_some(())
        })
        .await;
    let report = world.controller.verify(world.workspace).await.unwrap();
    let head = world
        .controller
        .read(world.workspace, |engine| engine.state().head().seq)
        .await
        .unwrap();
    assert_eq!(report.entries, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_state_and_store_is_told_what_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    world.submit(world.version(deployment, "v0")).await.unwrap();
    let (controller, workspace) = (world.controller.clone(), world.workspace);
    let look = move || {
        let controller = controller.clone();
        async move {
            let looked = controller.look(workspace, |looking| {
                let tags = |engine: &stagegate_engine::Engine| {
                    let versions = engine.state().versions().values();
                    versions.map(|it| it.tag.clone()).collect::<Vec<_>>()
                };
                let first = looking.at(tags)?;
                let head = looking.store().head(looking.workspace()).unwrap().unwrap();
                let later = looking.at(|engine| engine.state().head().seq)?;
                Ok::<_, ReadError>((first, head.seq, later))
            });
            looked.await.and_then(|it| it)
        }
    };
    world.store.set(Fault::Full);
    let looking = tokio::spawn({
        let look = look.clone();
        async move {
            for _ in 0..100 {
                // While it is read back nothing is told at all.
                if let Ok((tags, ..)) = look().await {
                    assert_eq!(tags, ["v0"], "the others were never written");
                }
            }
        }
    });
    for number in 1..20 {
        let refused = world.version(deployment, &format!("v{number}"));
        world.submit(refused).await.unwrap_err();
    }
    looking.await.unwrap();
    world.store.set(Fault::None);
    for number in 20..40 {
        let tag = format!("v{number}");
        let Ok(committed) = world.submit(world.version(deployment, &tag)).await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let (tags, stored, seen) = look().await.unwrap();
        assert!(tags.contains(&tag));
        assert!(stored >= committed.seq && seen >= stored);
        return;
    }
    panic!("nothing can be written any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    world.store.set(Fault::UnknownWritten);
    let committed = world.submit(world.version(deployment, "v1")).await.unwrap();
    assert_eq!(jobs(&committed.facts).len(), 2);
    world.store.set(Fault::UnknownLost);
    world
        .submit(world.version(deployment, "v2"))
        .await
        .unwrap_err();
    world
        .eventually(|state| (state.versions().len() == 1).then_some(()))
        .await;
    for _ in 0..100 {
        if world.submit(world.version(deployment, "v3")).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world
        .eventually(|state| (state.versions().len() == 2).then_some(()))
        .await;
    world.controller.verify(world.workspace).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_queue_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let deployment = world.configure(no_rules).await;
    let before = world.store.commits.load(Ordering::SeqCst);
    let versions = (0..400).map(|n| {
        let (controller, workspace, actor) =
            (world.controller.clone(), world.workspace, world.actor);
        let mut command = world.version(deployment, &format!("v{n}"));
        if let stagegate_model::Command::CreateVersion(new) = &mut command {
            new.status = VersionStatus::Building;
        }
        tokio::spawn(async move {
            controller
                .submit(workspace, actor, command, Vec::new())
                .await
        })
    });
    for version in versions.collect::<Vec<_>>() {
        version.await.unwrap().unwrap();
    }
    let commits = world.store.commits.load(Ordering::SeqCst) - before;
    assert!(commits < 400, "{commits} commits for 400 commands");
    let versions = world
        .controller
        .read(world.workspace, |engine| engine.state().versions().len())
        .await
        .unwrap();
    assert_eq!(versions, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_shortens_the_way_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let world = World::open(dir.path()).await;
        let deployment = world.configure(no_rules).await;
        for n in 0..300 {
            let created = jobs(
                &world
                    .submit(world.version(deployment, &format!("v{n}")))
                    .await
                    .unwrap()
                    .facts,
            );
            for job in created {
                world.report(job, JobStatus::Successful).await;
            }
        }
        let state = world
            .controller
            .read(world.workspace, |engine| engine.state().settled_form())
            .await
            .unwrap();
        world.controller.shutdown().await;
        assert!(
            world.store.latest().is_some(),
            "stopping after many entries leaves a snapshot"
        );
        format!("{state:?}")
    };
    let world = World::open(dir.path()).await;
    let after = world
        .controller
        .read(world.workspace, |engine| engine.state().settled_form())
        .await
        .unwrap();
    assert_eq!(format!("{after:?}"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_named_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    {
        let world = World::open(dir.path()).await;
        world.configure(no_rules).await;
        world.controller.shutdown().await;
    }
    // Whoever closes it last empties the write-ahead log into the file that is changed here.
    drop(crate::world::open_store(dir.path()).await);
    let path = dir.path().join("stagegate.db");
    let bytes = std::fs::read(&path).unwrap();
    let needle = b"\"createUser\"";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    let mut changed = bytes.clone();
    changed[at + 1] = b'C';
    std::fs::write(&path, changed).unwrap();
    let store = std::sync::Arc::new(crate::world::open_store(dir.path()).await);
    let clock = std::sync::Arc::new(stagegate_controller::SystemClock);
    let Err(error) = stagegate_controller::Controller::start(store, clock) else {
        panic!("it started")
    };
    assert_eq!(error.code(), "log_corrupt");
    assert!(
        error.to_string().contains("entry 2") || error.to_string().contains("number 2"),
        "{error}"
    );
}
