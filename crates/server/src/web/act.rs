//! Pausing, resuming, cancelling and reopening a promotion from its page.

use super::failure::Rendered;
use super::session::Session;
use super::view::{PathText, may_vote, unreadable_form, unreadable_path};
use crate::answer::Failure;
use crate::scope::parse_id;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::http::HeaderMap;
use axum::response::Redirect;
use serde::Deserialize;
use stagegate_model::{Command, PromotionId};

#[derive(Deserialize)]
pub(super) struct ActForm {
    #[serde(default)]
    token: String,
    act: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn act(
    session: Session,
    path: PathText,
    headers: HeaderMap,
    form: Result<Form<ActForm>, FormRejection>,
) -> Rendered<Redirect> {
    let Form(form) = form.map_err(|_| unreadable_form())?;
    session.check_form(&headers, &form.token)?;
    // Whoever may vote may step in: the routes of the API ask for the same role.
    if !may_vote(&session) {
        return Err(
            Failure::new("forbidden", "your key may not change promotions")
                .hint("sign in with a key that has the role approver or admin")
                .into(),
        );
    }
    let Path(id) = path.map_err(|_| unreadable_path())?;
    let promotion: PromotionId = parse_id(&id, "promotionId")?;
    let reason = form.reason.trim().to_owned();
    let command = match form.act.as_str() {
        "pause" => Command::PauseRollout { promotion, reason },
        "resume" => Command::ResumeRollout { promotion, reason },
        "cancel" => Command::CancelPromotion { promotion, reason },
        "reopen" => Command::ReopenPromotion { promotion, reason },
        _ => return Err(unreadable_form().into()),
    };
    session.scope.submit(command, Vec::new()).await?;
    Ok(Redirect::to(&format!("/promotions/{promotion}")))
}
