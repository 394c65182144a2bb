//! The log as audit: pages of it, by what it touches, and whether it is what was written.

mod page;

use crate::answer::{Answer, Failure, Json, JsonText};
use crate::body::Query;
use crate::references;
use crate::scope::{Scope, parse_id};
use crate::secret::hex;
use page::{Page, Wanted};
use stagegate_api::{
    AuditQuery, AuditVerification, BrokenEntry, LIMIT_DEFAULT, LIMIT_MAX, LogHead,
};
use stagegate_controller::Looking;
use stagegate_model::{PolicyId, PromotionId, UserId};
use stagegate_store::{EntityRef, StoreError};
use uuid::Uuid;

/// In order of their numbers. With `after`, or with nothing, from there on; with `before` alone, those next to it.
pub(super) async fn list(scope: Scope, Query(query): Query<AuditQuery>) -> Answer<JsonText> {
    let look = move |looking: &Looking<'_>| {
        let wanted = Wanted {
            touching: entities(looking, &query)?,
            after: query.after,
            before: query.before,
            limit: query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX),
            whole: query.whole.unwrap_or(false),
        };
        Ok(text(wanted.read(looking.store(), looking.workspace())?))
    };
    scope.look(look).await
}

/// Like [`stagegate_api::Audit`], with the entries as they are stored.
fn text(page: Page) -> JsonText {
    let mut text = b"{\"entries\":[".to_vec();
    text.extend(page.entries.join(&b','));
    text.push(b']');
    for (member, number) in [("total", page.total), ("next", page.next)] {
        if let Some(number) = number {
            text.extend(format!(",\"{member}\":{number}").into_bytes());
        }
    }
    text.push(b'}');
    JsonText(text)
}

/// What the entries must touch. Names are looked up; a deployment's tag is no name of one version, so a version
/// is given by id.
fn entities(looking: &Looking<'_>, query: &AuditQuery) -> Answer<Vec<EntityRef>> {
    let mut entities = Vec::new();
    if let Some(text) = &query.promotion {
        entities.push(EntityRef::new(
            "promotion",
            parse_id::<PromotionId>(text, "promotion")?.0,
        ));
    }
    if let Some(text) = &query.version {
        let found = looking.at(|engine| {
            let state = engine.state();
            let versions = state.deployments().keys();
            let found: Vec<Uuid> = versions
                .filter_map(|id| references::version(state, *id, Some(text)).ok())
                .map(|version| version.id.0)
                .collect();
            match found[..] {
                [id] => Ok(id),
                [] => Err(Failure::no_such("version", text).at("version")),
                _ => Err(Failure::new(
                    "invalid_query",
                    format!("several deployments have a version `{text}`"),
                )
                .at("version")
                .hint("give the version's id")),
            }
        })??;
        entities.push(EntityRef::new("version", found));
    }
    if let Some(text) = &query.environment {
        // One that was deleted has a history all the same.
        let found = match text.parse::<Uuid>() {
            Ok(id) => id,
            Err(_) => looking.at_configuration(|it| {
                let found = it.environment_by_name(text).map(|it| it.id.0);
                found.ok_or_else(|| references::unknown_environment(it.environments(), text))
            })??,
        };
        entities.push(EntityRef::new("environment", found));
    }
    if let Some(text) = &query.policy {
        let known = looking.at_configuration(|it| it.policy_by_name(text).map(|it| it.id))?;
        let found = match known {
            Some(id) => id,
            None => parse_id::<PolicyId>(text, "policy")?,
        };
        entities.push(EntityRef::new("policy", found.0));
    }
    if let Some(text) = &query.user {
        let users = looking.store().users(looking.workspace())?;
        let named = users.iter().find(|user| user.name == *text);
        let id = match named {
            Some(user) => user.id,
            None => parse_id::<UserId>(text, "user")?,
        };
        entities.push(EntityRef::new("user", id.0));
    }
    Ok(entities)
}

/// Recomputes the chain from the database alone.
pub(super) async fn verify(scope: Scope) -> Answer<Json<AuditVerification>> {
    let verified = scope.app.controller().verify(scope.workspace()).await;
    let answer = match verified {
        Ok(report) => AuditVerification {
            ok: true,
            entries: report.entries,
            head: report.head.map_or_else(LogHead::default, |head| LogHead {
                seq: head.seq,
                hash: hex(&head.hash),
            }),
            error: None,
        },
        Err(StoreError::Corrupt {
            seq, entry, what, ..
        }) => {
            let head = scope
                .store(|store, workspace| store.head(workspace))
                .await
                .ok()
                .flatten();
            AuditVerification {
                ok: false,
                entries: seq.map_or(0, |seq| seq.saturating_sub(1)),
                head: head.map_or_else(LogHead::default, |head| LogHead {
                    seq: head.seq,
                    hash: hex(&head.hash),
                }),
                error: Some(BrokenEntry {
                    seq: seq.unwrap_or(0),
                    entry_id: entry.map(|id| id.to_string()).unwrap_or_default(),
                    what,
                }),
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Json(answer))
}
