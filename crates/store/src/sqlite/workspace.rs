//! A workspace's own row: its short number, its head, its lease.

use super::column;
use super::fault::Fault;
use crate::{Head, Lease, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row};
use stagegate_model::{EntryId, Timestamp, WorkspaceId};

/// Short numbers share an integer with the seq; see [`super::log`].
pub(super) const NUMBER_MAX: i64 = (1 << 23) - 1;

/// What the row says.
pub(super) struct Workspace {
    /// Its short number.
    pub(super) ws: i64,
    /// The last entry, if there is one.
    pub(super) head: Option<Head>,
    /// The size of all bodies.
    pub(super) body_bytes: u64,
    /// The epoch that appends must name; 0: there never was a lease.
    pub(super) lease_epoch: u64,
    /// The lease, unless it was released.
    pub(super) lease: Option<Lease>,
}

/// The workspace, if it is known.
pub(super) fn find(
    connection: &Connection,
    workspace: WorkspaceId,
) -> rusqlite::Result<Option<Workspace>> {
    connection
        .prepare_cached(
            "SELECT ws, head_seq, head_id, head_hash, head_time, body_bytes,
                    lease_epoch, lease_holder, lease_until
             FROM workspace WHERE id = ?1",
        )?
        .query_row([workspace.0.as_bytes()], decode)
        .optional()
}

/// The short number of a workspace, if it is known.
pub(super) fn number(
    connection: &Connection,
    workspace: WorkspaceId,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT ws FROM workspace WHERE id = ?1")?
        .query_row([workspace.0.as_bytes()], |row| row.get(0))
        .optional()
}

/// The workspace, made known if it was not.
pub(super) fn find_or_create(
    connection: &Connection,
    workspace: WorkspaceId,
) -> Result<Workspace, Fault> {
    if let Some(found) = find(connection, workspace)? {
        return Ok(found);
    }
    connection
        .prepare_cached("INSERT INTO workspace (id) VALUES (?1)")?
        .execute([workspace.0.as_bytes()])?;
    let ws = connection.last_insert_rowid();
    if ws > NUMBER_MAX {
        return Err(StoreError::invalid("the database holds as many workspaces as it can").into());
    }
    Ok(Workspace {
        ws,
        head: None,
        body_bytes: 0,
        lease_epoch: 0,
        lease: None,
    })
}

/// The workspaces that have entries.
pub(super) fn with_entries(connection: &Connection) -> Result<Vec<WorkspaceId>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM workspace WHERE head_seq > 0 ORDER BY id")?;
    let ids = statement.query_map([], |row| column::uuid(row, 0).map(WorkspaceId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The workspaces that have entries, with the last one.
pub(super) fn heads(connection: &Connection) -> Result<Vec<(WorkspaceId, Head)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, head_seq, head_id, head_hash, head_time FROM workspace
         WHERE head_seq > 0 ORDER BY id",
    )?;
    let heads = statement.query_map([], |row| {
        let head = Head {
            seq: column::number(row, 1)?,
            id: column::uuid(row, 2).map(EntryId)?,
            hash: column::hash(row, 3)?,
            time: column::time(row, 4)?,
        };
        Ok((column::uuid(row, 0).map(WorkspaceId)?, head))
    })?;
    Ok(heads.collect::<Result<_, _>>()?)
}

/// Records a new head.
pub(super) fn advance(
    connection: &Connection,
    ws: i64,
    head: &Head,
    body_bytes: u64,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE workspace SET head_seq = ?2, head_id = ?3, head_hash = ?4, head_time = ?5,
                                  body_bytes = ?6
             WHERE ws = ?1",
        )?
        .execute((
            ws,
            column::integer(head.seq)?,
            head.id.0.as_bytes(),
            &head.hash,
            head.time.0,
            column::bound(body_bytes),
        ))?;
    Ok(())
}

/// Takes the lease unless another holds it.
pub(super) fn acquire(
    connection: &Connection,
    workspace: WorkspaceId,
    holder: &str,
    now: Timestamp,
    ttl_millis: i64,
) -> Result<Option<Lease>, Fault> {
    let found = find_or_create(connection, workspace)?;
    if let Some(lease) = &found.lease
        && lease.holder != holder
        && lease.until > now
    {
        return Ok(None);
    }
    let lease = Lease {
        holder: holder.to_owned(),
        epoch: found.lease_epoch.saturating_add(1),
        until: now.plus_millis(ttl_millis),
    };
    record_lease(connection, found.ws, lease.epoch, Some(&lease))?;
    Ok(Some(lease))
}

/// Extends the lease if this epoch is still the holder's.
pub(super) fn renew(
    connection: &Connection,
    workspace: WorkspaceId,
    holder: &str,
    epoch: u64,
    now: Timestamp,
    ttl_millis: i64,
) -> Result<Option<Lease>, Fault> {
    let Some((ws, mut lease)) = held(connection, workspace, holder, epoch)? else {
        return Ok(None);
    };
    lease.until = lease.until.max(now.plus_millis(ttl_millis));
    record_lease(connection, ws, epoch, Some(&lease))?;
    Ok(Some(lease))
}

/// Gives the lease back; its epoch ends with it.
pub(super) fn release(
    connection: &Connection,
    workspace: WorkspaceId,
    holder: &str,
    epoch: u64,
) -> Result<bool, Fault> {
    let Some((ws, _)) = held(connection, workspace, holder, epoch)? else {
        return Ok(false);
    };
    record_lease(connection, ws, epoch.saturating_add(1), None)?;
    Ok(true)
}

fn held(
    connection: &Connection,
    workspace: WorkspaceId,
    holder: &str,
    epoch: u64,
) -> Result<Option<(i64, Lease)>, Fault> {
    let found = find(connection, workspace)?;
    Ok(found.and_then(|found| {
        let lease = found.lease?;
        (lease.holder == holder && lease.epoch == epoch).then_some((found.ws, lease))
    }))
}

fn record_lease(
    connection: &Connection,
    ws: i64,
    epoch: u64,
    lease: Option<&Lease>,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE workspace SET lease_epoch = ?2, lease_holder = ?3, lease_until = ?4
             WHERE ws = ?1",
        )?
        .execute((
            ws,
            column::integer(epoch)?,
            lease.map(|lease| lease.holder.as_str()),
            lease.map(|lease| lease.until.0),
        ))?;
    Ok(())
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Workspace> {
    let head = match column::number(row, 1)? {
        0 => None,
        seq => Some(Head {
            seq,
            id: EntryId(column::uuid(row, 2)?),
            hash: column::hash(row, 3)?,
            time: column::time(row, 4)?,
        }),
    };
    let lease_epoch = column::number(row, 6)?;
    let lease = match row.get::<_, Option<String>>(7)? {
        None => None,
        Some(holder) => Some(Lease {
            holder,
            epoch: lease_epoch,
            until: column::time(row, 8)?,
        }),
    };
    Ok(Workspace {
        ws: row.get(0)?,
        head,
        body_bytes: column::number(row, 5)?,
        lease_epoch,
        lease,
    })
}
