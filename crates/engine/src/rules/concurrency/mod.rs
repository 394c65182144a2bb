//! `concurrency`: so many targets with something in common are worked on at a time.

use super::{GateContext, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use crate::expressions::{DeploymentView, EnvironmentView, ResourceView, check_value, turn_schema};
use crate::state::PackedResource;
use serde::Deserialize;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Deployment, Environment, Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "concurrency",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// How many targets at a time; at least 1.
    max: u32,
    /// What the targets that count together have in common; all that the rule applies to, when absent.
    scope: Option<String>,
}

/// The rule, ready to be asked.
pub(crate) struct Concurrency {
    pub max: u32,
    scope: Option<Program>,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    let spec: Spec = read_spec(spec)?;
    if spec.max == 0 {
        return Err(
            Rejection::invalid("invalid_rule", "`max` must be at least 1")
                .at("max")
                .hint("to stop every deployment, freeze the targets"),
        );
    }
    ready(spec).map(drop)
}

fn ready(spec: Spec) -> Result<Concurrency, Rejection> {
    let scope = spec
        .scope
        .map(|text| check_value(&text, turn_schema(), "scope"))
        .transpose()?;
    Ok(Concurrency {
        max: spec.max,
        scope,
    })
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(ready(read_spec(spec)?)?))
}

impl RuleEvaluator for Concurrency {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn concurrency(&self) -> Option<&Concurrency> {
        Some(self)
    }
}

impl Concurrency {
    /// What the target has in common with those it counts with.
    ///
    /// # Errors
    /// When that cannot be said; then the target does not start.
    pub(crate) fn scope_of(
        &self,
        environment: &Environment,
        deployment: &Deployment,
        resource: &PackedResource,
    ) -> Result<Json, String> {
        let Some(scope) = &self.scope else {
            return Ok(Json::Null);
        };
        let environment = EnvironmentView(environment);
        let deployment = DeploymentView(deployment);
        let resource = ResourceView(resource);
        let roots = Roots::new()
            .with("environment", View::Object(&environment))
            .with("deployment", View::Object(&deployment))
            .with("resource", View::Object(&resource));
        scope
            .eval_value(&roots)
            .map_err(|error| format!("`scope` cannot be evaluated: {error}"))
    }
}
