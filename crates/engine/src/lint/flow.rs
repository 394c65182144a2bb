//! What can ever open: from environments that wait for none, along progression rules.

use super::sight::{LaneSight, RuleSight, Sight};
use crate::state::LaneKey;
use stagegate_model::{DeploymentId, EnvironmentId, RuleId};
use std::collections::{BTreeMap, BTreeSet};

/// Lanes that no version can ever reach, by the ordinary course.
#[derive(Default)]
pub(super) struct Flow {
    pub dead: BTreeMap<LaneKey, Death>,
}

#[derive(Clone, Debug)]
pub(super) struct Death {
    pub cause: Cause,
    /// It is so for want of targets; other resources would mend it.
    pub at_present: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// A rule of its own is shut for good, and a finding of its own says so.
    Shut,
    /// A version selector is false whatever the version.
    Constant,
    /// It waits for itself.
    Cycle(BTreeSet<EnvironmentId>),
    /// It waits for an environment that nothing can reach.
    Upstream(EnvironmentId),
}

/// A rule's environments of which one suffices.
type Alternatives = Vec<EnvironmentId>;

/// The environments that a progression rule waits for in a lane. `None`: it waits for nothing there.
pub(super) struct Waits {
    /// With which the deployment shares a system.
    pub environments: Alternatives,
    /// Of those the ones with targets; all of them when it is not known where targets are.
    pub with_targets: Alternatives,
}

/// What a rule waits for in a lane; `None` when it is no progression rule or asks for nothing.
pub(super) fn waits(sight: &Sight<'_>, lane: &LaneSight<'_>, rule: RuleSight<'_>) -> Option<Waits> {
    let progression = rule.compiled.evaluator.as_ref().ok()?.progression()?;
    let deployment = lane.key.deployment;
    let upstream = progression.upstreams(sight.state, lane.environment);
    let lanes: Vec<&LaneSight<'_>> = upstream
        .filter_map(|it| {
            sight.lane(LaneKey {
                deployment,
                environment: it.id,
            })
        })
        .collect();
    // A lane without targets of its own asks nothing of others.
    let told = sight.has_resources && !lane.targets.is_empty();
    let with_targets = lanes.iter().filter(|it| !told || !it.targets.is_empty());
    let waits = Waits {
        with_targets: with_targets.map(|it| it.key.environment).collect(),
        environments: lanes.iter().map(|it| it.key.environment).collect(),
    };
    let passes = waits.with_targets.is_empty()
        && !waits.environments.is_empty()
        && progression.allows_no_targets()
        || !waits.with_targets.is_empty() && !progression.asks_for_success();
    (!passes).then_some(waits)
}

impl Flow {
    /// `shut` are rules of which something else tells that they never open.
    pub fn of(sight: &Sight<'_>, shut: &BTreeSet<RuleId>) -> Self {
        let mut dead = BTreeMap::new();
        let mut waiting: BTreeMap<DeploymentId, BTreeMap<EnvironmentId, Vec<Alternatives>>> =
            BTreeMap::new();
        for lane in &sight.lanes {
            let mut rules = Vec::new();
            if let Some(death) = look(sight, lane, shut, &mut rules) {
                dead.insert(lane.key, death);
            }
            let lanes = waiting.entry(lane.key.deployment).or_default();
            lanes.insert(lane.key.environment, rules);
        }
        for (deployment, lanes) in &waiting {
            stuck(*deployment, lanes, &mut dead);
        }
        Self { dead }
    }
}

/// Why the lane is shut by itself, and what it waits for else.
fn look(
    sight: &Sight<'_>,
    lane: &LaneSight<'_>,
    shut: &BTreeSet<RuleId>,
    rules: &mut Vec<Alternatives>,
) -> Option<Death> {
    let mut death = None;
    let mut dies = |cause: Cause, at_present: bool| {
        // What targets cannot mend says more.
        if death
            .as_ref()
            .is_none_or(|it: &Death| it.at_present && !at_present)
        {
            death = Some(Death { cause, at_present });
        }
    };
    let broken = |held: &super::sight::Held<'_>| {
        held.error.is_some() || held.policy.selector_error().is_some()
    };
    if lane
        .usual
        .iter()
        .any(|held| held.everywhere && broken(held))
        || sight.calendar.closed.contains(&lane.key)
    {
        dies(Cause::Shut, false);
    }
    for rule in lane.rules_everywhere() {
        let Ok(evaluator) = &rule.compiled.evaluator else {
            dies(Cause::Shut, false);
            continue;
        };
        if shut.contains(&rule.rule.id) {
            dies(Cause::Shut, false);
        }
        let condition = evaluator.version_condition();
        if condition.and_then(|it| it.constant()) == Some(false) {
            dies(Cause::Constant, false);
        }
        match waits(sight, lane, rule) {
            Some(waits) if waits.environments.is_empty() => dies(Cause::Shut, false),
            Some(waits) if waits.with_targets.is_empty() => dies(Cause::Shut, true),
            Some(waits) => rules.push(waits.with_targets),
            None => {}
        }
    }
    death
}

/// Finds the lanes of a deployment that are shut only by those they wait for.
fn stuck(
    deployment: DeploymentId,
    lanes: &BTreeMap<EnvironmentId, Vec<Alternatives>>,
    dead: &mut BTreeMap<LaneKey, Death>,
) {
    let key = |environment| LaneKey {
        deployment,
        environment,
    };
    let mut open: BTreeSet<EnvironmentId> = BTreeSet::new();
    loop {
        let opens = |rules: &[Alternatives]| {
            let mut rules = rules.iter();
            rules.all(|any| any.iter().any(|it| open.contains(it)))
        };
        let more: Vec<EnvironmentId> = lanes
            .iter()
            .filter(|(id, rules)| {
                !open.contains(id) && !dead.contains_key(&key(**id)) && opens(rules)
            })
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            break;
        }
        open.extend(more);
    }
    let own: BTreeMap<EnvironmentId, bool> = lanes
        .keys()
        .filter_map(|id| Some((*id, dead.get(&key(*id))?.at_present)))
        .collect();
    // What a stuck lane waits for and cannot have.
    let awaited = |id: EnvironmentId| -> BTreeSet<EnvironmentId> {
        let rules = lanes.get(&id).into_iter().flatten();
        let blocked = rules.filter(|any| !any.iter().any(|it| open.contains(it)));
        blocked.flatten().copied().collect()
    };
    let reach = |from: EnvironmentId| {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<EnvironmentId> = awaited(from).into_iter().collect();
        while let Some(id) = todo.pop() {
            if seen.insert(id) && !own.contains_key(&id) {
                todo.extend(awaited(id));
            }
        }
        seen
    };
    let stuck = lanes
        .keys()
        .filter(|id| !open.contains(id) && !own.contains_key(id));
    let reached: BTreeMap<EnvironmentId, BTreeSet<EnvironmentId>> =
        stuck.map(|id| (*id, reach(*id))).collect();
    for (id, seen) in &reached {
        let members = seen.iter().copied().filter(|other| {
            let back = reached.get(other);
            back.is_some_and(|back| back.contains(id))
        });
        let cycle: BTreeSet<EnvironmentId> = members.collect();
        let cause = if cycle.contains(id) {
            Cause::Cycle(cycle)
        } else {
            match awaited(*id).first() {
                Some(upstream) => Cause::Upstream(*upstream),
                None => Cause::Shut,
            }
        };
        let circle = seen.iter().any(|it| {
            let back = reached.get(it);
            back.is_some_and(|back| back.contains(it))
        });
        let lasting = seen.iter().any(|it| own.get(it) == Some(&false));
        let at_present = !circle && !lasting;
        dead.insert(key(*id), Death { cause, at_present });
    }
}
