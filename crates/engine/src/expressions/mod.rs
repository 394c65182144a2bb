//! How selectors, conditions and templates see a workspace: the schemas they are checked against, views of
//! the entities, and the compiled forms of what the state holds as text.

mod compiled;
mod schema;
mod variables;
mod views;

pub(crate) use compiled::{
    Compiled, CompiledDependency, CompiledPolicy, CompiledRule, LanePolicies, LanePolicy, Match,
    Subject,
};
pub(crate) use schema::{
    approval_schema, condition_schema, environment_schema, notifier_schema, policy_schema,
    relationship_schema, resource_schema, template_schema, turn_schema, version_schema,
};
pub use variables::secret_mark;
pub(crate) use variables::{CompiledVariables, Place, VariablesView, related_field};
pub(crate) use views::PromotionView;
pub use views::{
    DeploymentView, EnvironmentView, JobAgentView, ReleaseView, ResourceView, SystemView,
    VersionView,
};

use schema::{agent_schema, dependency_schema};
use stagegate_expressions::Schema;
use stagegate_expressions::cel::{CompileError, Program};
use stagegate_expressions::template::TemplateError;
use stagegate_model::Rejection;

/// Compiles a resource selector, as environments and deployments have.
///
/// # Errors
/// A rejection with position, fragment and hint.
pub(crate) fn check_resource_selector(text: &str, field: &str) -> Result<Program, Rejection> {
    check_cel(text, resource_schema(), field)
}

/// Compiles a job agent selector.
pub(crate) fn check_agent_selector(text: &str, field: &str) -> Result<Program, Rejection> {
    check_cel(text, agent_schema(), field)
}

/// Compiles a selector over what another deployment has on a resource.
pub(crate) fn check_dependency(text: &str, field: &str) -> Result<Program, Rejection> {
    check_cel(text, dependency_schema(), field)
}

/// Compiles CEL against a schema, naming the field in the refusal.
pub(crate) fn check_cel(text: &str, schema: &Schema, field: &str) -> Result<Program, Rejection> {
    Program::compile_condition(text, schema).map_err(|error| cel_rejection(&error, text).at(field))
}

/// Compiles CEL that gives a value, naming the field in the refusal.
pub(crate) fn check_value(text: &str, schema: &Schema, field: &str) -> Result<Program, Rejection> {
    Program::compile(text, schema).map_err(|error| cel_rejection(&error, text).at(field))
}

fn cel_rejection(error: &CompileError, text: &str) -> Rejection {
    let shown: String = text.chars().take(120).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let rejection = Rejection::invalid(
        error.code,
        format!(
            "`{shown}{more}` does not compile: {} (line {}, column {}, at `{}`)",
            error.message, error.line, error.column, error.fragment
        ),
    );
    match &error.hint {
        Some(hint) => rejection.hint(hint.clone()),
        None => rejection,
    }
}

/// Turns a template's error into a refusal of the field that holds it.
pub(crate) fn template_rejection(error: &TemplateError, field: &str) -> Rejection {
    let rejection = Rejection::invalid(error.code, error.to_string()).at(field);
    match &error.hint {
        Some(hint) => rejection.hint(hint.clone()),
        None => rejection,
    }
}
