//! Documents: applying them, and writing the workspace as them.

use super::effects::effects;
use crate::answer::Json;
use crate::answer::{Answer, Failure};
use crate::body::{Body, Query};
use crate::people::People;
use crate::scope::Scope;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use stagegate_api as api;
use stagegate_controller::SubmitError;
use stagegate_documents::{
    Action, DocumentError, Plan, Planned, WithPersons, export as to_yaml, plan_many,
};
use stagegate_engine::{Context, Engine};
use stagegate_model::{Command, EntryId, Rejection};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
}

/// All or nothing. Every mistake is told with its place in the texts.
pub(super) async fn apply(
    scope: Scope,
    Query(query): Query<ApplyQuery>,
    Body(body): Body<api::Apply>,
) -> Answer<Json<api::ApplyReport>> {
    // INVARIANT: nothing else configures the workspace between planning and applying.
    let lock = scope.app.configuring(scope.workspace());
    let _held = lock.lock().await;
    let now = scope.now();
    let files = Arc::new(body.files);
    let dry_run = query.dry_run;
    let _place = match dry_run {
        true => Some(scope.app.admission().copy().await?),
        false => None,
    };
    let people = People::of(&scope).await?;
    let named = people.clone();
    let planned = scope
        .read(move |engine| {
            let texts: Vec<(&str, &str)> = files
                .iter()
                .map(|file| (file.name.as_str(), file.text.as_str()))
                .collect();
            let catalog = WithPersons {
                state: engine.state(),
                persons: named.persons(),
            };
            let plan = plan_many(&texts, &catalog, &mut Uuid::now_v7, now)?;
            // Only the engine can judge selectors and rules, so a dry run asks a copy of it.
            let copy = (dry_run && !plan.is_empty()).then(|| engine.clone());
            Ok((plan, copy, engine.state().head().seq))
        })
        .await?;
    let (plan, copy, mut seq) = planned.map_err(|errors: Vec<DocumentError>| refusal(errors))?;
    let mut effects = None;
    if let Some(copy) = copy {
        let tried = try_out(&scope, copy, &plan, &people).await;
        effects = Some(tried.map_err(|failure| people.failure(failure))?);
    } else if !plan.is_empty() {
        let submitted = submit(&scope, &plan).await;
        seq = submitted.map_err(|failure| people.failure(failure))?;
    }
    Ok(Json(api::ApplyReport {
        documents: plan.documents.into_iter().map(document).collect(),
        seq,
        effects,
    }))
}

async fn submit(scope: &Scope, plan: &Plan) -> Answer<u64> {
    let controller = scope.app.controller();
    let command = Command::Configure(plan.changes.clone());
    let submitted = controller
        .submit(scope.workspace(), scope.caller.actor(), command, Vec::new())
        .await;
    match submitted {
        Ok(committed) => Ok(committed.seq),
        Err(SubmitError::Rejected(rejection)) => Err(located(plan, &rejection)),
        Err(error) => Err(error.into()),
    }
}

/// What the changes would do, tried on a copy.
async fn try_out(
    scope: &Scope,
    mut copy: Engine,
    plan: &Plan,
    people: &People,
) -> Answer<api::Effects> {
    let context = Context {
        entry: EntryId(Uuid::now_v7()),
        now: scope.now(),
        actor: scope.caller.actor(),
    };
    let (changes, people) = (plan.changes.clone(), people.clone());
    let tried = scope.app.beside(move || {
        let consequences = copy.consequences(changes, context)?;
        Ok(effects(consequences, copy.state(), &people))
    });
    tried
        .await?
        .map_err(|rejection: stagegate_model::Rejection| located(plan, &rejection))
}

/// The engine's refusal, led back to the text.
pub(super) fn located(plan: &Plan, rejection: &Rejection) -> Failure {
    let error = plan.locate(rejection);
    let mut failure = Failure::from(rejection.clone());
    failure.0.errors = vec![problem(error)];
    failure
}

pub(super) fn refusal(errors: Vec<DocumentError>) -> Failure {
    let first = errors.first();
    let detail = match (first, errors.len()) {
        (Some(first), 1) => format!("{}:{}: {}", first.file, first.line, first.message),
        (Some(first), more) => format!(
            "{more} mistakes, the first in {}:{}: {}",
            first.file, first.line, first.message
        ),
        (None, _) => "the documents cannot be applied".to_owned(),
    };
    let code = first.map_or("invalid_body", |error| error.code.as_str());
    let mut failure = Failure::from(Rejection::invalid(code, detail));
    failure.0.errors = errors.into_iter().map(problem).collect();
    failure
}

fn problem(error: DocumentError) -> api::DocumentProblem {
    api::DocumentProblem {
        file: error.file,
        document: error.document,
        line: error.line,
        column: error.column,
        field: error.field,
        code: error.code,
        message: error.message,
        hint: error.hint,
    }
}

fn document(planned: Planned) -> api::AppliedDocument {
    api::AppliedDocument {
        kind: planned.kind.word().to_owned(),
        name: planned.name,
        file: planned.file,
        line: planned.line,
        action: match planned.action {
            Action::Created => "created",
            Action::Changed => "changed",
            Action::Unchanged => "unchanged",
        }
        .to_owned(),
        fields: planned
            .fields
            .into_iter()
            .map(|field| api::FieldChange {
                path: field.path,
                from: field.from.unwrap_or_default(),
                to: field.to.unwrap_or_default(),
            })
            .collect(),
    }
}

/// The workspace as documents that would change nothing.
pub(super) async fn export(scope: Scope) -> Answer<Response> {
    let people = People::of(&scope).await?;
    let text = scope
        .read(move |engine| {
            to_yaml(&WithPersons {
                state: engine.state(),
                persons: people.persons(),
            })
        })
        .await?;
    let media_type = HeaderValue::from_static("application/yaml; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
