//! What each kind of expression may name. A field missing here is refused when the expression is written.

use stagegate_expressions::{Schema, Shape};
use std::sync::LazyLock;

const RESOURCE: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("identifier", Shape::Scalar),
    ("kind", Shape::Scalar),
    ("version", Shape::Scalar),
    ("metadata", Shape::Map),
    ("config", Shape::Any),
    ("createdAt", Shape::Scalar),
]);

/// A resource in a relationship; `type` is always `resource`.
const RELATED: Shape = Shape::Fields(&[
    ("type", Shape::Scalar),
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("identifier", Shape::Scalar),
    ("kind", Shape::Scalar),
    ("version", Shape::Scalar),
    ("metadata", Shape::Map),
    ("config", Shape::Any),
    ("createdAt", Shape::Scalar),
]);

const ENVIRONMENT: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("description", Shape::Scalar),
    ("metadata", Shape::Map),
    ("createdAt", Shape::Scalar),
]);

const DEPLOYMENT: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("slug", Shape::Scalar),
    ("description", Shape::Scalar),
    ("metadata", Shape::Map),
]);

const SYSTEM: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("slug", Shape::Scalar),
    ("description", Shape::Scalar),
    ("metadata", Shape::Map),
]);

const VERSION: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("tag", Shape::Scalar),
    ("name", Shape::Scalar),
    ("status", Shape::Scalar),
    ("message", Shape::Scalar),
    ("metadata", Shape::Map),
    ("config", Shape::Any),
    ("createdAt", Shape::Scalar),
]);

const JOB_AGENT: Shape = Shape::Fields(&[
    ("id", Shape::Scalar),
    ("name", Shape::Scalar),
    ("type", Shape::Scalar),
    ("metadata", Shape::Map),
    ("config", Shape::Any),
]);

const RELEASE: Shape = Shape::Fields(&[("id", Shape::Scalar), ("number", Shape::Scalar)]);
const PROMOTION: Shape = Shape::Fields(&[("id", Shape::Scalar)]);

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = [$(($root:literal, $shape:expr)),* $(,)?];)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> &'static Schema {
            static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema { roots: vec![$(($root, $shape)),*] });
            &SCHEMA
        }
    )*};
}

schemas! {
    /// Selectors over resources.
    resource_schema = [("resource", RESOURCE), ("environment", ENVIRONMENT), ("deployment", DEPLOYMENT)];
    /// Selectors of policies.
    policy_schema = [
        ("resource", RESOURCE),
        ("environment", ENVIRONMENT),
        ("deployment", DEPLOYMENT),
        ("system", SYSTEM),
        ("version", VERSION),
    ];
    /// When nobody need approve.
    approval_schema = [("version", VERSION), ("environment", ENVIRONMENT), ("deployment", DEPLOYMENT)];
    /// What decides whose turn it is.
    turn_schema = [("resource", RESOURCE), ("environment", ENVIRONMENT), ("deployment", DEPLOYMENT)];
    /// Selectors over environments alone.
    environment_schema = [("environment", ENVIRONMENT)];
    /// Selectors over versions, in a lane.
    version_schema = [("version", VERSION), ("environment", ENVIRONMENT), ("deployment", DEPLOYMENT)];
    /// Selectors over what another deployment has on a resource.
    dependency_schema = [("deployment", DEPLOYMENT), ("version", VERSION)];
    /// Selectors of notifiers.
    notifier_schema = [("deployment", DEPLOYMENT), ("environment", ENVIRONMENT), ("version", VERSION)];
    /// Relationships between resources.
    relationship_schema = [("from", RELATED), ("to", RELATED)];
    /// Selectors over job agents.
    agent_schema = [("jobAgent", JOB_AGENT)];
    /// Conditions over what was measured.
    condition_schema = [("result", Shape::Any)];
    /// Templates in job agent configurations and metric providers.
    template_schema = [
        ("resource", RESOURCE),
        ("environment", ENVIRONMENT),
        ("deployment", DEPLOYMENT),
        ("version", VERSION),
        ("release", RELEASE),
        ("promotion", PROMOTION),
        ("variables", Shape::Any),
    ];
}
