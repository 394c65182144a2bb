//! What lints look at: every lane with its targets and the policies that hold there whatever the version.

use super::calendar::{self, Calendar};
use super::flow::Flow;
use super::{Severity, Whole, approval_unsatisfiable};
use crate::engine::Engine;
use crate::expressions::{CompiledPolicy, CompiledRule, Match, Subject};
use crate::settle::{Applicable, effective};
use crate::state::{LaneKey, PackedResource, State};
use stagegate_model::{
    Deployment, Environment, EnvironmentId, PolicyId, Rule, RuleId, System, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Targets of a lane at which selectors are tried, at most; of a larger lane the first ones stand for all.
const TARGETS_MAX: usize = 1_000;

/// Kinds of rules that can keep a version out of an environment.
const GATES: [&str; 5] = [
    "environmentProgression",
    "anyApproval",
    "approval",
    "deploymentWindow",
    "versionSelector",
];

/// A workspace, looked at.
pub(super) struct Sight<'e> {
    pub engine: &'e Engine,
    pub state: &'e State,
    pub now: Timestamp,
    pub whole: Whole,
    /// Whether there are resources, so that what has no targets has none.
    pub has_resources: bool,
    /// Every pair of a deployment and an environment that share a system.
    pub lanes: Vec<LaneSight<'e>>,
    /// Where in `lanes` each is.
    by_key: BTreeMap<LaneKey, usize>,
    /// The lanes in which each policy, or freeze by its id, may hold.
    by_policy: BTreeMap<PolicyId, Vec<usize>>,
    pub calendar: Calendar,
    /// What can ever open.
    pub flow: Flow,
}

pub(super) struct LaneSight<'e> {
    pub key: LaneKey,
    pub environment: &'e Arc<Environment>,
    pub deployment: &'e Arc<Deployment>,
    pub targets: Vec<&'e Arc<PackedResource>>,
    /// Policies and freezes that may hold for some version on some target, replaced ones included.
    pub possible: Vec<Held<'e>>,
    /// Of those the ones that hold for versions in general: no selector over versions, not replaced for all versions.
    pub usual: Vec<Held<'e>>,
}

/// A policy in a lane.
#[derive(Clone)]
pub(super) struct Held<'e> {
    pub policy: &'e Arc<CompiledPolicy>,
    /// Whether it holds on all targets.
    pub everywhere: bool,
    /// Why it cannot be said whether it holds.
    pub error: Option<String>,
}

/// A rule in its policy.
#[derive(Clone, Copy)]
pub(super) struct RuleSight<'e> {
    pub policy: &'e Arc<CompiledPolicy>,
    pub index: usize,
    pub rule: &'e Rule,
    pub compiled: &'e CompiledRule,
}

impl RuleSight<'_> {
    /// The path of a member of its spec, or of the rule when that is empty.
    pub fn field(&self, member: &str) -> String {
        let dot = if member.is_empty() { "" } else { "." };
        format!("rules[{}].{}{dot}{member}", self.index, self.rule.kind)
    }

    pub fn object(&self) -> super::Object {
        super::Object::policy(&self.policy.policy)
    }

    /// A number of the spec.
    pub fn number(&self, member: &str) -> Option<f64> {
        self.rule.spec.get(member)?.as_f64()
    }
}

/// The rules of a policy; a freeze has none.
pub(super) fn rules_of(policy: &Arc<CompiledPolicy>) -> impl Iterator<Item = RuleSight<'_>> {
    let pairs = policy.policy.rules.iter().zip(&policy.rules).enumerate();
    pairs.map(move |(index, (rule, compiled))| RuleSight {
        policy,
        index,
        rule,
        compiled,
    })
}

impl<'e> Sight<'e> {
    pub fn new(engine: &'e Engine, now: Timestamp, whole: Whole) -> Self {
        let state = engine.state();
        let has_resources = state.resources().next().is_some();
        let mut lanes = Vec::new();
        for deployment in state.deployments.values() {
            for environment in state.environments.values() {
                if !deployment.systems.is_disjoint(&environment.systems) {
                    lanes.push(LaneSight::new(engine, deployment, environment));
                }
            }
        }
        let keys = lanes.iter().enumerate();
        let by_key = keys.map(|(index, lane)| (lane.key, index)).collect();
        let mut by_policy: BTreeMap<PolicyId, Vec<usize>> = BTreeMap::new();
        for (index, lane) in lanes.iter().enumerate() {
            for held in &lane.possible {
                by_policy
                    .entry(held.policy.policy.id)
                    .or_default()
                    .push(index);
            }
        }
        let mut sight = Self {
            engine,
            state,
            now,
            whole,
            has_resources,
            lanes,
            by_key,
            by_policy,
            calendar: Calendar::default(),
            flow: Flow::default(),
        };
        let unapproved = approval_unsatisfiable::shut(&sight);
        sight.calendar = calendar::look(&sight);
        sight.flow = Flow::of(&sight, &unapproved);
        sight
    }

    /// How bad it is that nothing is there now: files do not tell all that there is.
    pub fn at_present(&self, severity: Severity) -> Severity {
        match self.whole {
            Whole::Workspace => severity,
            Whole::Files => Severity::Note,
        }
    }

    /// Enabled policies in the order of their ids.
    pub fn policies(&self) -> impl Iterator<Item = &'e Arc<CompiledPolicy>> {
        let all = self.engine.compiled.enabled_policies();
        all.filter(|it| self.state.policies.contains_key(&it.policy.id))
    }

    /// The rules of enabled policies.
    pub fn rules(&self) -> impl Iterator<Item = RuleSight<'e>> {
        self.policies().flat_map(rules_of)
    }

    /// The lanes of an environment.
    pub fn lanes_in(&self, environment: EnvironmentId) -> impl Iterator<Item = &LaneSight<'e>> {
        let lanes = self.lanes.iter();
        lanes.filter(move |lane| lane.key.environment == environment)
    }

    /// The lanes in which a policy, or a freeze by its id, may hold.
    pub fn lanes_of(&self, policy: PolicyId) -> impl Iterator<Item = &LaneSight<'e>> {
        let indexes = self.by_policy.get(&policy).into_iter().flatten();
        indexes.filter_map(|index| self.lanes.get(*index))
    }

    pub fn lane(&self, key: LaneKey) -> Option<&LaneSight<'e>> {
        self.lanes.get(*self.by_key.get(&key)?)
    }

    pub fn environment_name(&self, id: EnvironmentId) -> &str {
        let environment = self.state.environments.get(&id);
        environment.map_or("?", |environment| &environment.name)
    }
}

impl<'e> LaneSight<'e> {
    fn new(
        engine: &'e Engine,
        deployment: &'e Arc<Deployment>,
        environment: &'e Arc<Environment>,
    ) -> Self {
        let state = engine.state();
        let key = LaneKey {
            deployment: deployment.id,
            environment: environment.id,
        };
        let ids = state.lane(key).into_iter().flat_map(|lane| {
            let staying = lane.targets.iter().filter(|(_, target)| !target.leaving());
            staying.map(|(id, _)| *id)
        });
        let targets: Vec<_> = ids.filter_map(|id| state.resource(id)).collect();
        let shared = environment.systems.intersection(&deployment.systems);
        let systems: Vec<Arc<System>> = shared
            .filter_map(|id| state.systems.get(id))
            .cloned()
            .collect();
        let subject = Subject {
            environment,
            deployment,
            systems: &systems,
            version: None,
            resource: None,
        };
        let policies = engine.compiled.enabled_policies();
        let possible: Vec<Held<'e>> = policies
            .filter_map(|policy| Held::new(policy, subject, &targets))
            .collect();
        let usual = usual(&possible);
        Self {
            key,
            environment,
            deployment,
            targets,
            possible,
            usual,
        }
    }

    /// The rules that hold for versions in general.
    pub fn rules(&self) -> impl Iterator<Item = RuleSight<'e>> {
        self.usual.iter().flat_map(|held| rules_of(held.policy))
    }

    /// Those of them that hold on all targets.
    pub fn rules_everywhere(&self) -> impl Iterator<Item = RuleSight<'e>> {
        let held = self.usual.iter().filter(|held| held.everywhere);
        held.flat_map(|held| rules_of(held.policy))
    }
}

impl<'e> Held<'e> {
    /// `None` when the policy does not hold there at all.
    fn new(
        policy: &'e Arc<CompiledPolicy>,
        subject: Subject<'_>,
        targets: &[&Arc<PackedResource>],
    ) -> Option<Self> {
        let held = |everywhere, error| {
            Some(Self {
                policy,
                everywhere,
                error,
            })
        };
        match policy.matches(subject) {
            Match::No => return None,
            Match::Error(error) => return held(true, Some(error)),
            Match::Yes => {}
        }
        if !policy.looks_at_resource() || targets.is_empty() {
            return held(!policy.looks_at_resource(), None);
        }
        let (mut some, mut all) = (false, true);
        for target in targets.iter().take(TARGETS_MAX) {
            let resource = Some(&***target);
            match policy.matches(Subject {
                resource,
                ..subject
            }) {
                Match::No => all = false,
                Match::Yes => some = true,
                Match::Error(error) => return held(false, Some(error)),
            }
        }
        // What was not looked at may be another.
        if targets.len() > TARGETS_MAX {
            return held(false, None);
        }
        if some { held(all, None) } else { None }
    }
}

fn usual<'e>(possible: &[Held<'e>]) -> Vec<Held<'e>> {
    let general = possible.iter().filter(|it| !it.policy.looks_at_version());
    let general: Vec<Held<'e>> = general.cloned().collect();
    let applicable: Vec<Applicable<'_>> = general
        .iter()
        .map(|held| Applicable {
            policy: held.policy,
            // What does not hold everywhere replaces nothing in general.
            error: (!held.everywhere || held.error.is_some()).then(String::new),
        })
        .collect();
    let effective = effective(&applicable);
    general
        .into_iter()
        .filter(|held| effective.contains(&held.policy.policy.id))
        .collect()
}

/// Whether a rule can keep a version out.
pub(super) fn is_gate(kind: &str) -> bool {
    GATES.contains(&kind)
}

/// Names in a sentence: `A`, `B` and 3 more.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN_MAX: usize = 4;
    let names: BTreeSet<&str> = names.into_iter().collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    match (shown.split_last(), more) {
        (None, _) => String::new(),
        (Some(_), 1..) => format!("{} and {more} more", shown.join(", ")),
        (Some((last, [])), 0) => last.clone(),
        (Some((last, rest)), 0) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Things by rule, in the order of the rules' ids.
pub(super) type ByRule<T> = BTreeMap<RuleId, T>;
