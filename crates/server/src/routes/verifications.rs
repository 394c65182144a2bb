//! Verifications: what was measured, and the decisions of persons where measurements could not decide.

use super::jobs;
use crate::answer::{Answer, Failure, Json};
use crate::archive;
use crate::body::Body;
use crate::people::People;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::Verification;
use stagegate_model::{Command, Fact, VerificationId};

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Verification>> {
    let id: VerificationId = scope.id("verificationId")?;
    read(&scope, id).await.map(Json)
}

async fn read(scope: &Scope, id: VerificationId) -> Answer<api::Verification> {
    let people = People::of(scope).await?;
    let known = scope
        .read(move |engine| engine.state().verifications().get(&id).cloned())
        .await?;
    let found: Verification = match known {
        Some(known) => known,
        None => archive::one(scope, "verification", id.0)
            .await?
            .ok_or_else(|| Failure::no_such("verification", id))?,
    };
    let promotion = jobs::find(scope, found.job)
        .await
        .ok()
        .map(|job| job.promotion);
    Ok(wire::verification(&found, promotion, |user| {
        people.name(user)
    }))
}

pub(super) async fn decide(
    scope: Scope,
    Body(body): Body<api::DecideVerification>,
) -> Answer<Json<api::Verification>> {
    let id: VerificationId = scope.id("verificationId")?;
    let command = Command::DecideVerification {
        verification: id,
        pass: body.pass,
        reason: body.reason,
    };
    submit(&scope, id, command).await?;
    read(&scope, id).await.map(Json)
}

/// The answer is the new verification.
pub(super) async fn rerun(
    scope: Scope,
    Body(body): Body<api::RerunVerification>,
) -> Answer<Json<api::Verification>> {
    let id: VerificationId = scope.id("verificationId")?;
    let command = Command::RerunVerification {
        verification: id,
        reason: body.reason,
    };
    let facts = submit(&scope, id, command).await?;
    let started = facts.iter().find_map(|fact| match fact {
        Fact::VerificationStarted {
            id: new, rerun_of, ..
        } if *rerun_of == Some(id) => Some(*new),
        _ => None,
    });
    read(&scope, started.unwrap_or(id)).await.map(Json)
}

/// One that has left memory has ended for good.
async fn submit(
    scope: &Scope,
    id: VerificationId,
    command: Command,
) -> Answer<std::sync::Arc<[Fact]>> {
    match scope.submit(command, Vec::new()).await {
        Ok(committed) => Ok(committed.facts),
        Err(failure) if failure.0.code == "verification_not_found" => {
            let ended: Option<Verification> = archive::one(scope, "verification", id.0).await?;
            Err(match ended {
                Some(ended) => Failure::new(
                    "verification_ended",
                    format!("the verification has ended: {}", ended.status),
                ),
                None => failure,
            })
        }
        Err(failure) => Err(failure),
    }
}
