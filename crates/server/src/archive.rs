//! Things that have ended and left memory.

use crate::answer::Answer;
use crate::scope::Scope;
use serde::de::DeserializeOwned;
use serde_json::json;
use stagegate_engine::Archived;
use stagegate_model::{Json, ReleaseStatus, WorkspaceId};
use stagegate_store::{ArchiveRecord, Cursor, Store, StoreError};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How many records are read at once.
const PAGE: usize = 500;
/// How many records a filtered listing looks at before it is content with what it found.
const SCANNED_MAX: usize = 20_000;

/// Which records, in which order.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Last archived first.
    Recent,
    /// Of one release target, by number.
    Target(String),
}

impl Source {
    fn read(
        &self,
        store: &dyn Store,
        workspace: WorkspaceId,
        kind: &str,
        after: Option<Cursor>,
    ) -> Result<Vec<ArchiveRecord>, StoreError> {
        match self {
            Self::Recent => store.archived_recent(workspace, kind, after, PAGE),
            Self::Target(target) => store.archived_of_target(workspace, kind, target, after, PAGE),
        }
    }

    fn cursor(&self, record: &ArchiveRecord) -> Cursor {
        match self {
            Self::Recent => record.cursor_of_recent(),
            Self::Target(_) => record.cursor_of_target(),
        }
    }
}

/// A record that this binary cannot read is passed over: an archive outlives what wrote it.
pub(crate) fn decode<T: DeserializeOwned>(record: &ArchiveRecord) -> Option<T> {
    serde_json::from_slice(&record.body).ok()
}

/// The same, of what may have changed since it left memory.
fn decode_as_now<T: DeserializeOwned>(
    store: &dyn Store,
    workspace: WorkspaceId,
    record: &ArchiveRecord,
) -> Result<Option<T>, StoreError> {
    // What left memory when it had succeeded may have been rolled back since.
    let undone = record.kind == "release"
        && store
            .archived(workspace, Archived::UNDONE, record.id)?
            .is_some();
    if !undone {
        return Ok(decode(record));
    }
    let Ok(mut body) = serde_json::from_slice::<Json>(&record.body) else {
        return Ok(None);
    };
    if let Some(status) = body.get_mut("status") {
        *status = json!(ReleaseStatus::RolledBack);
    }
    Ok(serde_json::from_value(body).ok())
}

fn decode_all<T: DeserializeOwned>(
    store: &dyn Store,
    workspace: WorkspaceId,
    records: &[ArchiveRecord],
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    for record in records {
        found.extend(decode_as_now(store, workspace, record)?);
    }
    Ok(found)
}

/// Those of the things with these ids that have left memory.
pub(crate) async fn several<T>(
    scope: &Scope,
    kind: &'static str,
    ids: Vec<Uuid>,
) -> Answer<BTreeMap<Uuid, T>>
where
    T: DeserializeOwned + Send + 'static,
{
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    scope
        .store(move |store, workspace| stored(store, workspace, kind, ids))
        .await
}

/// The same for who looks at what is stored.
pub(crate) fn stored<T: DeserializeOwned>(
    store: &dyn Store,
    workspace: WorkspaceId,
    kind: &str,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<BTreeMap<Uuid, T>, StoreError> {
    let mut found = BTreeMap::new();
    for id in ids {
        if let Some(record) = store.archived(workspace, kind, id)?
            && let Some(thing) = decode_as_now(store, workspace, &record)?
        {
            found.insert(id, thing);
        }
    }
    Ok(found)
}

/// One thing that left memory.
pub(crate) async fn one<T>(scope: &Scope, kind: &'static str, id: Uuid) -> Answer<Option<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    Ok(several(scope, kind, vec![id]).await?.remove(&id))
}

/// The first `limit` things that belong to `parent`.
pub(crate) async fn of_parent<T>(
    scope: &Scope,
    kind: &'static str,
    parent: Uuid,
    limit: usize,
) -> Answer<Vec<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    scope
        .store(move |store, workspace| {
            let records = store.archived_of_parent(workspace, kind, parent, None, limit)?;
            decode_all(store, workspace, &records)
        })
        .await
}

/// At most `wanted` things that `keep` keeps, in the source's order.
pub(crate) async fn listed<T, K>(
    scope: &Scope,
    kind: &'static str,
    source: Source,
    wanted: usize,
    keep: K,
) -> Answer<Vec<T>>
where
    T: DeserializeOwned + Send + 'static,
    K: Fn(&T) -> bool + Send + 'static,
{
    scope
        .store(move |store, workspace| {
            let mut found = Vec::new();
            let mut scanned = 0;
            let mut after = None;
            while found.len() < wanted && scanned < SCANNED_MAX {
                let page = source.read(store, workspace, kind, after)?;
                let Some(last) = page.last() else { break };
                after = Some(source.cursor(last));
                scanned += page.len();
                let things = decode_all(store, workspace, &page)?;
                found.extend(things.into_iter().filter(|it| keep(it)));
            }
            found.truncate(wanted);
            Ok(found)
        })
        .await
}
