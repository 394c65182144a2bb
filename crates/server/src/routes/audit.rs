//! The log as audit: pages of it, by what it touches, and whether it is what was written.

use super::entry_json;
use crate::answer::{Answer, Failure, Json};
use crate::body::Query;
use crate::references;
use crate::scope::{Scope, parse_id};
use crate::secret::hex;
use serde::Serialize;
use stagegate_api::{
    AuditQuery, AuditVerification, BrokenEntry, LIMIT_DEFAULT, LIMIT_MAX, LogHead,
};
use stagegate_model::WorkspaceId;
use stagegate_model::{Json as AnyJson, PolicyId, PromotionId, UserId};
use stagegate_store::{EntityRef, Row, Store, StoreError};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Like [`stagegate_api::Audit`], with the entries as they are stored.
#[derive(Serialize)]
pub(super) struct Audit {
    entries: Vec<AnyJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// In order of their numbers. With `after`, or with nothing, from there on; with `before` alone, those next to it.
pub(super) async fn list(scope: Scope, Query(query): Query<AuditQuery>) -> Answer<Json<Audit>> {
    let entities = entities(&scope, &query).await?;
    let range = Range {
        after: query.after,
        before: query.before,
        limit: query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX),
    };
    let (rows, total) = scope
        .store(move |store, workspace| {
            if entities.is_empty() {
                range.read(store, workspace)
            } else {
                range.read_touching(store, workspace, &entities)
            }
        })
        .await?;
    Ok(Json(Audit {
        entries: rows.iter().filter_map(entry_json).collect(),
        total,
    }))
}

/// What the entries must touch. Names are looked up; a deployment's tag is no name of one version, so a version
/// is given by id.
async fn entities(scope: &Scope, query: &AuditQuery) -> Answer<Vec<EntityRef>> {
    let mut entities = Vec::new();
    if let Some(text) = &query.promotion {
        entities.push(EntityRef::new(
            "promotion",
            parse_id::<PromotionId>(text, "promotion")?.0,
        ));
    }
    if let Some(text) = query.version.clone() {
        let found = scope
            .ask(move |engine| {
                let state = engine.state();
                let versions = state.deployments().keys();
                let found: Vec<Uuid> = versions
                    .filter_map(|id| references::version(state, *id, Some(&text)).ok())
                    .map(|version| version.id.0)
                    .collect();
                match found[..] {
                    [id] => Ok(id),
                    [] => Err(Failure::no_such("version", &text).at("version")),
                    _ => Err(Failure::new(
                        "invalid_query",
                        format!("several deployments have a version `{text}`"),
                    )
                    .at("version")
                    .hint("give the version's id")),
                }
            })
            .await?;
        entities.push(EntityRef::new("version", found));
    }
    if let Some(text) = query.environment.clone() {
        let found = scope
            .ask(move |engine| {
                // One that was deleted has a history all the same.
                match text.parse::<Uuid>() {
                    Ok(id) => Ok(id),
                    Err(_) => references::environment(engine.state(), &text).map(|it| it.id.0),
                }
            })
            .await?;
        entities.push(EntityRef::new("environment", found));
    }
    if let Some(text) = query.policy.clone() {
        let found = scope
            .ask(move |engine| match engine.state().policy_by_name(&text) {
                Some(policy) => Ok(policy.id.0),
                None => parse_id::<PolicyId>(&text, "policy").map(|id| id.0),
            })
            .await?;
        entities.push(EntityRef::new("policy", found));
    }
    if let Some(text) = &query.user {
        let users = scope
            .store(|store, workspace| store.users(workspace))
            .await?;
        let named = users.iter().find(|user| user.name == *text);
        let id = match named {
            Some(user) => user.id,
            None => parse_id::<UserId>(text, "user")?,
        };
        entities.push(EntityRef::new("user", id.0));
    }
    Ok(entities)
}

#[derive(Clone, Copy)]
struct Range {
    after: Option<u64>,
    before: Option<u64>,
    limit: usize,
}

type Found = (Vec<Row>, Option<u64>);

impl Range {
    fn holds(&self, seq: u64) -> bool {
        self.after.is_none_or(|after| seq > after) && self.before.is_none_or(|before| seq < before)
    }

    /// Those at the beginning of the range, or at its end when only that is given.
    fn cut(&self, mut seqs: Vec<u64>) -> Vec<u64> {
        let superfluous = seqs.len().saturating_sub(self.limit);
        if self.after.is_none() && self.before.is_some() {
            seqs.drain(..superfluous);
        } else {
            seqs.truncate(self.limit);
        }
        seqs
    }

    fn read(&self, store: &dyn Store, workspace: WorkspaceId) -> Result<Found, StoreError> {
        let head = store.head(workspace)?.map_or(0, |head| head.seq);
        let first = self.after.map_or(1, |after| after.saturating_add(1));
        let last = self
            .before
            .map_or(head, |before| before.saturating_sub(1).min(head));
        if first > last {
            return Ok((Vec::new(), Some(0)));
        }
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let from = if self.after.is_none() && self.before.is_some() {
            first.max(last.saturating_sub(limit - 1))
        } else {
            first
        };
        let to = last.min(from.saturating_add(limit - 1));
        let mut rows: Vec<Row> = Vec::new();
        // The store gives fewer than asked for where entries are large.
        let mut next = from;
        while next <= to {
            let wanted = usize::try_from(to - next + 1).unwrap_or(self.limit);
            let page = store.read(workspace, next - 1, wanted)?;
            let Some(end) = page.last() else { break };
            next = end.seq + 1;
            rows.extend(page);
        }
        Ok((rows, Some(last - first + 1)))
    }

    fn read_touching(
        &self,
        store: &dyn Store,
        workspace: WorkspaceId,
        entities: &[EntityRef],
    ) -> Result<Found, StoreError> {
        let mut seqs: Option<BTreeSet<u64>> = None;
        for entity in entities {
            let touching: BTreeSet<u64> = all_touching(store, workspace, entity, self)?;
            seqs = Some(match seqs {
                None => touching,
                Some(before) => before.intersection(&touching).copied().collect(),
            });
        }
        let seqs: Vec<u64> = seqs.unwrap_or_default().into_iter().collect();
        let total = u64::try_from(seqs.len()).ok();
        let mut rows = Vec::new();
        for seq in self.cut(seqs) {
            rows.extend(store.row(workspace, seq)?);
        }
        Ok((rows, total))
    }
}

fn all_touching(
    store: &dyn Store,
    workspace: WorkspaceId,
    entity: &EntityRef,
    range: &Range,
) -> Result<BTreeSet<u64>, StoreError> {
    const PAGE: usize = 10_000;
    let mut found = BTreeSet::new();
    let mut before = range.before;
    loop {
        let page = store.touching(workspace, entity, before, PAGE)?;
        let Some(last) = page.last() else { break };
        before = Some(*last);
        let beyond = range.after.is_some_and(|after| *last <= after);
        found.extend(page.iter().copied().filter(|seq| range.holds(*seq)));
        if beyond {
            break;
        }
    }
    Ok(found)
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
