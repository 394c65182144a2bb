//! Rules: one folder each (user documentation, spec, evaluation), one line each in [`REGISTRY`].
//!
//! A policy is stored as `{kind, spec}` pairs; only this module knows what a spec means.

mod any_approval;
pub(crate) mod approval;
pub(crate) mod concurrency;
mod deployment_dependency;
pub mod deployment_window;
pub(crate) mod environment_progression;
pub(crate) mod freeze;
pub(crate) mod gradual_rollout;
pub(crate) mod retry;
pub(crate) mod rollback;
pub mod verification;
mod version_cooldown;
pub(crate) mod version_dependency;
mod version_selector;

use crate::catalog::Draft;
use crate::state::{PackedResource, State, TargetView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stagegate_expressions::cel::Program;
use stagegate_model::{
    Deployment, DeploymentId, Environment, Json, Policy, Rejection, Rule, RuleId, Timestamp,
    Version,
};
use std::sync::Arc;

/// Every kind of rule, in the order in which they are shown.
pub const REGISTRY: &[RuleKind] = &[
    environment_progression::KIND,
    any_approval::KIND,
    deployment_window::KIND,
    version_selector::KIND,
    verification::KIND,
    retry::KIND,
    rollback::KIND,
    gradual_rollout::KIND,
    concurrency::KIND,
    approval::KIND,
    version_cooldown::KIND,
    deployment_dependency::KIND,
];

/// A kind of rule.
pub struct RuleKind {
    /// The key in a policy's `rules`.
    pub kind: &'static str,
    /// The page for users, in Markdown.
    pub doc: &'static str,
    /// The JSON Schema of its spec.
    pub schema: &'static str,
    /// Refuses a spec that is wrong in itself or does not fit what else there is.
    check: fn(&Json, &Draft<'_>) -> Result<(), Rejection>,
    /// Makes a spec ready to be evaluated.
    compile: fn(&Json) -> Result<Arc<dyn RuleEvaluator>, Rejection>,
}

/// A rule, ready to be asked. Synchronous and total.
pub(crate) trait RuleEvaluator: Send + Sync {
    /// How the rule stands for a version in an environment; `None` when this kind is no gate.
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict>;

    /// Whether passing stays passed once the first job of the version in the environment was created under it.
    fn latches(&self) -> bool {
        false
    }

    /// Whether each target has to be asked, since the rule looks at what the target has.
    fn asks_targets(&self) -> bool {
        false
    }

    /// Whether the answer for a target depends on what other deployments have on its resource.
    fn asks_about_others(&self) -> bool {
        false
    }

    /// How the rule stands for a version on one target; a target that it stops may take an older version.
    fn on_target(&self, _: &TargetContext<'_>) -> Option<Verdict> {
        None
    }

    /// How the rule stands for a rollback; `None` when it lets every rollback pass.
    fn on_rollback(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    /// Who approves, for an approval rule.
    fn approval(&self) -> Option<&approval::Approval> {
        None
    }

    /// What is measured, for a verification rule.
    fn verification(&self) -> Option<&verification::Spec> {
        None
    }

    /// How failed jobs are tried again, for a retry rule.
    fn retry(&self) -> Option<&retry::Spec> {
        None
    }

    /// What is rolled back, for a rollback rule.
    fn rollback(&self) -> Option<&rollback::Spec> {
        None
    }

    /// In which order and how fast targets are released, for a gradual rollout.
    fn rollout(&self) -> Option<&gradual_rollout::GradualRollout> {
        None
    }

    /// How many targets are worked on at a time, for a concurrency rule.
    fn concurrency(&self) -> Option<&concurrency::Concurrency> {
        None
    }

    /// Which environments are waited for, for a progression rule.
    fn progression(&self) -> Option<&environment_progression::Progression> {
        None
    }

    /// What the version must match, for a rule that selects versions.
    fn version_condition(&self) -> Option<&Program> {
        None
    }

    /// The window of a window rule, to be judged together with the others that apply: [`deployment_window::judge`].
    fn window(&self) -> Option<&deployment_window::Window> {
        None
    }

    /// The same rule, knowing when it was made; `None` where that does not matter.
    ///
    /// # Errors
    /// With that time the rule makes no sense.
    fn anchored(
        &self,
        _created_at: Timestamp,
    ) -> Option<Result<Arc<dyn RuleEvaluator>, Rejection>> {
        None
    }
}

/// What a rule is asked about.
#[derive(Clone, Copy)]
pub(crate) struct GateContext<'a> {
    pub state: &'a State,
    pub policy: &'a Policy,
    pub rule: RuleId,
    pub version: &'a Version,
    pub environment: &'a Environment,
    pub deployment: &'a Deployment,
    /// When this rule was satisfied, if its passing has latched.
    pub latched: Option<Timestamp>,
    /// Whether the details of a reason are told to somebody.
    pub tells: bool,
    pub now: Timestamp,
}

impl GateContext<'_> {
    /// The details of a reason, where they are told; deciding makes none.
    pub fn details(&self, make: impl FnOnce() -> Json) -> Json {
        if self.tells { make() } else { Json::Null }
    }
}

/// What a rule is asked about one target.
#[derive(Clone, Copy)]
pub(crate) struct TargetContext<'a> {
    pub state: &'a State,
    pub version: &'a Version,
    /// The deployment that the version is of.
    pub deployment: DeploymentId,
    pub resource: &'a PackedResource,
    pub target: TargetView<'a>,
    pub now: Timestamp,
}

/// How a rule stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "state"
)]
pub enum Verdict {
    /// Open, since `satisfied_at`; closes by itself at `lapses_at`.
    Allow {
        satisfied_at: Timestamp,
        lapses_at: Option<Timestamp>,
        why: Reason,
    },
    /// Something expected is pending; `until` is when time alone opens it or is worth asking again.
    Wait {
        until: Option<Timestamp>,
        why: Reason,
    },
    /// Evaluated and refused; someone must change something.
    Deny { why: Reason },
}

/// Why a rule stands as it does, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Stable, for programs.
    pub code: &'static str,
    /// What is the case.
    pub message: String,
    /// What would open the gate; empty when it is open.
    pub opens: String,
    /// Who can do that; empty when nobody needs to.
    pub who: String,
    pub action: Action,
    pub details: Json,
}

/// What the outside is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Approval,
    Wait,
    #[default]
    None,
}

impl Reason {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            ..Self::default()
        }
    }

    pub(crate) fn opens(mut self, opens: impl Into<String>) -> Self {
        self.opens = opens.into();
        self
    }

    pub(crate) fn who(mut self, who: impl Into<String>) -> Self {
        self.who = who.into();
        self
    }

    pub(crate) fn action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    pub(crate) fn details(mut self, details: Json) -> Self {
        self.details = details;
        self
    }
}

impl Verdict {
    /// Open since a time, for as long as nothing else happens.
    pub(crate) fn allow(satisfied_at: Timestamp, why: Reason) -> Self {
        Self::Allow {
            satisfied_at,
            lapses_at: None,
            why,
        }
    }

    /// Whether the gate is open.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// Why it stands so.
    #[must_use]
    pub fn why(&self) -> &Reason {
        match self {
            Self::Allow { why, .. } | Self::Wait { why, .. } | Self::Deny { why } => why,
        }
    }

    /// Since when it is open.
    #[must_use]
    pub fn satisfied_at(&self) -> Option<Timestamp> {
        match self {
            Self::Allow { satisfied_at, .. } => Some(*satisfied_at),
            Self::Wait { .. } | Self::Deny { .. } => None,
        }
    }

    /// When time alone may change it.
    #[must_use]
    pub fn changes_at(&self) -> Option<Timestamp> {
        match self {
            Self::Allow { lapses_at, .. } => *lapses_at,
            Self::Wait { until, .. } => *until,
            Self::Deny { .. } => None,
        }
    }
}

/// The page for users of one kind of rule.
#[must_use]
pub fn documentation(kind: &str) -> Option<&'static str> {
    find(kind).map(|rule| rule.doc)
}

fn find(kind: &str) -> Option<&'static RuleKind> {
    REGISTRY.iter().find(|rule| rule.kind == kind)
}

/// The registry's own spelling of a kind; a kind that is not known any more has none.
pub(crate) fn kind_name(kind: &str) -> &'static str {
    if kind == freeze::KIND {
        return freeze::KIND;
    }
    find(kind).map_or("unknown", |rule| rule.kind)
}

/// Refuses a rule of a policy that is being written.
pub(crate) fn check(rule: &Rule, draft: &Draft<'_>) -> Result<(), Rejection> {
    let Rule { kind, spec, .. } = rule;
    let Some(known) = find(kind) else {
        let known: Vec<_> = REGISTRY.iter().map(|rule| rule.kind).collect();
        return Err(
            Rejection::invalid("unknown_rule", format!("there is no rule kind `{kind}`"))
                .hint(format!("the kinds are: {}", known.join(", "))),
        );
    };
    (known.check)(spec, draft)
        .and_then(|()| compile(rule))
        .map(|_| ())
        .map_err(|rejection| rejection.at(kind))
}

/// Makes a stored rule ready to be asked.
pub(crate) fn compile(rule: &Rule) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    let Some(known) = find(&rule.kind) else {
        return Err(Rejection::invalid(
            "unknown_rule",
            format!("this server does not know the rule kind `{}`", rule.kind),
        ));
    };
    let evaluator = (known.compile)(&rule.spec)?;
    evaluator.anchored(rule.created_at).unwrap_or(Ok(evaluator))
}

/// Reads a spec, naming the member that is wrong.
fn read_spec<S: DeserializeOwned>(spec: &Json) -> Result<S, Rejection> {
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let path = error.path().to_string();
        let rejection = Rejection::invalid("invalid_rule", error.into_inner().to_string());
        if path == "." {
            rejection
        } else {
            rejection.at(path)
        }
    })
}

/// The environments other than `environment` that share a system with it.
fn siblings<'a>(
    state: &'a State,
    environment: &'a Environment,
) -> impl Iterator<Item = &'a Arc<Environment>> {
    state.environments.values().filter(|other| {
        other.id != environment.id && !other.systems.is_disjoint(&environment.systems)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The fields that a spec may have, from the refusal of one that it may not.
    fn fields(rule: &RuleKind) -> BTreeSet<String> {
        let spec = serde_json::json!({ "noSuchField": 1 });
        let Err(refusal) = (rule.compile)(&spec) else {
            panic!("{} takes any field", rule.kind);
        };
        let message = refusal.message;
        assert!(
            message.contains("unknown field"),
            "{}: {message}",
            rule.kind
        );
        let named = message.split('`').skip(1).step_by(2);
        named
            .filter(|name| *name != "noSuchField")
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn every_schema_names_the_fields_of_its_spec() {
        for rule in REGISTRY {
            let schema: Json = serde_json::from_str(rule.schema).expect(rule.kind);
            assert_eq!(schema["title"], rule.kind);
            let named = schema["properties"].as_object().expect(rule.kind).keys();
            let named: BTreeSet<String> = named.cloned().collect();
            assert_eq!(named, fields(rule), "{}", rule.kind);
            let required = schema["required"].as_array().into_iter().flatten();
            for field in required {
                let field = field.as_str().expect(rule.kind);
                assert!(named.contains(field), "{}: {field}", rule.kind);
            }
        }
    }
}
