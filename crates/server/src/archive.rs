//! Things that have ended and left memory.

use crate::answer::Answer;
use crate::scope::Scope;
use serde::de::DeserializeOwned;
use stagegate_model::WorkspaceId;
use stagegate_store::{ArchiveRecord, Cursor, Store, StoreError};
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

/// One thing that left memory.
pub(crate) async fn one<T>(scope: &Scope, kind: &'static str, id: Uuid) -> Answer<Option<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    let record = scope
        .store(move |store, workspace| store.archived(workspace, kind, id))
        .await?;
    Ok(record.as_ref().and_then(decode))
}

/// Things that left memory, in the order of their ids; `None` for one that is not there.
pub(crate) async fn several<T>(
    scope: &Scope,
    kind: &'static str,
    ids: Vec<Uuid>,
) -> Answer<Vec<Option<T>>>
where
    T: DeserializeOwned + Send + 'static,
{
    scope
        .store(move |store, workspace| {
            let one = |id: &Uuid| store.archived(workspace, kind, *id);
            let found = ids.iter().map(|id| Ok(one(id)?.as_ref().and_then(decode)));
            found.collect()
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
                found.extend(page.iter().filter_map(decode).filter(|it| keep(it)));
            }
            found.truncate(wanted);
            Ok(found)
        })
        .await
}
