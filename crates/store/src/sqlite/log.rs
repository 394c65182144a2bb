//! The log: appending with compare-and-swap and fencing, reading with checks.

use super::workspace::{self, Workspace};
use super::{archive, body, column, fault, fault::Fault, side};
use crate::log::{ENTRY_BODY_BYTES_MAX, GENESIS_HASH};
use crate::{Append, EntityRef, Hash, Row, StoreError, entry_hash};
use rusqlite::{Connection, OptionalExtension as _};
use stagegate_model::{EntryId, Timestamp, WorkspaceId};
use std::collections::HashMap;
use uuid::Uuid;

/// An entry's key is its workspace's number above its seq in one integer, so that each log is contiguous
/// in the table and the key costs a few bytes.
const SEQ_BITS: u32 = 40;
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// A page of rows ends once it holds this much.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

const NAME_BYTES_MAX: usize = 1024;

const COLUMNS: &str = "position, id, time, prev_hash, hash, encoding, body";

fn position(ws: i64, seq: u64) -> i64 {
    // Both halves are within bounds: `workspace::NUMBER_MAX` and `SEQ_MAX`.
    (ws << SEQ_BITS) | column::bound(seq.min(SEQ_MAX))
}

/// Refuses what can never be stored, before a transaction begins.
pub(super) fn validate(batch: &[Append]) -> Result<(), StoreError> {
    for append in batch {
        let row = &append.row;
        if row.seq > SEQ_MAX {
            return Err(StoreError::invalid("the log is as long as it can be"));
        }
        size("an entry", row.body.len())?;
        if entry_hash(&row.prev_hash, &row.body) != row.hash {
            return Err(StoreError::invalid(format!(
                "entry `{}` does not have the hash of its body",
                row.id
            )));
        }
        for entity in &append.touches {
            name("the kind of what an entry touches", &entity.kind)?;
        }
        for record in &append.archive {
            size("an archived record", record.body.len())?;
            name("the kind of an archived record", &record.kind)?;
            if let Some(target) = &record.target {
                name("the target of an archived record", target)?;
            }
            if record.number == Some(0) {
                return Err(StoreError::invalid(
                    "an archived record has the number 0; numbers start at 1",
                ));
            }
        }
    }
    Ok(())
}

fn size(what: &str, bytes: usize) -> Result<(), StoreError> {
    if bytes <= ENTRY_BODY_BYTES_MAX {
        return Ok(());
    }
    Err(StoreError::invalid(format!(
        "{what} has {bytes} bytes; at most {ENTRY_BODY_BYTES_MAX} are allowed"
    )))
}

fn name(what: &str, text: &str) -> Result<(), StoreError> {
    if (1..=NAME_BYTES_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(StoreError::invalid(format!(
        "{what} has {} bytes; it needs 1 to {NAME_BYTES_MAX}",
        text.len()
    )))
}

/// Appends a validated batch inside the caller's transaction.
pub(super) fn append(connection: &Connection, batch: &[Append]) -> Result<(), Fault> {
    let mut logs: HashMap<WorkspaceId, Workspace> = HashMap::new();
    for append in batch {
        let row = &append.row;
        let log = match logs.entry(row.workspace) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(workspace::find_or_create(connection, row.workspace)?)
            }
        };
        check_fence(log, append)?;
        check_follows(log, row)?;
        insert(connection, log.ws, row)?;
        touch(connection, log.ws, row.seq, &append.touches)?;
        archive::put(connection, log.ws, &append.archive)?;
        side::write(connection, &append.side)?;
        log.head = Some(row.head());
        log.body_bytes = log.body_bytes.saturating_add(row.body.len() as u64);
    }
    for log in logs.values() {
        if let Some(head) = &log.head {
            workspace::advance(connection, log.ws, head, log.body_bytes)?;
        }
    }
    Ok(())
}

fn check_fence(log: &Workspace, append: &Append) -> Result<(), StoreError> {
    if log.lease_epoch == 0 || log.lease_epoch == append.epoch {
        return Ok(());
    }
    Err(StoreError::Fenced {
        workspace: append.row.workspace,
        expected: append.epoch,
        found: log.lease_epoch,
    })
}

fn check_follows(log: &Workspace, row: &Row) -> Result<(), StoreError> {
    let (seq, hash) = log
        .head
        .map_or((0, GENESIS_HASH), |head| (head.seq, head.hash));
    if row.seq == seq.saturating_add(1) && row.prev_hash == hash {
        return Ok(());
    }
    Err(StoreError::Conflict {
        workspace: row.workspace,
        expected: row.seq.saturating_sub(1),
        found: seq,
    })
}

fn insert(connection: &Connection, ws: i64, row: &Row) -> Result<(), Fault> {
    let (encoding, body) = body::encode(&row.body);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO entry (position, id, time, prev_hash, hash, encoding, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            position(ws, row.seq),
            row.id.0.as_bytes(),
            row.time.0,
            &row.prev_hash,
            &row.hash,
            encoding,
            &*body,
        ));
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if fault::is_constraint(&error) => Err(StoreError::corrupt(
            row.workspace,
            row.seq,
            None,
            "there is a record behind the last one",
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn touch(connection: &Connection, ws: i64, seq: u64, entities: &[EntityRef]) -> Result<(), Fault> {
    if entities.is_empty() {
        return Ok(());
    }
    let seq = column::integer(seq)?;
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO touch (ws, entity, kind, seq) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for entity in entities {
        statement.execute((ws, entity.id.as_bytes(), &*entity.kind, seq))?;
    }
    Ok(())
}

/// One row.
pub(super) fn row(
    connection: &Connection,
    workspace: WorkspaceId,
    seq: u64,
) -> Result<Option<Row>, Fault> {
    let Some((ws, head)) = head_of(connection, workspace)? else {
        return Ok(None);
    };
    if seq == 0 || seq > head.seq {
        return Ok(None);
    }
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM entry WHERE position = ?1"))?
        .query_row([position(ws, seq)], |row| Ok(decode(workspace, seq, row)))
        .optional()?;
    match found {
        Some(row) => Ok(Some(row?)),
        None => Err(missing(workspace, seq).into()),
    }
}

/// The hash of an entry, if the log has it; nothing about the entry is checked.
pub(super) fn hash_at(
    connection: &Connection,
    workspace: WorkspaceId,
    seq: u64,
) -> Result<Option<Hash>, Fault> {
    let Some((ws, head)) = head_of(connection, workspace)? else {
        return Ok(None);
    };
    if seq == 0 || seq > head.seq {
        return Ok(None);
    }
    Ok(connection
        .prepare_cached("SELECT hash FROM entry WHERE position = ?1")?
        .query_row([position(ws, seq)], |row| column::hash(row, 0))
        .optional()?)
}

/// A page of rows.
pub(super) fn read(
    connection: &Connection,
    workspace: WorkspaceId,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<Row>, Fault> {
    let Some((ws, head)) = head_of(connection, workspace)? else {
        return Ok(Vec::new());
    };
    if after_seq >= head.seq || limit == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM entry WHERE position > ?1 AND position <= ?2
         ORDER BY position LIMIT ?3"
    ))?;
    let mut stored = statement.query((
        position(ws, after_seq),
        position(ws, head.seq),
        column::limit(limit),
    ))?;
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0_usize;
    let mut next = after_seq.saturating_add(1);
    while let Some(found) = stored.next()? {
        let row = decode(workspace, next, found)?;
        if let Some(last) = rows.last() {
            check_link(last.hash, &row)?;
        }
        next = next.saturating_add(1);
        bytes = bytes.saturating_add(row.body.len());
        rows.push(row);
        if rows.len() >= limit || bytes >= PAGE_BYTES {
            break;
        }
    }
    if rows.len() < limit && bytes < PAGE_BYTES && next <= head.seq {
        return Err(missing(workspace, next).into());
    }
    if let Some(last) = rows.last()
        && last.seq == head.seq
        && last.head() != head
    {
        return Err(StoreError::corrupt(
            workspace,
            last.seq,
            Some(last.id),
            "it is not the last entry that was appended",
        )
        .into());
    }
    Ok(rows)
}

fn head_of(
    connection: &Connection,
    workspace: WorkspaceId,
) -> rusqlite::Result<Option<(i64, crate::Head)>> {
    let found = workspace::find(connection, workspace)?;
    Ok(found.and_then(|found| found.head.map(|head| (found.ws, head))))
}

fn check_link(prev_hash: Hash, row: &Row) -> Result<(), StoreError> {
    if row.prev_hash == prev_hash {
        return Ok(());
    }
    Err(StoreError::corrupt(
        row.workspace,
        row.seq,
        Some(row.id),
        "it does not follow from the entry before it",
    ))
}

fn missing(workspace: WorkspaceId, seq: u64) -> StoreError {
    StoreError::corrupt(workspace, seq, None, "the entry is missing")
}

/// Checks a stored row as far as it can be checked alone.
fn decode(workspace: WorkspaceId, seq: u64, stored: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let id = column::uuid(stored, 1).ok().map(EntryId);
    let corrupt = |what: &str| StoreError::corrupt(workspace, seq, id, what);
    let position: i64 = stored
        .get(0)
        .map_err(|_| corrupt("its position is not readable"))?;
    if column::bound(seq) != position & column::bound(SEQ_MAX) {
        return Err(missing(workspace, seq));
    }
    let id = id.ok_or_else(|| corrupt("its id is not readable"))?;
    let time: Timestamp =
        column::time(stored, 2).map_err(|_| corrupt("its time is not readable"))?;
    let prev_hash =
        column::hash(stored, 3).map_err(|_| corrupt("its predecessor's hash is not readable"))?;
    let hash = column::hash(stored, 4).map_err(|_| corrupt("its hash is not readable"))?;
    let encoding: i64 = stored
        .get(5)
        .map_err(|_| corrupt("its encoding is not readable"))?;
    let bytes = stored
        .get_ref(6)
        .ok()
        .and_then(|value| value.as_blob().ok())
        .ok_or_else(|| corrupt("its body is not readable"))?;
    let body = body::decode(encoding, bytes).map_err(|what| corrupt(&what))?;
    if entry_hash(&prev_hash, &body) != hash {
        return Err(corrupt("its body is not the one that was hashed"));
    }
    if seq == 1 && prev_hash != GENESIS_HASH {
        return Err(corrupt("it is not the beginning of a log"));
    }
    Ok(Row {
        workspace,
        seq,
        id,
        time,
        body,
        prev_hash,
        hash,
    })
}

/// The entries that touch something, newest first.
pub(super) fn touching(
    connection: &Connection,
    workspace: WorkspaceId,
    entity: &EntityRef,
    before_seq: Option<u64>,
    limit: usize,
) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT seq FROM touch WHERE ws = ?1 AND entity = ?2 AND kind = ?3 AND seq < ?4
         ORDER BY seq DESC LIMIT ?5";
    let before = before_seq.unwrap_or(u64::MAX);
    touching_beside(connection, sql, workspace, entity, before, limit)
}

/// The same, oldest first.
pub(super) fn touching_after(
    connection: &Connection,
    workspace: WorkspaceId,
    entity: &EntityRef,
    after_seq: u64,
    limit: usize,
) -> Result<Vec<u64>, Fault> {
    let sql = "SELECT seq FROM touch WHERE ws = ?1 AND entity = ?2 AND kind = ?3 AND seq > ?4
         ORDER BY seq LIMIT ?5";
    touching_beside(connection, sql, workspace, entity, after_seq, limit)
}

fn touching_beside(
    connection: &Connection,
    sql: &str,
    workspace: WorkspaceId,
    entity: &EntityRef,
    seq: u64,
    limit: usize,
) -> Result<Vec<u64>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    let id: &Uuid = &entity.id;
    let mut statement = connection.prepare_cached(sql)?;
    let seqs = statement.query_map(
        (
            ws,
            id.as_bytes(),
            &*entity.kind,
            column::bound(seq),
            column::limit(limit),
        ),
        |row| column::number(row, 0),
    )?;
    Ok(seqs.collect::<Result<_, _>>()?)
}
