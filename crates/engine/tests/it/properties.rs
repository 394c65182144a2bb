//! Random sequences of commands, and after each of them: what the engine keeps up to date piece by piece is what
//! deciding everything anew gives, and what a second reading of the rules (the oracle) says.

mod draw;

use crate::invariants::bytes;
use crate::oracle::Oracle;
use crate::oracle::judge::{Standing, Verdict};
use crate::world::World;
use draw::{Draw, Hand};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngSeed, TestRunner};
use stagegate_engine::{Context, Engine, LaneKey, State, TargetState, Verdict as Told};
use stagegate_model::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A world with the oracle beside it.
struct Pair {
    world: World,
    oracle: Oracle,
    seen: usize,
    hand: Hand,
    wakes: usize,
    needless: usize,
}

fn context(now: Timestamp) -> Context {
    Context {
        entry: EntryId(Uuid::from_u128(u128::MAX >> 1)),
        now,
        actor: Actor::System,
    }
}

/// What an engine would decide of itself at a time, down to quiet.
fn decided(engine: &mut Engine, now: Timestamp) -> Vec<Fact> {
    let mut all = engine.settle(context(now));
    while engine.is_dirty() {
        all.extend(engine.settle(context(now)));
    }
    all
}

impl Pair {
    fn new() -> Self {
        let mut world = World::new();
        // What the world checks by itself is checked here, and more.
        world.watchful = false;
        let hand = Hand::new(&mut world);
        let oracle = Oracle::default();
        let mut pair = Self {
            world,
            oracle,
            seen: 0,
            hand,
            wakes: 0,
            needless: 0,
        };
        pair.follow();
        pair
    }

    fn follow(&mut self) {
        for entry in &self.world.entries[self.seen..] {
            self.oracle.follow(entry);
        }
        self.seen = self.world.entries.len();
        // Time passes without entries, too.
        self.oracle.now = self.oracle.now.max(self.world.now);
    }

    fn perform(&mut self, draw: &Draw) {
        if let Draw::Pass { seconds, between } = draw {
            self.pass(seconds * 1000, *between);
        } else {
            self.hand.play(&mut self.world, draw);
        }
        self.follow();
    }

    /// Lets time pass. Before each wake-up nothing is decided, whenever one looks; at each the lane is decided anew:
    /// something follows, or a gate that matters stands otherwise than a moment before, or at least the next wake-up
    /// is a later one.
    fn pass(&mut self, milliseconds: i64, between: u32) {
        let end = self.world.now.plus_millis(milliseconds);
        while let Some(at) = self.world.engine.next_wake().filter(|at| *at <= end) {
            self.sleeps_until(at, between);
            let before = self.oracle.standing(at.plus_millis(-1));
            self.world.now = at;
            let facts = self.world.settle();
            self.follow();
            let changed = before != self.oracle.standing(at);
            let next = self.world.engine.next_wake();
            assert!(next.is_none_or(|next| next > at), "woken at {at} again");
            self.needless += usize::from(facts.is_empty() && !changed);
            self.wakes += 1;
            self.agrees();
        }
        self.sleeps_until(end, between);
        self.world.now = end;
        let facts = self.world.settle();
        assert!(facts.is_empty(), "not woken, yet at {end}: {facts:?}");
    }

    /// Nothing changes by time alone before `at`; looked at one moment drawn, and just before.
    fn sleeps_until(&self, at: Timestamp, between: u32) {
        let now = self.world.now;
        let span = at.millis_since(now);
        let some = now.plus_millis(span * i64::from(between % 1000) / 1000);
        for then in [some, at.plus_millis(-1)] {
            if then <= now || then >= at {
                continue;
            }
            let mut engine = self.world.engine.clone();
            engine.resume();
            let facts = decided(&mut engine, then);
            assert!(
                facts.is_empty(),
                "to sleep until {at}, yet at {then}: {facts:?}"
            );
        }
    }

    /// Everything that must hold between any two commands.
    fn agrees(&self) {
        self.settled();
        self.folded();
        self.members();
        self.desired();
        self.recorded();
        let (woken, oracle) = (
            self.world.engine.next_wake(),
            self.oracle.changes_at(self.world.now),
        );
        if let Some((at, what)) = oracle {
            let in_time = woken.is_some_and(|woken| woken <= at);
            assert!(in_time, "woken at {woken:?}, after {at}: {what}");
        }
    }

    /// Deciding again, or everything anew, decides nothing.
    fn settled(&self) {
        let now = self.world.now;
        assert!(!self.world.engine.is_dirty());
        let mut again = self.world.engine.clone();
        let facts = again.settle(context(now));
        assert!(facts.is_empty(), "settling twice: {facts:?}");
        let same = bytes(again.state()) == bytes(self.world.state());
        assert!(same, "settling twice changed the state");
        // Anew from a snapshot: nothing but the state is left of the engine that made it.
        let snapshot = bytes(self.world.state());
        let read: State = rmp_serde::from_slice(&snapshot).expect("a snapshot reads back");
        assert!(bytes(&read) == snapshot, "a snapshot reads back otherwise");
        let mut anew = Engine::new(read);
        let facts = decided(&mut anew, now);
        assert!(facts.is_empty(), "decided anew: {facts:?}");
        let same = bytes(&anew.state().settled_form()) == bytes(&self.world.state().settled_form());
        assert!(same, "deciding anew changed the state");
        // A wake-up that a start has made needless costs nothing; one that comes too late would.
        let (anew, woken) = (anew.next_wake(), self.world.engine.next_wake());
        let in_time = anew.is_none_or(|at| woken.is_some_and(|woken| woken <= at));
        assert!(in_time, "woken at {woken:?}, anew at {anew:?}");
        for (way, engine) in self.world.others() {
            let mut other = engine.clone();
            other.resume();
            let facts = decided(&mut other, now);
            assert!(facts.is_empty(), "{way}: {facts:?}");
        }
    }

    /// A snapshot keeps all there is, not only what it writes. Dear, so only at the end.
    fn read_back(&self) {
        let read: State = rmp_serde::from_slice(&bytes(self.world.state())).unwrap();
        let read = Engine::new(read);
        let (read, state) = (read.state(), self.world.state());
        let (read, state) = (read.settled_form(), state.settled_form());
        assert!(
            format!("{read:?}") == format!("{state:?}"),
            "a snapshot forgets"
        );
    }

    /// The log folded, as bytes, is the state.
    fn folded(&self) {
        let state = self.world.state();
        let form = bytes(&state.settled_form());
        for (way, engine) in self.world.others() {
            let same = bytes(&engine.state().settled_form()) == form;
            assert!(same, "{way}: another state");
        }
    }

    fn members(&self) {
        let mut members = BTreeSet::new();
        let mut active = BTreeSet::new();
        for (lane, it) in self.world.state().lanes() {
            let targets = it.targets.iter().filter(|(_, target)| !target.leaving());
            members.extend(targets.map(|(resource, _)| lane.target(*resource)));
            for (resource, target) in &it.targets {
                let key = lane.target(*resource);
                active.extend(target.active().map(|job| (key, job)));
                assert_eq!(target.active(), self.oracle.places[&key].active, "{key}");
            }
        }
        assert_eq!(members, self.oracle.members(), "who is a target");
        let places = self.oracle.places.iter();
        let busy = places.filter_map(|(key, place)| Some((*key, place.active?)));
        assert_eq!(active, busy.collect(), "what is active");
    }

    /// Whatever is free has what it should have, but for what cannot be prepared; that is said to be blocked.
    fn desired(&self) {
        let now = self.world.now;
        for (key, place) in &self.oracle.places {
            let free = place.member && place.active.is_none();
            let desired = self.oracle.desired(*key, now).filter(|_| free);
            let told = || desired.map(|it| it.tag.as_str());
            assert_eq!(
                place.blocked,
                desired.map(|it| it.id),
                "{key}: {:?}",
                told()
            );
            if let Some(version) = desired {
                let can = self.oracle.can_prepare(version, *key);
                assert!(!can, "{:?} could start on {key}", told());
            }
        }
    }

    /// Open promotions have on record how their gates stand.
    fn recorded(&self) {
        let (state, now) = (self.world.state(), self.world.now);
        for key in self.oracle.places.keys() {
            for version in self.oracle.looked_at(*key, now) {
                let track = state.track(version.id, key.environment);
                let track = track.unwrap_or_else(|| panic!("{} waits unseen", version.tag));
                let promotion = track.promotion.and_then(|id| state.promotions().get(&id));
                if !promotion.is_some_and(|it| it.status.is_open()) {
                    continue;
                }
                for gate in self.oracle.gates(version, *key, now) {
                    let shared = self.by_rule(version, *key);
                    let known = track.gates.get(&gate.rule);
                    let known = known.unwrap_or_else(|| panic!("no record of {gate:?}"));
                    let recorded = match known.state {
                        GateState::Allow => (true, known.satisfied_at, None),
                        _ => (false, None, known.until),
                    };
                    let expected = &shared[&gate.rule];
                    assert!(
                        expected.iter().any(|it| plain(*it, false) == recorded),
                        "{} in {}: {known:?}, but {expected:?}",
                        version.tag,
                        key.environment
                    );
                }
            }
        }
    }

    /// How a version's rules stand in a lane; a rule may stand otherwise on targets where its policy cannot be asked.
    fn by_rule(&self, version: &Version, key: TargetKey) -> BTreeMap<RuleId, Vec<Verdict>> {
        let mut rules: BTreeMap<RuleId, Vec<Verdict>> = BTreeMap::new();
        for key in self.oracle.targets_of(key.deployment, key.environment) {
            for gate in self.oracle.gates(version, key, self.world.now) {
                rules.entry(gate.rule).or_default().push(gate.verdict);
            }
        }
        rules
    }

    /// What is explained is what the oracle says.
    fn explained(&self) {
        let (state, now) = (self.world.state(), self.world.now);
        for lane in state.lanes().keys() {
            let LaneKey {
                deployment,
                environment,
            } = *lane;
            let targets = self.oracle.targets_of(deployment, environment);
            for version in self.oracle.versions_of(deployment) {
                let told = self.world.engine.explain(*lane, version.id, now);
                let told = told.expect("an explanation");
                let stopped = self.oracle.is_stopped(version, environment);
                assert_eq!(told.stopped.is_some(), stopped, "{told:?}");
                let standing = told.targets.iter().map(|it| (it.resource, word(it.state)));
                let expected = targets
                    .iter()
                    .map(|key| (key.resource, self.oracle.stands(version, *key)));
                assert_eq!(
                    standing.collect::<Vec<_>>(),
                    expected.collect::<Vec<_>>(),
                    "{}",
                    version.tag
                );
                let Some(first) = targets.first() else {
                    continue;
                };
                let rules = self.by_rule(version, *first);
                let known: BTreeSet<RuleId> = told.gates.iter().map(|gate| gate.rule).collect();
                assert_eq!(known, rules.keys().copied().collect(), "{}", version.tag);
                for gate in &told.gates {
                    let said = match &gate.verdict {
                        Told::Allow {
                            satisfied_at,
                            lapses_at,
                            ..
                        } => (true, Some(*satisfied_at), *lapses_at),
                        Told::Wait { until, .. } => (false, None, *until),
                        Told::Deny { .. } => (false, None, None),
                    };
                    let expected = &rules[&gate.rule];
                    assert!(
                        expected.iter().any(|it| plain(*it, true) == said),
                        "{}: {gate:?}, but {expected:?}",
                        version.tag
                    );
                }
            }
        }
        let elsewhere = self.oracle.places.keys().find(|key| {
            let lane = state.lane((**key).into());
            !lane.is_some_and(|it| it.targets.contains_key(&key.resource))
        });
        assert_eq!(elsewhere, None, "a target of no lane");
    }
}

/// Whether it is open, since when, and until when it stays as it is.
fn plain(verdict: Verdict, lapse: bool) -> (bool, Option<Timestamp>, Option<Timestamp>) {
    match verdict {
        Verdict::Open {
            satisfied_at,
            lapses_at,
        } => (true, Some(satisfied_at), lapses_at.filter(|_| lapse)),
        Verdict::Until(at) => (false, None, Some(at)),
        Verdict::Shut => (false, None, None),
    }
}

fn word(state: TargetState) -> Standing {
    match state.as_str() {
        "newer" => Standing::Newer,
        "succeeded" => Standing::Succeeded,
        "failed" => Standing::Failed,
        "running" => Standing::Running,
        "verifying" => Standing::Verifying,
        "busy" => Standing::Busy,
        "blocked" => Standing::Blocked,
        "waiting" => Standing::Waiting,
        other => panic!("the oracle does not know `{other}`"),
    }
}

fn run(draws: &[Draw]) -> Pair {
    let mut pair = Pair::new();
    for (index, draw) in draws.iter().enumerate() {
        pair.perform(draw);
        pair.agrees();
        // Explaining costs most.
        if index % 4 == 3 || index + 1 == draws.len() {
            pair.explained();
        }
    }
    pair.read_back();
    crate::relive::repeats_itself(&pair.world.entries, pair.world.now);
    pair
}

/// The same cases at every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` look further.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(20_261_121),
        given => given,
    };
    let cases = if default.cases == 256 {
        32
    } else {
        default.cases
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_decides_as_the_oracle_says(draws in prop::collection::vec(draw::draw(), 8..48)) {
        run(&draws);
    }
}

/// The sequences are worth something: jobs start, time passes, and next to no wake-up is for nothing.
#[test]
fn the_sequences_reach_what_they_judge() {
    let mut runner = TestRunner::new(config());
    let strategy = prop::collection::vec(draw::draw(), 40..48);
    let (mut started, mut wakes, mut needless) = (0, 0, 0);
    for _ in 0..8 {
        let draws = strategy.new_tree(&mut runner).unwrap().current();
        let pair = run(&draws);
        started += pair.oracle.started;
        wakes += pair.wakes;
        needless += pair.needless;
    }
    let told = format!("{started} jobs, {wakes} wake-ups, {needless} of them for nothing");
    assert!(started > 30 && wakes > 4 && needless * 4 <= wakes, "{told}");
    println!("{told}");
}
