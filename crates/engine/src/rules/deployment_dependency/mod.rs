//! `deploymentDependency`: something else must run on the same resource.

use super::{
    Action, GateContext, Reason, RuleEvaluator, RuleKind, TargetContext, Verdict, read_spec,
};
use crate::catalog::Draft;
use crate::expressions::{DeploymentView, VersionView, check_dependency};
use crate::neighbours::{Neighbour, Running, told};
use serde::Deserialize;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View};
use stagegate_model::{Json, Rejection};
use std::sync::Arc;

pub(super) const KIND: RuleKind = RuleKind {
    kind: "deploymentDependency",
    doc: include_str!("doc.md"),
    schema: include_str!("schema.json"),
    check,
    compile,
};

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// CEL over `deployment` and `version`: what must run there.
    depends_on: String,
}

/// The rule with its selector compiled.
struct DeploymentDependency {
    program: Program,
}

fn check(spec: &Json, _: &Draft<'_>) -> Result<(), Rejection> {
    read(spec).map(|_| ())
}

fn compile(spec: &Json) -> Result<Arc<dyn RuleEvaluator>, Rejection> {
    Ok(Arc::new(read(spec)?))
}

fn read(spec: &Json) -> Result<DeploymentDependency, Rejection> {
    let spec: Spec = read_spec(spec)?;
    let program = check_dependency(&spec.depends_on, "dependsOn")?;
    Ok(DeploymentDependency { program })
}

/// Of what runs beside a target, the one that a selector takes; of several, the one that has been there longest.
///
/// # Errors
/// None is taken, and for one of them the selector could not be evaluated.
pub(super) fn find<'n>(
    program: &Program,
    neighbours: &'n [Neighbour<'n>],
) -> Result<Option<(&'n Neighbour<'n>, Running<'n>)>, String> {
    let mut found: Option<(&Neighbour<'_>, Running<'_>)> = None;
    let mut broken = None;
    for neighbour in neighbours {
        let Ok(running) = neighbour.runs else {
            continue;
        };
        let deployment = DeploymentView(neighbour.deployment);
        let version = VersionView(running.version);
        let roots = Roots::new()
            .with("deployment", View::Object(&deployment))
            .with("version", View::Object(&version));
        match program.eval(&roots) {
            Ok(true) => {
                let longer = found.is_none_or(|(_, known)| running.since < known.since);
                if longer {
                    found = Some((neighbour, running));
                }
            }
            Ok(false) => {}
            Err(error) => {
                broken.get_or_insert_with(|| format!("{}: {error}", neighbour.told()));
            }
        }
    }
    match (found, broken) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

impl RuleEvaluator for DeploymentDependency {
    fn evaluate(&self, _: &GateContext<'_>) -> Option<Verdict> {
        None
    }

    fn asks_targets(&self) -> bool {
        true
    }

    fn asks_about_others(&self) -> bool {
        true
    }

    fn on_target(&self, context: &TargetContext<'_>) -> Option<Verdict> {
        let TargetContext {
            state,
            version,
            deployment,
            resource,
            ..
        } = context;
        let neighbours: Vec<_> = state.neighbours(resource.id, *deployment).collect();
        let (selector, place) = (self.program.text(), resource.name());
        let there: Vec<_> = neighbours.iter().map(Neighbour::details).collect();
        let details = serde_json::json!({
            "dependsOn": selector, "resource": place, "there": there,
        });
        let found = match find(&self.program, &neighbours) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("`{selector}` cannot be evaluated on {place} for {error}");
                let why = Reason::new("selector_error", message)
                    .opens("the policy is corrected")
                    .who("whoever may edit policies")
                    .details(details);
                return Some(Verdict::Deny { why });
            }
        };
        if let Some((neighbour, running)) = found {
            let message = format!(
                "{} runs on {place} and matches `{selector}`",
                neighbour.told()
            );
            let why = Reason::new("dependency_met", message).details(details);
            return Some(Verdict::allow(version.created_at.max(running.since), why));
        }
        let there = match told(&neighbours).as_str() {
            "" => format!("no other deployment has a target on {place}"),
            there => format!("there is {there}"),
        };
        let message = format!("nothing that runs on {place} matches `{selector}`: {there}");
        let why = Reason::new("deployment_dependency_pending", message)
            .opens(format!(
                "a release of another deployment that matches succeeds on {place}"
            ))
            .action(Action::Wait)
            .details(details);
        Some(Verdict::Wait { until: None, why })
    }
}
