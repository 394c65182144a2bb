//! Votes on a version in environments.

use crate::answer::{Accepted, Answer, Failure, accepted};
use crate::body::Body;
use crate::scope::{Scope, parse_id};
use stagegate_api as api;
use stagegate_model::{Command, EnvironmentId, VersionId, Vote};

/// How many environments one request may name.
const ENVIRONMENTS_MAX: usize = 1000;

pub(super) async fn cast(
    scope: Scope,
    Body(body): Body<api::CastVotes>,
) -> Answer<Accepted<api::Accepted>> {
    let version: VersionId = scope.id("deploymentVersionId")?;
    if body.environment_ids.len() > ENVIRONMENTS_MAX {
        let message = format!("at most {ENVIRONMENTS_MAX} environments are allowed");
        return Err(Failure::new("invalid_value", message).at("environmentIds"));
    }
    let environments: Vec<EnvironmentId> = body
        .environment_ids
        .iter()
        .enumerate()
        .map(|(index, id)| parse_id(id, &format!("environmentIds[{index}]")))
        .collect::<Answer<_>>()?;
    let command = Command::CastVote {
        version,
        environments,
        vote: vote(&body.status)?,
        reason: body.reason.unwrap_or_default(),
    };
    scope.submit(command, Vec::new()).await?;
    Ok(accepted(version, "the vote was recorded"))
}

/// A vote by its word.
pub(crate) fn vote(text: &str) -> Answer<Vote> {
    Vote::parse(text).ok_or_else(|| {
        Failure::new("invalid_status", format!("`{text}` is no vote"))
            .at("status")
            .hint("the votes are: approved, rejected, withdrawn")
    })
}
