//! The archive's table.

use super::{body, column, fault::Fault, workspace};
use crate::{ArchiveRecord, Cursor, StoreError};
use rusqlite::{Connection, Params};
use stagegate_model::WorkspaceId;
use uuid::Uuid;

const COLUMNS: &str = "kind, id, target, number, parent, seq, encoding, body";

/// Creates or replaces records inside the caller's transaction.
pub(super) fn put(
    connection: &Connection,
    ws: i64,
    records: &[ArchiveRecord],
) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO archive (ws, kind, id, target, number, parent, seq, encoding, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (ws, kind, id) DO UPDATE SET
             target = excluded.target, number = excluded.number, parent = excluded.parent,
             seq = excluded.seq, encoding = excluded.encoding, body = excluded.body",
    )?;
    for record in records {
        let (encoding, body) = body::encode(&record.body);
        statement.execute((
            ws,
            &record.kind,
            record.id.as_bytes(),
            &record.target,
            column::integer(record.number.unwrap_or(0))?,
            record.parent.as_ref().map(Uuid::as_bytes),
            column::integer(record.seq)?,
            encoding,
            &*body,
        ))?;
    }
    Ok(())
}

/// One record.
pub(super) fn one(
    connection: &Connection,
    workspace: WorkspaceId,
    kind: &str,
    id: Uuid,
) -> Result<Option<ArchiveRecord>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(None);
    };
    let found = list(
        connection,
        workspace,
        "ws = ?1 AND kind = ?2 AND id = ?3",
        (ws, kind, id.as_bytes()),
    )?;
    Ok(found.into_iter().next())
}

/// A target's records, highest number first.
pub(super) fn of_target(
    connection: &Connection,
    workspace: WorkspaceId,
    kind: &str,
    target: &str,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<ArchiveRecord>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    let after = after.unwrap_or(FIRST);
    list(
        connection,
        workspace,
        "ws = ?1 AND kind = ?2 AND target = ?3 AND (number, id) < (?4, ?5)
         ORDER BY number DESC, id DESC LIMIT ?6",
        (
            ws,
            kind,
            target,
            column::bound(after.rank),
            after.id.as_bytes(),
            column::limit(limit),
        ),
    )
}

/// What belongs to a parent, by id.
pub(super) fn of_parent(
    connection: &Connection,
    workspace: WorkspaceId,
    kind: &str,
    parent: Uuid,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<ArchiveRecord>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    // The empty blob sorts before every id.
    let after: &[u8] = after.as_ref().map_or(&[], |id| id.as_bytes());
    list(
        connection,
        workspace,
        "ws = ?1 AND kind = ?2 AND parent = ?3 AND id > ?4 ORDER BY id LIMIT ?5",
        (ws, kind, parent.as_bytes(), after, column::limit(limit)),
    )
}

/// The last archived first.
pub(super) fn recent(
    connection: &Connection,
    workspace: WorkspaceId,
    kind: &str,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<ArchiveRecord>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    let after = after.unwrap_or(FIRST);
    list(
        connection,
        workspace,
        "ws = ?1 AND kind = ?2 AND (seq, id) < (?3, ?4) ORDER BY seq DESC, id DESC LIMIT ?5",
        (
            ws,
            kind,
            column::bound(after.rank),
            after.id.as_bytes(),
            column::limit(limit),
        ),
    )
}

/// Above every record.
const FIRST: Cursor = Cursor {
    rank: u64::MAX,
    id: Uuid::max(),
};

fn list(
    connection: &Connection,
    workspace: WorkspaceId,
    filter: &str,
    parameters: impl Params,
) -> Result<Vec<ArchiveRecord>, Fault> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM archive WHERE {filter}"))?;
    let mut stored = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = stored.next()? {
        records.push(decode(workspace, row)?);
    }
    Ok(records)
}

fn decode(workspace: WorkspaceId, row: &rusqlite::Row<'_>) -> Result<ArchiveRecord, Fault> {
    let kind: String = row.get(0)?;
    let id = column::uuid(row, 1)?;
    let seq = column::number(row, 5)?;
    let encoding: i64 = row.get(6)?;
    let stored = row.get_ref(7)?;
    let body = stored
        .as_blob()
        .map_err(|_| "its body is not readable".to_owned())
        .and_then(|bytes| body::decode(encoding, bytes))
        .map_err(|what| {
            StoreError::corrupt(
                workspace,
                seq,
                None,
                format!("the archived {kind} `{id}`: {what}"),
            )
        })?;
    Ok(ArchiveRecord {
        id,
        target: row.get(2)?,
        number: Some(column::number(row, 3)?).filter(|number| *number > 0),
        parent: column::uuid_or_none(row, 4)?,
        kind,
        seq,
        body,
    })
}
