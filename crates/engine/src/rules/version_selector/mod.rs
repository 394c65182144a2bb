//! `versionSelector`: the version must match.

use super::{GateContext, Reason, RuleEvaluator, RuleKind, Verdict, read_spec};
use crate::catalog::Draft;
use crate::expressions::{DeploymentView, EnvironmentView, VersionView, check_cel, version_schema};
use serde::Deserialize;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "versionSelector",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// Characters in a description, at most.
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    selector: String,
    description: Option<String>,
}

/// The rule with its selector compiled.
struct VersionSelector {
    program: Program,
    description: Option<String>,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    read(spec).map(|_| ())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read(spec)?))
}

fn read(spec: &Json) -> Result<VersionSelector, Rejection> {
    let spec: Spec = read_spec(spec)?;
    let program = check_cel(&spec.selector, version_schema(), "selector")?;
    let description = spec.description.map(|text| text.trim().to_owned());
    let description = description.filter(|text| !text.is_empty());
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX)
    {
        let message = format!("it is longer than {DESCRIPTION_CHARS_MAX} characters");
        return Err(Rejection::invalid("invalid_rule", message).at("description"));
    }
    Ok(VersionSelector {
        program,
        description,
    })
}

impl RuleEvaluator for VersionSelector {
    fn evaluate(&self, context: &GateContext<'_>) -> Option<Verdict> {
        Some(self.verdict(context))
    }

    fn latches(&self) -> bool {
        true
    }

    fn version_condition(&self) -> Option<&Program> {
        Some(&self.program)
    }
}

impl VersionSelector {
    fn verdict(&self, context: &GateContext<'_>) -> Verdict {
        if let Some(satisfied_at) = context.latched {
            let why = Reason::new("version_matches", "it matched when the rollout began");
            return Verdict::allow(satisfied_at, why);
        }
        let tag = &context.version.tag;
        let selector = self.program.text();
        let details = serde_json::json!({
            "selector": selector, "description": self.description,
        });
        let version = VersionView(context.version);
        let environment = EnvironmentView(context.environment);
        let deployment = DeploymentView(context.deployment);
        let roots = Roots::new()
            .with("version", View::Object(&version))
            .with("environment", View::Object(&environment))
            .with("deployment", View::Object(&deployment));
        match self.program.eval(&roots) {
            Ok(true) => {
                let why = Reason::new("version_matches", format!("{tag} matches `{selector}`"));
                Verdict::allow(context.version.created_at, why.details(details))
            }
            Ok(false) => {
                let mut message = format!("{tag} does not match `{selector}`");
                if let Some(description) = &self.description {
                    message = format!("{message}: {description}");
                }
                let why = Reason::new("version_does_not_match", message)
                    .opens("a version that matches is created, or its metadata is changed so that it does")
                    .who("whoever may create versions")
                    .details(details);
                Verdict::Deny { why }
            }
            Err(error) => {
                let message = format!("`{selector}` cannot be evaluated for {tag}: {error}");
                let why = Reason::new("selector_error", message)
                    .opens("the policy is corrected")
                    .who("whoever may edit policies")
                    .details(details);
                Verdict::Deny { why }
            }
        }
    }
}
