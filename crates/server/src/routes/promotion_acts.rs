//! What persons do to a promotion: cancel, reopen, pause, resume.

use crate::answer::{Answer, Failure, Json};
use crate::archive;
use crate::body::MaybeBody;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::Promotion;
use stagegate_model::{Command, PromotionId};

type Act = MaybeBody<api::PromotionAct>;

pub(super) async fn cancel(scope: Scope, MaybeBody(body): Act) -> Answer<Json<api::Promotion>> {
    let command = |promotion| Command::CancelPromotion {
        promotion,
        reason: body.reason,
    };
    act(scope, command).await
}

/// The answer is the new attempt.
pub(super) async fn reopen(scope: Scope, MaybeBody(body): Act) -> Answer<Json<api::Promotion>> {
    let command = |promotion| Command::ReopenPromotion {
        promotion,
        reason: body.reason,
    };
    act(scope, command).await
}

pub(super) async fn pause(scope: Scope, MaybeBody(body): Act) -> Answer<Json<api::Promotion>> {
    let command = |promotion| Command::PauseRollout {
        promotion,
        reason: body.reason,
    };
    act(scope, command).await
}

pub(super) async fn resume(scope: Scope, MaybeBody(body): Act) -> Answer<Json<api::Promotion>> {
    let command = |promotion| Command::ResumeRollout {
        promotion,
        reason: body.reason,
    };
    act(scope, command).await
}

async fn act(
    scope: Scope,
    command: impl FnOnce(PromotionId) -> Command,
) -> Answer<Json<api::Promotion>> {
    let id: PromotionId = scope.id("promotionId")?;
    match scope.submit(command(id), Vec::new()).await {
        Ok(_) => {}
        Err(failure) if failure.0.code == "promotion_not_found" => {
            let ended: Option<Promotion> = archive::one(&scope, "promotion", id.0).await?;
            return Err(match ended {
                Some(ended) => Failure::new(
                    "promotion_ended",
                    format!("the promotion has ended: {}", ended.status),
                )
                .hint("redeploy its targets instead"),
                None => failure,
            });
        }
        Err(failure) => return Err(failure),
    }
    let now = scope.now();
    let standing = scope
        .ask(move |engine| {
            let state = engine.state();
            let promotion = state.promotions().get(&id);
            let promotion = promotion.ok_or_else(|| Failure::no_such("promotion", id))?;
            // The latest attempt is what goes on.
            let latest = state.track(promotion.version, promotion.environment);
            let latest = latest.and_then(|track| state.promotions().get(&track.promotion?));
            Ok(wire::promotion(engine, latest.unwrap_or(promotion), now))
        })
        .await?;
    Ok(Json(standing))
}
