//! The table of contents of the API: every route, and the least a key's role must be to use it.

mod apply;
mod audit;
mod deployments;
mod effects;
mod environments;
mod events;
mod forecast;
mod freezes;
mod groups;
mod inbox;
mod job_agents;
mod job_runs;
mod jobs;
mod keys;
mod lint;
mod me;
mod notifiers;
mod orders;
mod past;
mod policies;
mod policy_skips;
mod promotion_acts;
mod promotions;
mod quarantine;
mod relationship_rules;
mod release_targets;
mod releases;
mod resources;
mod simulate;
mod status;
mod systems;
mod users;
mod variable_sets;
mod variables;
mod verifications;
mod versions;
mod votes;
mod why;
mod windows;
mod workspaces;

pub(crate) use inbox::inbox;
pub(crate) use promotions::{JobsPage, Told, told};
pub(crate) use votes::vote;

use crate::access::{Guard, guard};
use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::body::{APPLY_BYTES_MAX, BODY_BYTES_MAX};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use stagegate_model::Role;

struct Route {
    method: &'static str,
    path: &'static str,
    role: Role,
    handler: fn() -> MethodRouter<App>,
}

macro_rules! routes {
    ($($method:ident $path:literal $role:ident $handler:path;)*) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            role: Role::$role,
            handler: || $method($handler),
        }),*]
    };
}

#[rustfmt::skip]
const ROUTES: &[Route] = routes! {
    get    "/me" Viewer me::get;

    get    "/workspaces" Viewer workspaces::list;
    get    "/workspaces/slug/{workspaceSlug}" Viewer workspaces::get_by_slug;
    get    "/workspaces/{workspaceId}" Viewer workspaces::get;

    get    "/workspaces/{workspaceId}/systems" Viewer systems::list;
    post   "/workspaces/{workspaceId}/systems" Admin systems::create;
    get    "/workspaces/{workspaceId}/systems/{systemId}" Viewer systems::get;
    put    "/workspaces/{workspaceId}/systems/{systemId}" Admin systems::upsert;
    delete "/workspaces/{workspaceId}/systems/{systemId}" Admin systems::delete;
    get    "/workspaces/{workspaceId}/systems/{systemId}/deployments/{deploymentId}" Viewer systems::deployment_link;
    put    "/workspaces/{workspaceId}/systems/{systemId}/deployments/{deploymentId}" Admin systems::link_deployment;
    delete "/workspaces/{workspaceId}/systems/{systemId}/deployments/{deploymentId}" Admin systems::unlink_deployment;
    get    "/workspaces/{workspaceId}/systems/{systemId}/environments/{environmentId}" Viewer systems::environment_link;
    put    "/workspaces/{workspaceId}/systems/{systemId}/environments/{environmentId}" Admin systems::link_environment;
    delete "/workspaces/{workspaceId}/systems/{systemId}/environments/{environmentId}" Admin systems::unlink_environment;

    get    "/workspaces/{workspaceId}/environments" Viewer environments::list;
    post   "/workspaces/{workspaceId}/environments" Admin environments::create;
    get    "/workspaces/{workspaceId}/environments/name/{name}" Viewer environments::get_by_name;
    get    "/workspaces/{workspaceId}/environments/{environmentId}" Viewer environments::get;
    put    "/workspaces/{workspaceId}/environments/{environmentId}" Admin environments::upsert;
    delete "/workspaces/{workspaceId}/environments/{environmentId}" Admin environments::delete;

    get    "/workspaces/{workspaceId}/deployments" Viewer deployments::list;
    post   "/workspaces/{workspaceId}/deployments" Admin deployments::create;
    get    "/workspaces/{workspaceId}/deployments/name/{name}" Viewer deployments::get_by_name;
    get    "/workspaces/{workspaceId}/deployments/{deploymentId}" Viewer deployments::get;
    put    "/workspaces/{workspaceId}/deployments/{deploymentId}" Admin deployments::upsert;
    delete "/workspaces/{workspaceId}/deployments/{deploymentId}" Admin deployments::delete;

    get    "/workspaces/{workspaceId}/deployments/{deploymentId}/releases" Viewer releases::of_deployment;
    get    "/workspaces/{workspaceId}/deployments/{deploymentId}/variables" Viewer variables::of_deployment;
    get    "/workspaces/{workspaceId}/deployments/{deploymentId}/versions" Viewer versions::list;
    post   "/workspaces/{workspaceId}/deployments/{deploymentId}/versions" Ci versions::create;
    patch  "/workspaces/{workspaceId}/deploymentversions/{deploymentVersionId}" Ci versions::update;
    get    "/workspaces/{workspaceId}/deployment-versions/{deploymentVersionId}/dependencies" Viewer versions::list_dependencies;
    put    "/workspaces/{workspaceId}/deployment-versions/{deploymentVersionId}/dependencies/{dependencyDeploymentId}" Ci versions::put_dependency;
    delete "/workspaces/{workspaceId}/deployment-versions/{deploymentVersionId}/dependencies/{dependencyDeploymentId}" Ci versions::delete_dependency;
    put    "/workspaces/{workspaceId}/deployment-versions/{deploymentVersionId}/user-approval-records" Approver votes::cast;
    get    "/workspaces/{workspaceId}/deployment-versions/{deploymentVersionId}/rejection" Viewer orders::rejection;

    get    "/workspaces/{workspaceId}/policies" Viewer policies::list;
    post   "/workspaces/{workspaceId}/policies" Admin policies::create;
    get    "/workspaces/{workspaceId}/policies/{policyId}" Viewer policies::get;
    put    "/workspaces/{workspaceId}/policies/{policyId}" Admin policies::upsert;
    delete "/workspaces/{workspaceId}/policies/{policyId}" Admin policies::delete;

    get    "/workspaces/{workspaceId}/resources" Viewer resources::list;
    get    "/workspaces/{workspaceId}/resources/identifier/{identifier}" Viewer resources::get;
    put    "/workspaces/{workspaceId}/resources/identifier/{identifier}" Admin resources::upsert;
    delete "/workspaces/{workspaceId}/resources/identifier/{identifier}" Admin resources::delete;

    get    "/workspaces/{workspaceId}/resources/identifier/{identifier}/variables" Viewer variables::of_resource;
    patch  "/workspaces/{workspaceId}/resources/identifier/{identifier}/variables" Admin variables::set_on_resource;

    get    "/workspaces/{workspaceId}/deployment-variables/{variableId}" Viewer variables::get;
    put    "/workspaces/{workspaceId}/deployment-variables/{variableId}" Admin variables::upsert;
    delete "/workspaces/{workspaceId}/deployment-variables/{variableId}" Admin variables::delete;
    get    "/workspaces/{workspaceId}/deployment-variable-values/{valueId}" Viewer variables::get_value;
    put    "/workspaces/{workspaceId}/deployment-variable-values/{valueId}" Admin variables::upsert_value;
    delete "/workspaces/{workspaceId}/deployment-variable-values/{valueId}" Admin variables::delete_value;
    get    "/workspaces/{workspaceId}/variable-sets" Viewer variable_sets::list;
    post   "/workspaces/{workspaceId}/variable-sets" Admin variable_sets::create;
    get    "/workspaces/{workspaceId}/variable-sets/{variableSetId}" Viewer variable_sets::get;
    put    "/workspaces/{workspaceId}/variable-sets/{variableSetId}" Admin variable_sets::upsert;
    delete "/workspaces/{workspaceId}/variable-sets/{variableSetId}" Admin variable_sets::delete;
    get    "/workspaces/{workspaceId}/relationship-rules" Viewer relationship_rules::list;
    post   "/workspaces/{workspaceId}/relationship-rules" Admin relationship_rules::create;
    get    "/workspaces/{workspaceId}/relationship-rules/{relationshipRuleId}" Viewer relationship_rules::get;
    put    "/workspaces/{workspaceId}/relationship-rules/{relationshipRuleId}" Admin relationship_rules::upsert;
    delete "/workspaces/{workspaceId}/relationship-rules/{relationshipRuleId}" Admin relationship_rules::delete;

    get    "/workspaces/{workspaceId}/job-agents" Viewer job_agents::list;
    get    "/workspaces/{workspaceId}/job-agents/{jobAgentId}" Viewer job_agents::get;
    put    "/workspaces/{workspaceId}/job-agents/{jobAgentId}" Admin job_agents::upsert;
    delete "/workspaces/{workspaceId}/job-agents/{jobAgentId}" Admin job_agents::delete;
    get    "/workspaces/{workspaceId}/job-agents/{jobAgentId}/jobs" Viewer job_agents::jobs;
    post   "/workspaces/{workspaceId}/job-agents/{jobAgentId}/jobs/{jobId}/claim" Agent job_agents::claim;

    get    "/workspaces/{workspaceId}/notifiers" Viewer notifiers::list;
    get    "/workspaces/{workspaceId}/notifiers/name/{name}" Viewer notifiers::get_by_name;
    get    "/workspaces/{workspaceId}/notifiers/{notifierId}" Viewer notifiers::get;
    put    "/workspaces/{workspaceId}/notifiers/{notifierId}" Admin notifiers::upsert;
    delete "/workspaces/{workspaceId}/notifiers/{notifierId}" Admin notifiers::delete;
    post   "/workspaces/{workspaceId}/notifiers/{notifierId}/test" Admin notifiers::test;

    get    "/workspaces/{workspaceId}/jobs" Viewer jobs::list;
    get    "/workspaces/{workspaceId}/jobs/{jobId}" Viewer jobs::get;
    get    "/workspaces/{workspaceId}/jobs/{jobId}/with-release" Viewer jobs::get_with_release;
    put    "/workspaces/{workspaceId}/jobs/{jobId}/status" Agent jobs::report;
    post   "/workspaces/{workspaceId}/jobs/{jobId}/heartbeat" Agent job_runs::heartbeat;
    post   "/workspaces/{workspaceId}/jobs/{jobId}/output" Agent job_runs::append_output;
    get    "/workspaces/{workspaceId}/jobs/{jobId}/output" Viewer job_runs::output;
    get    "/workspaces/{workspaceId}/jobs/{jobId}/why" Viewer past::get;
    post   "/workspaces/{workspaceId}/jobs/{jobId}/cancel" Approver job_runs::cancel;

    post   "/workspaces/{workspaceId}/release-targets/state" Viewer release_targets::list;
    get    "/workspaces/{workspaceId}/release-targets/{releaseTargetKey}/state" Viewer release_targets::get;
    get    "/workspaces/{workspaceId}/release-targets/{releaseTargetKey}/jobs" Viewer release_targets::jobs;
    get    "/workspaces/{workspaceId}/release-targets/{releaseTargetKey}/variables" Viewer variables::of_target;
    get    "/workspaces/{workspaceId}/release-targets/{releaseTargetKey}/releases" Viewer releases::of_target;
    post   "/workspaces/{workspaceId}/release-targets/redeploy" Approver orders::redeploy;
    post   "/workspaces/{workspaceId}/release-targets/rollback" Approver orders::roll_back;
    post   "/workspaces/{workspaceId}/release-targets/release-hold" Approver orders::release_hold;
    post   "/workspaces/{workspaceId}/release-targets/break-glass" Admin orders::break_glass;
    get    "/workspaces/{workspaceId}/releases/{releaseId}" Viewer releases::get;
    get    "/workspaces/{workspaceId}/releases/{releaseId}/diff" Viewer releases::diff;
    get    "/workspaces/{workspaceId}/quarantine" Viewer quarantine::list;
    post   "/workspaces/{workspaceId}/quarantine/clear" Approver quarantine::clear;

    post   "/workspaces/{workspaceId}/apply" Admin apply::apply;
    post   "/workspaces/{workspaceId}/simulate" Viewer simulate::post;
    get    "/workspaces/{workspaceId}/export" Viewer apply::export;
    get    "/workspaces/{workspaceId}/promotions" Viewer promotions::list;
    get    "/workspaces/{workspaceId}/promotions/{promotionId}" Viewer promotions::get;
    post   "/workspaces/{workspaceId}/promotions/{promotionId}/cancel" Approver promotion_acts::cancel;
    post   "/workspaces/{workspaceId}/promotions/{promotionId}/reopen" Approver promotion_acts::reopen;
    post   "/workspaces/{workspaceId}/promotions/{promotionId}/pause" Approver promotion_acts::pause;
    post   "/workspaces/{workspaceId}/promotions/{promotionId}/resume" Approver promotion_acts::resume;
    get    "/workspaces/{workspaceId}/why" Viewer why::get;
    get    "/workspaces/{workspaceId}/why/chain" Viewer why::chain;
    get    "/workspaces/{workspaceId}/forecast" Viewer forecast::get;
    get    "/workspaces/{workspaceId}/status" Viewer status::get;
    get    "/workspaces/{workspaceId}/inbox" Viewer inbox::get;
    get    "/workspaces/{workspaceId}/windows" Viewer windows::get;
    get    "/workspaces/{workspaceId}/lint" Viewer lint::get;

    get    "/workspaces/{workspaceId}/groups" Viewer groups::list;
    post   "/workspaces/{workspaceId}/groups" Admin groups::create;
    get    "/workspaces/{workspaceId}/groups/{groupId}" Viewer groups::get;
    put    "/workspaces/{workspaceId}/groups/{groupId}" Admin groups::upsert;
    delete "/workspaces/{workspaceId}/groups/{groupId}" Admin groups::delete;

    get    "/workspaces/{workspaceId}/policy-skips" Viewer policy_skips::list;
    post   "/workspaces/{workspaceId}/policy-skips" Admin policy_skips::create;
    get    "/workspaces/{workspaceId}/policy-skips/{policySkipId}" Viewer policy_skips::get;
    delete "/workspaces/{workspaceId}/policy-skips/{policySkipId}" Admin policy_skips::delete;

    get    "/workspaces/{workspaceId}/freezes" Viewer freezes::list;
    post   "/workspaces/{workspaceId}/freezes" Admin freezes::create;
    get    "/workspaces/{workspaceId}/freezes/{freezeId}" Viewer freezes::get;
    put    "/workspaces/{workspaceId}/freezes/{freezeId}" Admin freezes::upsert;
    delete "/workspaces/{workspaceId}/freezes/{freezeId}" Admin freezes::delete;

    get    "/workspaces/{workspaceId}/verifications/{verificationId}" Viewer verifications::get;
    post   "/workspaces/{workspaceId}/verifications/{verificationId}/decide" Approver verifications::decide;
    post   "/workspaces/{workspaceId}/verifications/{verificationId}/rerun" Approver verifications::rerun;
    get    "/workspaces/{workspaceId}/events" Viewer events::stream;
    get    "/workspaces/{workspaceId}/audit" Viewer audit::list;
    get    "/workspaces/{workspaceId}/audit/verify" Viewer audit::verify;
    get    "/workspaces/{workspaceId}/users" Viewer users::list;
    post   "/workspaces/{workspaceId}/users" Admin users::create;
    get    "/workspaces/{workspaceId}/keys" Admin keys::list;
    post   "/workspaces/{workspaceId}/keys" Admin keys::create;
    delete "/workspaces/{workspaceId}/keys/{keyId}" Admin keys::revoke;
};

/// A list that leaves out what a filter excludes must not be mistaken for one that knows no filter.
fn refuse_filter(cel: Option<&str>) -> Answer<()> {
    if cel.is_none_or(|cel| cel.trim().is_empty()) {
        return Ok(());
    }
    Err(Failure::new(
        "invalid_query",
        "this list cannot be filtered by an expression yet",
    )
    .at("cel")
    .hint("leave `cel` out and filter what is answered"))
}

/// Every route: method, path below `/api/v1`, and the role its key needs.
pub fn route_table() -> impl Iterator<Item = (String, &'static str, Role)> {
    ROUTES
        .iter()
        .map(|route| (route.method.to_uppercase(), route.path, route.role))
}

/// The routes, each behind its guard.
pub(crate) fn router(app: &App) -> Router<App> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let limit = if route.path.ends_with("/apply") || route.path.ends_with("/simulate") {
            APPLY_BYTES_MAX
        } else {
            BODY_BYTES_MAX
        };
        let guarded = Guard {
            app: app.clone(),
            role: route.role,
        };
        let handler = (route.handler)()
            .layer(DefaultBodyLimit::max(limit))
            .route_layer(from_fn_with_state(guarded, guard));
        router.route(route.path, handler)
    })
}
