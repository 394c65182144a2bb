//! Which policies apply to a version on a target. What does not depend on the target is asked once per lane.

use super::plan::GateStanding;
use crate::engine::Engine;
use crate::expressions::{
    CompiledDependency, CompiledPolicy, CompiledRule, LanePolicies, LanePolicy, Match, Subject,
};
use crate::rules::concurrency::Concurrency;
use crate::rules::gradual_rollout::GradualRollout;
use crate::rules::{TargetContext, retry, rollback, version_dependency};
use crate::state::{LaneKey, PackedResource, State};
use stagegate_model::{
    Deployment, Environment, PolicyId, ResourceId, RuleId, System, Timestamp, Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A lane with its entities, and the policies that may apply in it.
#[derive(Clone)]
pub(crate) struct LaneView<'e> {
    pub engine: &'e Engine,
    pub key: LaneKey,
    pub environment: &'e Arc<Environment>,
    pub deployment: &'e Arc<Deployment>,
    systems: Arc<[Arc<System>]>,
    /// Policies that what is known of the lane does not exclude.
    policies: Vec<Candidate<'e>>,
}

/// A policy that may apply in a lane.
#[derive(Clone, Copy)]
struct Candidate<'e> {
    policy: &'e Arc<CompiledPolicy>,
    /// It applies to every version on every target there.
    always: bool,
}

/// Targets of a lane to which the same policies apply, whatever the version.
pub(crate) struct Class {
    /// `None`: all targets of the lane, so that the usual case costs nothing for each target.
    pub resources: Option<Vec<ResourceId>>,
    /// Asked where a policy looks at the resource; any of the class gives the same answer.
    pub representative: Option<Arc<PackedResource>>,
}

/// A policy that applies, and the error if that could not be said.
pub(crate) struct Applicable<'e> {
    pub policy: &'e Arc<CompiledPolicy>,
    pub error: Option<String>,
}

/// What the policies that apply say apart from gates: how jobs are tried again and rolled back, whose turn it is.
#[derive(Default)]
pub(crate) struct Conduct<'e> {
    pub retries: Vec<&'e retry::Spec>,
    pub rollbacks: Vec<&'e rollback::Spec>,
    pub rollouts: Vec<(RuleId, &'e GradualRollout)>,
    pub concurrencies: Vec<(RuleId, &'e Concurrency)>,
    /// Rules that look at what a target has.
    pub by_target: Vec<(PolicyId, &'e CompiledRule)>,
    /// What the version itself needs on each target's resource.
    pub dependencies: &'e [CompiledDependency],
}

impl Conduct<'_> {
    /// Whether each target has to be asked for its turn.
    pub fn asks_for_turns(&self) -> bool {
        !self.rollouts.is_empty() || !self.concurrencies.is_empty() || self.asks_targets()
    }

    /// Whether each target is asked whether it may have the version at all.
    pub fn asks_targets(&self) -> bool {
        !self.by_target.is_empty() || !self.dependencies.is_empty()
    }

    /// Whether the answer depends on what other deployments have on the target's resource.
    pub fn asks_about_others(&self) -> bool {
        let mut rules = self.by_target.iter();
        !self.dependencies.is_empty()
            || rules.any(|(_, rule)| {
                let evaluator = rule.evaluator.as_ref();
                evaluator.is_ok_and(|it| it.asks_about_others())
            })
    }
}

impl<'e> LaneView<'e> {
    /// What the policies that apply to a version on a target say apart from gates. A policy of which it cannot be
    /// said whether it applies, applies; a rule that cannot be evaluated is a shut gate already.
    pub fn conduct(&self, version: &Version, resource: Option<&PackedResource>) -> Conduct<'e> {
        let mut conduct = Conduct {
            dependencies: self.engine.compiled.dependencies_of(version.id),
            ..Conduct::default()
        };
        let any = self
            .rules()
            .filter_map(|rule| rule.evaluator.as_ref().ok())
            .any(|it| {
                it.retry().is_some()
                    || it.rollback().is_some()
                    || it.rollout().is_some()
                    || it.concurrency().is_some()
                    || it.asks_targets()
            });
        if !any {
            return conduct;
        }
        for applicable in self.applicable(version, resource) {
            for rule in &applicable.policy.rules {
                let Ok(evaluator) = &rule.evaluator else {
                    continue;
                };
                conduct.retries.extend(evaluator.retry());
                conduct.rollbacks.extend(evaluator.rollback());
                let rollout = evaluator.rollout();
                conduct.rollouts.extend(rollout.map(|it| (rule.id, it)));
                let concurrency = evaluator.concurrency();
                let concurrency = concurrency.map(|it| (rule.id, it));
                conduct.concurrencies.extend(concurrency);
                if evaluator.asks_targets() {
                    conduct.by_target.push((applicable.policy.policy.id, rule));
                }
            }
        }
        conduct
    }

    /// The same for what starts now: turns that were set aside are not waited for.
    pub fn conduct_at(
        &self,
        version: &Version,
        resource: Option<&PackedResource>,
        now: Timestamp,
    ) -> Conduct<'e> {
        let mut conduct = self.conduct(version, resource);
        let counts = |rule: RuleId| self.skipped(version, rule, "", resource, now).is_none();
        conduct.rollouts.retain(|(rule, _)| counts(*rule));
        conduct.concurrencies.retain(|(rule, _)| counts(*rule));
        conduct
    }

    /// `None` when the environment or the deployment is gone.
    pub fn new(engine: &'e Engine, key: LaneKey) -> Option<Self> {
        let mut lane = Self::without_policies(engine, key)?;
        if let Some(known) = engine.compiled.lanes.get(&key) {
            let known = known.policies.iter().map(|known| Candidate {
                policy: &known.policy,
                always: known.always,
            });
            lane.policies = known.collect();
            return Some(lane);
        }
        let subject = lane.subject(None, None);
        let candidate = |policy: &'e Arc<CompiledPolicy>| {
            let found = policy.matches(subject);
            let open = policy.looks_at_version() || policy.looks_at_resource();
            (found != Match::No).then_some(Candidate {
                policy,
                always: found == Match::Yes && !open,
            })
        };
        let policies = engine.compiled.enabled_policies();
        lane.policies = policies.filter_map(candidate).collect();
        Some(lane)
    }

    /// What is worth remembering of the lane until something is configured.
    fn known(&self) -> LanePolicies {
        let policies = self.policies.iter().map(|it| LanePolicy {
            policy: Arc::clone(it.policy),
            always: it.always,
        });
        LanePolicies {
            systems: Arc::clone(&self.systems),
            policies: policies.collect(),
        }
    }

    fn rules(&self) -> impl Iterator<Item = &'e CompiledRule> {
        self.policies.iter().flat_map(|it| &it.policy.rules)
    }

    /// Whether what is known of a lane does not exclude a freeze, be it in the state or not.
    pub fn may_freeze(engine: &'e Engine, key: LaneKey, freeze: &CompiledPolicy) -> bool {
        let lane = Self::without_policies(engine, key);
        lane.is_some_and(|lane| freeze.matches(lane.subject(None, None)) != Match::No)
    }

    fn without_policies(engine: &'e Engine, key: LaneKey) -> Option<Self> {
        let state: &State = &engine.state;
        let environment = state.environments.get(&key.environment)?;
        let deployment = state.deployments.get(&key.deployment)?;
        let systems = match engine.compiled.lanes.get(&key) {
            Some(known) => Arc::clone(&known.systems),
            None => {
                let shared = environment.systems.intersection(&deployment.systems);
                shared
                    .filter_map(|id| state.systems.get(id))
                    .cloned()
                    .collect()
            }
        };
        Some(Self {
            engine,
            key,
            environment,
            deployment,
            systems,
            policies: Vec::new(),
        })
    }

    /// The policies and freezes that what is known of the lane does not exclude.
    pub fn policy_ids(&self) -> impl Iterator<Item = PolicyId> {
        self.policies.iter().map(|it| it.policy.policy.id)
    }

    fn subject<'a>(
        &'a self,
        version: Option<&'a Version>,
        resource: Option<&'a PackedResource>,
    ) -> Subject<'a> {
        Subject {
            environment: self.environment,
            deployment: self.deployment,
            systems: &self.systems,
            version,
            resource,
        }
    }

    /// The lane's targets by the policies that look at resources; one class when none does.
    pub fn classes(&self) -> Vec<Class> {
        let Some(lane) = self.engine.state.lane(self.key) else {
            return Vec::new();
        };
        if lane.targets.is_empty() {
            return Vec::new();
        }
        let looking: Vec<_> = self
            .policies
            .iter()
            .map(|it| it.policy)
            .filter(|policy| policy.looks_at_resource())
            .collect();
        let skips = self.engine.state.skips.values();
        let skipped: BTreeSet<ResourceId> = skips
            .filter(|skip| skip.environment.is_none_or(|id| id == self.key.environment))
            .filter_map(|skip| skip.resource)
            .filter(|id| lane.targets.contains_key(id))
            .collect();
        // Some windows let a target's first release pass.
        let exempting = self
            .rules()
            .filter_map(|rule| rule.evaluator.as_ref().ok()?.window())
            .any(|window| window.exempts_first_release);
        if looking.is_empty() && skipped.is_empty() && !exempting {
            return vec![Class {
                resources: None,
                representative: None,
            }];
        }
        // A policy whose selector looks at resource and version in one breath cannot be asked about the resource
        // alone; what it says then is the same for no two resources that can be known here.
        let mixed = looking.iter().any(|policy| policy.is_mixed());
        let mut classes: BTreeMap<(Vec<u8>, Option<ResourceId>), Class> = BTreeMap::new();
        for id in lane.targets.keys() {
            let Some(resource) = self.engine.state.resource(*id) else {
                continue;
            };
            let subject = self.subject(None, Some(resource));
            let first = exempting && lane.targets.get(id).is_some_and(|it| it.latest().is_none());
            let pattern = looking
                .iter()
                .map(|policy| match policy.matches(subject) {
                    Match::No => 0,
                    Match::Yes => 1,
                    // Shuts gates that stay open for others: a class of its own.
                    Match::Error(_) => 2,
                })
                .chain([u8::from(first)])
                .collect();
            let class = classes
                .entry((pattern, (mixed || skipped.contains(id)).then_some(*id)))
                .or_insert_with(|| Class {
                    resources: Some(Vec::new()),
                    representative: Some(Arc::clone(resource)),
                });
            class.resources.get_or_insert_default().push(*id);
        }
        classes.into_values().collect()
    }

    /// How the rules that look at what a target has stand for a version on one target.
    pub fn target_gates(
        &self,
        conduct: &Conduct<'_>,
        version: &Version,
        resource: ResourceId,
        now: Timestamp,
    ) -> Vec<GateStanding> {
        let state = &self.engine.state;
        let target = state
            .lane(self.key)
            .and_then(|lane| lane.targets.get(&resource));
        let (Some(target), Some(stored)) = (target, state.resource(resource)) else {
            return Vec::new();
        };
        let mut gates = Vec::new();
        for (policy, rule) in &conduct.by_target {
            if let Some(skipped) = self.skipped(version, rule.id, rule.kind, Some(stored), now) {
                gates.push(GateStanding {
                    policy: *policy,
                    ..skipped
                });
                continue;
            }
            let context = TargetContext {
                state,
                version,
                deployment: self.key.deployment,
                resource: stored,
                target,
                now,
            };
            let evaluator = rule.evaluator.as_ref().ok();
            let verdict = evaluator.and_then(|it| it.on_target(&context));
            gates.extend(verdict.map(|verdict| GateStanding {
                policy: *policy,
                rule: rule.id,
                kind: rule.kind,
                verdict: Arc::new(verdict),
                latches: false,
                latched: false,
            }));
        }
        let needed = conduct.dependencies.iter();
        gates.extend(needed.map(|needed| {
            let verdict = version_dependency::judge(state, version, stored, needed);
            version_dependency::standing(version.id, needed.deployment, verdict)
        }));
        gates
    }

    /// Whether some policy here may want something measured at `trigger`; cheap, to be asked before each job is.
    pub fn may_want(&self, trigger: stagegate_model::VerificationTrigger) -> bool {
        let mut specs = self
            .rules()
            .filter_map(|rule| rule.evaluator.as_ref().ok()?.verification());
        specs.any(|spec| spec.trigger_on == trigger)
    }

    /// Whether some policy here may want something measured, or cannot be evaluated; cheap.
    pub fn measures(&self) -> bool {
        self.rules().any(|rule| {
            let evaluator = rule.evaluator.as_ref().ok();
            evaluator.is_none_or(|it| it.verification().is_some())
        })
    }

    /// The policies that apply to a version on targets like `resource`, in the order of their ids; those that an
    /// applying one replaces are left out.
    pub fn applicable(
        &self,
        version: &Version,
        resource: Option<&PackedResource>,
    ) -> Vec<Applicable<'e>> {
        let subject = self.subject(Some(version), resource);
        let matching: Vec<Applicable<'e>> = self
            .policies
            .iter()
            .filter_map(|it| {
                let found = match it.always {
                    true => Match::Yes,
                    false => it.policy.matches(subject),
                };
                let error = match found {
                    Match::No => return None,
                    Match::Yes => None,
                    Match::Error(error) => Some(error),
                };
                let policy = it.policy;
                Some(Applicable { policy, error })
            })
            .collect();
        if matching
            .iter()
            .all(|it| it.policy.policy.replaces.is_empty())
        {
            return matching;
        }
        let effective = effective(&matching);
        matching
            .into_iter()
            .filter(|it| effective.contains(&it.policy.policy.id))
            .collect()
    }
}

impl Engine {
    /// Finds out once what is known of a lane whatever the version and the resource.
    pub(crate) fn know_lane(&mut self, key: LaneKey) {
        if self.compiled.lanes.contains_key(&key) {
            return;
        }
        let known = LaneView::new(self, key).map(|view| view.known());
        self.compiled.lanes.extend(known.map(|known| (key, known)));
    }
}

/// The policies that are not replaced by one that is itself in effect. A policy that may not apply (its selector
/// failed) replaces nothing. Chains are resolved from their head; the catalog refuses circles.
pub(crate) fn effective(matching: &[Applicable<'_>]) -> BTreeSet<PolicyId> {
    let mut effective: BTreeSet<PolicyId> = matching.iter().map(|it| it.policy.policy.id).collect();
    // Each pass settles at least one more link of every chain.
    for _ in 0..=matching.len() {
        let replaced: BTreeSet<PolicyId> = matching
            .iter()
            .filter(|it| it.error.is_none() && effective.contains(&it.policy.policy.id))
            .flat_map(|it| it.policy.policy.replaces.iter().copied())
            .collect();
        let next: BTreeSet<PolicyId> = matching
            .iter()
            .map(|it| it.policy.policy.id)
            .filter(|id| !replaced.contains(id))
            .collect();
        if next == effective {
            break;
        }
        effective = next;
    }
    effective
}
