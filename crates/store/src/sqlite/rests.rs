//! Workspaces at rest, beside the snapshots and as expendable.

use super::column;
use super::fault::Fault;
use crate::Rest;
use rusqlite::Connection;
use stagegate_model::{Timestamp, WorkspaceId};

/// Notes them, each in place of what was noted of its workspace before.
pub(super) fn put(connection: &Connection, rests: &[Rest]) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO rest (workspace, seq, entry_hash, said_by, due_at, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for rest in rests {
        statement.execute((
            rest.workspace.0.as_bytes(),
            column::integer(rest.seq)?,
            &rest.entry_hash,
            &rest.said_by,
            rest.due_at.map(|at| at.0),
            &rest.checksum(),
        ))?;
    }
    Ok(())
}

/// All that are noted and undamaged, by workspace.
pub(super) fn all(connection: &Connection) -> Result<Vec<Rest>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT workspace, seq, entry_hash, said_by, due_at, checksum FROM rest ORDER BY workspace",
    )?;
    let rests = statement.query_map([], |row| {
        let rest = Rest {
            workspace: column::uuid(row, 0).map(WorkspaceId)?,
            seq: column::number(row, 1)?,
            entry_hash: column::hash(row, 2)?,
            said_by: row.get(3)?,
            due_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        };
        let is_whole = rest.checksum() == column::hash(row, 5)?;
        Ok(is_whole.then_some(rest))
    })?;
    let rests: Vec<Option<Rest>> = rests.collect::<Result<_, _>>()?;
    Ok(rests.into_iter().flatten().collect())
}
