//! What needs something else on its resource. After every command the world checks that nothing was forgotten: deciding
//! everything anew decides nothing more.

use crate::world::World;
use serde_json::json;
use stagegate_model::*;

/// An API that needs a database, on two hosts.
fn world() -> (World, DeploymentId) {
    let mut world = World::new();
    let database = world.deployment("database");
    world.environment("Production");
    world.resource("p1", "Production");
    world.resource("p2", "Production");
    let needs = json!([{ "deploymentDependency": {
        "dependsOn": "deployment.slug == \"database\" && version.metadata[\"bad\"] != \"yes\"",
    }}]);
    world.policy("needs", "deployment.slug == \"api\"", needs);
    (world, database)
}

fn version_of(world: &mut World, deployment: DeploymentId, tag: &str) {
    let metadata = Metadata::from([("bad".to_owned(), "no".to_owned())]);
    let new = NewVersion {
        deployment,
        metadata,
        ..world.new_version(tag)
    };
    world.run(Command::CreateVersion(new));
}

fn started(world: &World, tag: &str) -> usize {
    world.jobs_ever(tag, "Production")
}

#[test]
fn whatever_undoes_a_success_is_noticed_and_whatever_mends_it_too() {
    let (mut world, database) = world();
    let target = |world: &World, name: &str| TargetKey {
        resource: world.resource_id(name),
        environment: world.environment_id("Production"),
        deployment: database,
    };
    version_of(&mut world, database, "d1");
    world.version("a1");
    assert_eq!(started(&world, "a1"), 0);
    world.succeed("d1", "Production");
    assert_eq!(started(&world, "a1"), 2);
    world.succeed("a1", "Production");

    version_of(&mut world, database, "d2");
    world.succeed("d2", "Production");
    world.set_status("d2", VersionStatus::Rejected);
    world.version("a2");
    assert_eq!(
        started(&world, "a2"),
        0,
        "d2 was rejected and is going back"
    );
    world.succeed("d1", "Production");
    assert_eq!(started(&world, "a2"), 2, "d1 is back");
    world.succeed("a2", "Production");

    let bad = |world: &mut World, tag: &str, bad: &str| {
        let metadata = Some(Metadata::from([("bad".to_owned(), bad.to_owned())]));
        let patch = VersionPatch {
            metadata,
            ..world.patch(tag)
        };
        world.run(Command::UpdateVersion(patch));
    };
    bad(&mut world, "d1", "yes");
    world.version("a3");
    assert_eq!(started(&world, "a3"), 0);
    bad(&mut world, "d1", "no");
    assert_eq!(started(&world, "a3"), 2);
    world.succeed("a3", "Production");

    let redeploy = Command::Redeploy {
        targets: vec![target(&world, "p1")],
        reason: "again".into(),
    };
    world.run(redeploy);
    let job = world.open_jobs("d1", "Production")[0];
    world.version("a4");
    assert_eq!(
        started(&world, "a4"),
        2,
        "a redeploy under way undoes nothing"
    );
    world.finish_job(job, JobStatus::Failure);
    world.succeed("a4", "Production");

    let moved = world.new_resource("p1", &[("env", "elsewhere")]);
    world.configure(vec![Change::PutResource(moved)]);
    let back = world.new_resource("p1", &[("env", "Production")]);
    world.configure(vec![Change::PutResource(back)]);
    assert_eq!(started(&world, "a4"), 2, "p1 has no database any more");
    world.succeed("d1", "Production");
    assert_eq!(started(&world, "a4"), 3);
}

#[test]
fn a_deployment_that_is_not_there_is_refused_and_named() {
    let (mut world, database) = world();
    let nowhere = DeploymentId(uuid::Uuid::from_u128(9));
    let needed = |version_selector: &str| VersionDependency {
        version_selector: version_selector.into(),
    };
    let new = NewVersion {
        dependencies: [(database, needed("true")), (nowhere, needed("true"))].into(),
        ..world.new_version("a1")
    };
    let rejection = world.refused(Command::CreateVersion(new.clone()));
    assert_eq!(rejection.code, "deployment_not_found");
    assert!(rejection.message.contains(&nowhere.to_string()));
    let many = (0..51).map(|n| (DeploymentId(uuid::Uuid::from_u128(n)), needed("true")));
    let many = NewVersion {
        dependencies: many.collect(),
        ..new
    };
    let rejection = world.refused(Command::CreateVersion(many));
    assert_eq!(rejection.code, "too_large");
}

#[test]
fn content_with_other_dependencies_has_another_digest() {
    let (mut world, database) = world();
    let needed = |version_selector: &str| VersionDependency {
        version_selector: version_selector.into(),
    };
    let new = NewVersion {
        dependencies: [(database, needed("true"))].into(),
        ..world.new_version("a1")
    };
    world.run(Command::CreateVersion(new));
    let id = world.version_id("a1");
    let before = world.state().versions()[&id].digest;
    let patch = VersionPatch {
        dependencies: [(database, Some(needed("version.tag == \"d9\"")))].into(),
        ..world.patch("a1")
    };
    world.run(Command::UpdateVersion(patch));
    assert_ne!(world.state().versions()[&id].digest, before);
    let same = VersionPatch {
        dependencies: [(database, Some(needed("version.tag == \"d9\"")))].into(),
        ..world.patch("a1")
    };
    assert_eq!(world.run(Command::UpdateVersion(same)), []);
    let gone = VersionPatch {
        dependencies: [(world.main, None)].into(),
        ..world.patch("a1")
    };
    let rejection = world.refused(Command::UpdateVersion(gone));
    assert_eq!(rejection.code, "dependency_not_found");
}
