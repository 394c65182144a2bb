//! One version over very many targets: in several entries, with other commands in between.

use crate::world::World;
use serde_json::json;
use stagegate_engine::{Context, Engine, SETTLE_TARGETS_MAX};
use stagegate_model::*;

const PLACES: usize = 25_000;

fn fleet() -> World {
    let mut world = World::new();
    world.watchful = false;
    world.environment("Production");
    let metadata = [("env", "Production")];
    let resources = (0..PLACES).map(|number| world.new_resource(&format!("p{number}"), &metadata));
    let changes: Vec<Change> = resources.map(Change::PutResource).collect();
    world.configure(changes);
    world
}

#[test]
fn a_large_fleet_is_served_in_several_entries_and_each_target_once() {
    let mut world = fleet();
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.eager = false;
    world.version("v1");
    assert!(world.engine.is_dirty(), "more is left to decide");
    assert!(world.jobs_ever("v1", "Production") <= SETTLE_TARGETS_MAX);
    let mut rounds = 0;
    while world.engine.is_dirty() {
        // What comes in between is not held up and loses nothing.
        if rounds == 0 {
            world.version("v2");
        }
        if let Some(job) = world.open_jobs("v1", "Staging").first().copied() {
            world.report(job, JobStatus::Successful);
        }
        world.settle_once();
        rounds += 1;
        assert!(rounds < 20, "it comes to an end");
    }
    let with_jobs = world.entries.iter().filter(|entry| jobs(entry) > 0);
    assert!(with_jobs.count() >= 3);
    let (version, newer) = (world.version_id("v1"), world.version_id("v2"));
    let production = world.environment_id("Production");
    let of = |id| world.book.jobs_ever(id, production);
    assert_eq!(of(version) + of(newer), PLACES, "each target has one job");
    assert_eq!(
        world.book.active.len(),
        PLACES + usize::from(world.jobs_ever("v2", "Staging") > 0)
    );
    let lane = world
        .state()
        .lane(world.lane("Production"))
        .expect("a lane");
    assert_eq!(lane.by_floor.values().sum::<u32>() as usize, PLACES);
    assert!(
        lane.targets
            .values()
            .all(|target| target.active().is_some())
    );
    let entries_over = world
        .entries
        .iter()
        .filter(|entry| jobs(entry) > SETTLE_TARGETS_MAX);
    assert_eq!(entries_over.count(), 0);
    crate::invariants::check(&world, false);
}

fn jobs(entry: &Entry) -> usize {
    let jobs = entry.facts.iter().map(|fact| match fact {
        Fact::JobsCreated { jobs, .. } => jobs.len(),
        _ => 0,
    });
    jobs.sum()
}

#[test]
fn a_crash_in_the_middle_leaves_the_rest_to_be_done() {
    let mut world = fleet();
    world.eager = false;
    world.version("v1");
    let mut engine = Engine::default();
    for entry in &world.entries {
        engine.replay(entry);
    }
    engine.resume();
    let before = world.jobs_ever("v1", "Production");
    let mut created = before;
    for number in 0..10 {
        let id = EntryId(uuid::Uuid::from_u128(u128::MAX - number));
        let facts = engine.settle(Context {
            entry: id,
            now: world.now,
            actor: Actor::System,
        });
        created += facts
            .iter()
            .map(|fact| match fact {
                Fact::JobsCreated { jobs, .. } => jobs.len(),
                _ => 0,
            })
            .sum::<usize>();
    }
    assert!(before < PLACES);
    assert_eq!(created, PLACES);
    assert!(!engine.is_dirty());
}

#[test]
fn many_blocked_targets_do_not_keep_the_others_from_their_turn() {
    let mut world = fleet();
    // The last ones, in the order in which they are looked at, can be rendered; the others cannot.
    let well = [("env", "Production"), ("region", "eu")];
    let changes: Vec<_> = (PLACES - 100..PLACES)
        .map(|number| Change::PutResource(world.new_resource(&format!("p{number}"), &well)))
        .collect();
    world.configure(changes);
    let new = NewVersion {
        job_agent_config: json!({ "region": "{{ resource.metadata.region }}" }),
        ..world.new_version("v1")
    };
    world.run(Command::CreateVersion(new));
    assert_eq!(world.jobs_ever("v1", "Production"), 100);
    assert!(!world.engine.is_dirty());
}
