//! Approving and rejecting from a page.

use super::failure::Rendered;
use super::session::Session;
use super::view::{may_vote, unreadable_form};
use crate::answer::Failure;
use crate::routes::vote;
use crate::scope::parse_id;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderMap;
use axum::response::Redirect;
use serde::Deserialize;
use stagegate_model::{Command, PromotionId};

#[derive(Deserialize)]
pub(super) struct VoteForm {
    #[serde(default)]
    token: String,
    version: String,
    environment: String,
    vote: String,
    #[serde(default)]
    reason: String,
    /// The promotion whose page to go back to; the first page otherwise.
    #[serde(default)]
    promotion: String,
    /// `inbox`: back to that page.
    #[serde(default)]
    back: String,
}

pub(super) async fn cast(
    session: Session,
    headers: HeaderMap,
    form: Result<Form<VoteForm>, FormRejection>,
) -> Rendered<Redirect> {
    let Form(form) = form.map_err(|_| unreadable_form())?;
    session.check_form(&headers, &form.token)?;
    if !may_vote(&session) {
        return Err(Failure::new("forbidden", "your key may not vote")
            .hint("sign in with a key that has the role approver or admin")
            .into());
    }
    let command = Command::CastVote {
        version: parse_id(&form.version, "version")?,
        environments: vec![parse_id(&form.environment, "environment")?],
        vote: vote(&form.vote)?,
        reason: form.reason.trim().to_owned(),
    };
    session.scope.submit(command, Vec::new()).await?;
    if form.back == "inbox" {
        return Ok(Redirect::to("/inbox"));
    }
    Ok(match form.promotion.parse::<PromotionId>() {
        Ok(id) => Redirect::to(&format!("/promotions/{id}")),
        Err(_) => Redirect::to("/"),
    })
}
