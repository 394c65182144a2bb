//! `why` is true: what it says would happen happens, and what it says would open a gate opens it.
//!
//! States are taken from the middle of runs. Of each, every version that may still matter is explained in every
//! environment, and each explanation is put to the proof on a copy of the engine.

use super::acts::{Acted, act};
use stagegate_engine::{Context, Engine, Explanation, Gate, LaneKey, State};
use stagegate_model::*;
use stagegate_sim::dice::Dice;
use stagegate_sim::{Saboteur, plan, run_steps};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many explanations are put to the proof.
const EXPLANATIONS: usize = 10_000;
const STEPS: usize = 45;
/// States taken from one run, and versions of a deployment that are explained in each.
const STATES: usize = 40;
const VERSIONS: usize = 5;
/// How long nothing but time passes where no time was named.
const LONG_MILLIS: i64 = 30 * 86_400_000;

/// Takes states as they are when somebody asks for something.
struct Photographer {
    dice: Dice,
    states: Vec<State>,
}

impl Saboteur for Photographer {
    fn tampers(&self) -> bool {
        false
    }

    fn command(&mut self, state: &State, _: &mut Command) {
        if self.dice.chance(20) && self.states.len() < STATES && !state.versions().is_empty() {
            self.states.push(state.clone());
        }
    }
}

/// An engine that has decided all that there is to decide now.
pub fn settled(engine: &Engine, now: Timestamp) -> (Engine, Vec<Fact>) {
    let mut engine = engine.clone();
    let mut facts = Vec::new();
    for count in 0..50 {
        let context = Context {
            entry: EntryId(uuid::Uuid::from_u128(0xE000 + count + engine_seq(&engine))),
            now,
            actor: Actor::System,
        };
        facts.extend(engine.settle(context));
        if !engine.is_dirty() {
            break;
        }
    }
    (engine, facts)
}

/// Ids of entries are made from how many there were.
pub fn engine_seq(engine: &Engine) -> u128 {
    u128::from(engine.state().head().seq) << 32
}

/// What of an explanation is one gate: the rule, and the target if it is asked for one alone.
type Place = (RuleId, Option<ResourceId>);

fn gates(told: &Explanation) -> BTreeMap<Place, &Gate> {
    let own = told.targets.iter().flat_map(|target| {
        let gates = target.gates.iter();
        gates.map(|gate| ((gate.rule, Some(target.resource)), gate))
    });
    let all = told.gates.iter().map(|gate| ((gate.rule, None), gate));
    all.chain(own).collect()
}

/// What was found in one explanation that is not so.
pub struct Proof<'a> {
    pub engine: &'a Engine,
    pub told: &'a Explanation,
    pub now: Timestamp,
    pub wrong: Vec<String>,
    pub counts: BTreeMap<String, usize>,
}

impl Proof<'_> {
    fn wrong(&mut self, gate: Option<&Gate>, what: &str) {
        let gate = gate.map(|gate| {
            let (until, why) = (gate.verdict.changes_at(), gate.verdict.why());
            let open = gate.verdict.is_allowed();
            let (code, opens) = (why.code, &why.opens);
            format!("{} {code} open {open} until {until:?} ({opens})", gate.kind)
        });
        let told = &self.told.summary;
        self.wrong.push(format!(
            "{what}: {}; told: {told}",
            gate.unwrap_or_default()
        ));
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn at(&self, at: Timestamp) -> Option<Explanation> {
        self.engine.explain(self.told.lane, self.told.version, at)
    }

    /// Nothing but time passes, and nothing is decided meanwhile: what names a time stands until then and not longer;
    /// what names none stands.
    fn time_alone(&mut self) {
        let told = self.told;
        let mut times: BTreeSet<Timestamp> = told.earliest.into_iter().collect();
        times.extend(
            gates(told)
                .values()
                .filter_map(|gate| gate.verdict.changes_at()),
        );
        let long = self.now.plus_millis(LONG_MILLIS);
        let later = self.at(long);
        for (place, gate) in gates(told) {
            let open = gate.verdict.is_allowed();
            let Some(later) = &later else { continue };
            let unnamed = !open && gate.verdict.changes_at().is_none();
            // It waits for gates that name their own times.
            let others = gate.verdict.why().code == "rollout_not_begun";
            if unnamed && !others {
                self.count("time alone opens nothing");
                let then = gates(later)
                    .get(&place)
                    .is_some_and(|it| it.verdict.is_allowed());
                if then {
                    self.wrong(Some(gate), "no time was named, and time alone opened it");
                }
            }
        }
        for at in times {
            if at <= self.now {
                self.wrong(None, "a time was named that has come");
                continue;
            }
            let (before, then) = (self.at(at.plus_millis(-1)), self.at(at));
            let (Some(before), Some(then)) = (before, then) else {
                continue;
            };
            let (before_gates, then_gates) = (gates(&before), gates(&then));
            for (place, gate) in gates(told) {
                if gate.verdict.changes_at() != Some(at) {
                    continue;
                }
                self.count(format!("time: {}", gate.verdict.why().code));
                let open = gate.verdict.is_allowed();
                let just_before = before_gates.get(&place);
                if just_before.is_none_or(|it| it.verdict.is_allowed() != open) {
                    self.wrong(
                        Some(gate),
                        "it stood otherwise before the time that was named",
                    );
                }
                let same = then_gates.get(&place).is_some_and(|it| {
                    let code = it.verdict.why().code == gate.verdict.why().code;
                    let named = it.verdict.changes_at() == gate.verdict.changes_at();
                    code && named && it.verdict.is_allowed() == open
                });
                if same {
                    self.wrong(Some(gate), "nothing changed at the time that was named");
                }
            }
            if told.earliest == Some(at) {
                self.earliest(at, &before, &then);
            }
        }
    }

    /// Before the earliest time nothing starts; then it may, or another time is named.
    fn earliest(&mut self, at: Timestamp, before: &Explanation, then: &Explanation) {
        let told = self.told;
        self.count("earliest");
        if before.gates.iter().all(|gate| gate.verdict.is_allowed())
            && before
                .targets
                .iter()
                .all(|it| it.gates.iter().all(|gate| gate.verdict.is_allowed()))
        {
            self.wrong(None, &format!("all is open before {at}, the earliest time"));
        }
        // Of several targets another may wait longer, or for something else; but one that waited does not any more, or
        // another time is named.
        let again = then.earliest.is_some_and(|later| later > at);
        let changed = gates(told).into_iter().any(|(place, gate)| {
            let then = gates(then);
            let now = then.get(&place).map(|it| &it.verdict);
            !gate.verdict.is_allowed() && now != Some(&gate.verdict)
        });
        if !again && !changed {
            self.wrong(
                None,
                &format!("{at} was the earliest time, and all is as it was"),
            );
        }
        // What runs there or is tried again may end meanwhile, and free what was in the way.
        let lane = self.engine.state().lane(told.lane);
        if lane.is_some_and(|lane| {
            lane.targets.values().all(|it| it.active().is_none()) && lane.retries.is_empty()
        }) {
            self.count("earliest: let come");
            if let Some(fact) = self.started(at.plus_millis(-1)) {
                self.wrong(
                    None,
                    &format!("it started before {at}, the earliest time: {fact:?}"),
                );
            }
        }
    }

    /// The first job of the version there once `at` has come, in the ordinary course.
    fn started(&self, at: Timestamp) -> Option<Fact> {
        let (_, facts) = settled(self.engine, at);
        facts.into_iter().find(|fact| match fact {
            Fact::JobsCreated {
                version,
                environment,
                kind,
                ..
            } => {
                *version == self.told.version
                    && *environment == self.told.lane.environment
                    && *kind == StartKind::Forward
            }
            _ => false,
        })
    }

    /// Where all gates are told as open, nothing waits without a reason.
    fn nothing_unsaid(&mut self, newest: bool) {
        let told = self.told;
        let open = |gate: &Gate| gate.verdict.is_allowed();
        if !newest || told.stopped.is_some() || !told.gates.iter().all(open) {
            return;
        }
        self.count("all gates are open");
        let waiting = told.targets.iter().find(|it| {
            let waits = it.state == stagegate_engine::TargetState::Waiting;
            waits && it.reason.is_empty() && it.gates.iter().all(open)
        });
        if let Some(target) = waiting {
            let what = format!("{} waits, and nothing is said to stop it", target.resource);
            self.wrong(None, &what);
        }
    }

    /// What is said to open a gate opens it.
    fn acts(&mut self, dice: &mut Dice) {
        let told = self.told;
        if told.stopped.is_some() && dice.chance(40) {
            let acted = super::acts::act_on_stop(self);
            self.note("stopped", None, acted);
        }
        for gate in told.gates.iter().filter(|it| !it.verdict.is_allowed()) {
            let code = gate.verdict.why().code;
            // What is common is tried less often.
            let often = match code {
                "approval_pending" | "dependency_pending" | "frozen" => 12,
                "version_does_not_match" | "deployment_dependency_pending" => 25,
                _ => 60,
            };
            if dice.chance(often) {
                let acted = act(self, gate);
                self.note(code, Some(gate), acted);
            }
        }
    }

    fn note(&mut self, code: &str, gate: Option<&Gate>, acted: Acted) {
        match acted {
            Acted::Nothing => self.count(format!("not done: {code}")),
            Acted::Opened => self.count(format!("done: {code}")),
            Acted::Shut(what) => {
                let what = format!("what opens it was done, and it is shut ({what})");
                self.wrong(gate, &what);
            }
        }
    }
}

/// Proves every explanation of one state.
fn prove(
    state: State,
    dice: &mut Dice,
    counts: &mut BTreeMap<String, usize>,
    wrong: &mut Vec<String>,
) -> usize {
    let now = state.head().time;
    let (engine, _) = settled(&Engine::new(state), now);
    let mut explained = 0;
    let lanes = engine.state().lanes().iter();
    let lanes: Vec<LaneKey> = lanes
        .filter(|(_, lane)| !lane.targets.is_empty())
        .map(|(key, _)| *key)
        .collect();
    for lane in lanes {
        let versions = engine.state().versions_of(lane.deployment);
        let versions: Vec<VersionId> = versions.take(VERSIONS).map(|it| it.id).collect();
        let mut newest = true;
        for version in versions {
            let Some(told) = engine.explain(lane, version, now) else {
                continue;
            };
            explained += 1;
            let mut proof = Proof {
                engine: &engine,
                told: &told,
                now,
                wrong: Vec::new(),
                counts: BTreeMap::new(),
            };
            proof.time_alone();
            proof.nothing_unsaid(newest);
            proof.acts(dice);
            newest &= told.stopped.is_some();
            wrong.append(&mut proof.wrong);
            for (what, count) in proof.counts {
                *counts.entry(what).or_default() += count;
            }
        }
    }
    explained
}

/// What each proof must have met.
const MET: &[&str] = &[
    "all gates are open",
    "done: approval_pending",
    "done: approval_rejected",
    "done: dependency_pending",
    "done: deployment_dependency_pending",
    "done: frozen",
    "done: rollout_paused",
    "done: stopped",
    "done: version_does_not_match",
    "earliest",
    "earliest: let come",
    "time alone opens nothing",
    "time: cooling_down",
    "time: frozen",
    "time: rolling_out",
    "time: soaking",
    "time: window_closed",
    "time: window_denies",
];

#[test]
fn what_is_told_is_so() {
    let next = AtomicU64::new(1);
    let explained = AtomicUsize::new(0);
    let counts: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while explained.load(Ordering::Relaxed) < EXPLANATIONS {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut photographer = Photographer {
                        dice: Dice::of(seed, "why"),
                        states: Vec::new(),
                    };
                    let steps = plan::draw(seed, STEPS);
                    run_steps(seed, &steps, &mut photographer, false);
                    let mut dice = photographer.dice;
                    for state in photographer.states {
                        let (mut met, mut found) = (BTreeMap::new(), Vec::new());
                        let count = prove(state, &mut dice, &mut met, &mut found);
                        explained.fetch_add(count, Ordering::Relaxed);
                        let mut all = counts.lock().unwrap();
                        for (what, count) in met {
                            *all.entry(what).or_default() += count;
                        }
                        drop(all);
                        let found = found.into_iter().map(|it| format!("seed {seed}: {it}"));
                        wrong.lock().unwrap().extend(found);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let counts = counts.into_inner().unwrap();
    let explained = explained.into_inner();
    println!("{explained} explanations; {counts:#?}");
    let shown: Vec<&String> = wrong.iter().take(30).collect();
    assert!(wrong.is_empty(), "{} are wrong: {shown:#?}", wrong.len());
    assert!(explained >= EXPLANATIONS, "only {explained} explanations");
    let unmet: Vec<&&str> = MET.iter().filter(|it| !counts.contains_key(**it)).collect();
    assert!(unmet.is_empty(), "never met: {unmet:?}");
}
