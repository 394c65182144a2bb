//! What holds after every command, whatever it was.

use crate::book::Counts;
use crate::world::World;
use stagegate_engine::{Brief, Context, Engine, State, TargetState};
use stagegate_model::*;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A state as bytes: equal when and only when the states are.
pub fn bytes(state: &State) -> Vec<u8> {
    rmp_serde::to_vec_named(state).expect("a state can be written")
}

/// Checks everything about a world at rest; what it explains only now and then, since it costs most.
pub fn check(world: &World, explained: bool) {
    same_by_every_way(world);
    quiet(world);
    honest_about_time(world);
    counted(world);
    if explained {
        explains(world);
    }
}

fn same_by_every_way(world: &World) {
    let form = world.state().settled_form();
    let expected = bytes(&form);
    for (way, engine) in world.others() {
        let other = engine.state().settled_form();
        if bytes(&other) != expected {
            assert_eq!(format!("{other:#?}"), format!("{form:#?}"), "{way}");
            panic!("{way}: the states differ");
        }
    }
}

/// The facts that settling everything anew at a time would yield.
fn settled_anew(engine: &Engine, now: Timestamp) -> Vec<Fact> {
    let mut engine = engine.clone();
    engine.resume();
    engine.settle(Context {
        entry: EntryId(Uuid::from_u128(u128::MAX >> 1)),
        now,
        actor: Actor::System,
    })
}

fn quiet(world: &World) {
    assert!(!world.engine.is_dirty());
    let again = settled_anew(&world.engine, world.now);
    assert!(again.is_empty(), "settling twice decides more: {again:?}");
    for (way, engine) in world.others() {
        let again = settled_anew(engine, world.now);
        assert!(again.is_empty(), "{way}: decides otherwise: {again:?}");
    }
}

/// Nothing changes by time alone before the moment the engine asked to be woken at.
fn honest_about_time(world: &World) {
    let (before, woken) = match world.engine.next_wake() {
        Some(at) => {
            assert!(at > world.now, "it asks to be woken in the past");
            (at.plus_millis(-1), format!("woken at {at}"))
        }
        None => (
            world.now.plus_millis(400 * 86_400_000),
            "never woken".to_owned(),
        ),
    };
    let facts = settled_anew(&world.engine, before);
    assert!(facts.is_empty(), "{woken}, but at {before}: {facts:?}");
}

fn counted(world: &World) {
    let state = world.state();
    let counts = world.book.counts();
    for promotion in state.promotions().values() {
        let kept = Counts {
            running: promotion.running,
            verifying: promotion.verifying,
            succeeded: promotion.succeeded,
            failed: promotion.failed,
            cancelled: promotion.cancelled,
        };
        let recounted = counts.get(&promotion.id).copied().unwrap_or_default();
        assert_eq!(kept, recounted, "the counts of {promotion:?}");
        let at_work = promotion.running + promotion.verifying > 0;
        assert!(promotion.status.is_open() || !at_work, "{promotion:?}");
        assert_eq!(promotion.ended_at.is_none(), promotion.status.is_open());
    }
    let mut open: BTreeMap<(VersionId, EnvironmentId), PromotionId> = BTreeMap::new();
    let still_open = state.promotions().values().filter(|it| it.status.is_open());
    for promotion in still_open {
        let other = open.insert((promotion.version, promotion.environment), promotion.id);
        assert!(other.is_none(), "two open promotions: {promotion:?}");
    }
    assert!(state.is_indexed(), "an index is not what it is of");
    let is_tallied = world.engine.is_tallied(state.head().time);
    assert!(
        is_tallied,
        "targets are counted differently than they stand"
    );
    let mut active = world.book.active.clone();
    for (key, lane) in state.lanes() {
        let mut by_floor: BTreeMap<_, u32> = BTreeMap::new();
        for (resource, target) in &lane.targets {
            *by_floor.entry(target.floor()).or_default() += 1;
            assert!(target.floor() >= target.latest_order());
            assert_eq!(target.active(), active.remove(&key.target(*resource)));
            let latest = target
                .latest()
                .map(|id| state.brief(target, id).expect("it is known"));
            let order = latest.map(|it| state.versions()[&it.version].order());
            assert_eq!(target.latest_order(), order);
            assert!(!target.leaving() || target.active().is_some());
            let current = target
                .current()
                .map(|id| state.brief(target, id).expect("it is known"));
            for brief in latest.iter().chain(&current) {
                let whole = world.release(brief.id);
                assert_eq!(
                    Brief::from(whole),
                    Brief {
                        fingerprint: None,
                        ..*brief
                    }
                );
            }
            let current = current.map(|it| it.status);
            let good = [ReleaseStatus::Succeeded, ReleaseStatus::RolledBack];
            assert!(current.is_none_or(|it| good.contains(&it)));
            assert!(!(target.active().is_some() && lane.retries.contains_key(resource)));
        }
        assert_eq!(lane.by_floor, by_floor, "the counts of {key:?}");
        let open: Vec<_> = open.values().filter(|id| lane.open.contains(id)).collect();
        assert_eq!(open.len(), lane.open.len(), "open promotions of {key:?}");
    }
    assert!(active.is_empty(), "jobs without a target: {active:?}");
    for verification in state.verifications().values() {
        let job = state.jobs().get(&verification.job);
        assert!(job.is_some_and(|job| job.verifications.contains(&verification.id)));
    }
}

/// Every version can be explained everywhere, and what is said to be open has been acted on.
fn explains(world: &World) {
    let state = world.state();
    for key in state.lanes().keys() {
        for version in state.versions_of(key.deployment) {
            let told = world
                .engine
                .explain(*key, version.id, world.now)
                .expect("an explanation");
            assert!(!told.summary.is_empty());
            for gate in told.gates.iter().filter(|gate| !gate.verdict.is_allowed()) {
                let why = gate.verdict.why();
                assert!(!why.message.is_empty(), "a shut gate says why: {gate:?}");
                assert!(!why.opens.is_empty(), "and what opens it: {gate:?}");
            }
            let all_open =
                told.stopped.is_none() && told.gates.iter().all(|it| it.verdict.is_allowed());
            let waiting = told
                .targets
                .iter()
                .filter(|it| it.state == TargetState::Waiting);
            assert!(
                !all_open || waiting.count() == 0,
                "nothing stops it, yet it waits: {told:#?}"
            );
            assert!(told.earliest.is_none_or(|at| at > world.now));
        }
    }
}
