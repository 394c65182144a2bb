//! API keys, persons and sessions.

use super::{column, delivery, fault, fault::Fault, workspace};
use crate::{ApiKey, Hash, Session, SideWrite, StoreError, User};
use rusqlite::{Connection, OptionalExtension as _, Row};
use stagegate_model::{KeyId, Timestamp, UserId, WorkspaceId};

const KEY_COLUMNS: &str = "k.id, w.id, k.owner, k.role, k.name, k.hash, k.created, k.revoked_at";

/// Writes inside the caller's transaction.
pub(super) fn write(connection: &Connection, writes: &[SideWrite]) -> Result<(), Fault> {
    for write in writes {
        match write {
            SideWrite::PutKey(key) => put_key(connection, key)?,
            SideWrite::RevokeKey { workspace, id, at } => {
                revoke_key(connection, *workspace, *id, *at)?;
            }
            SideWrite::PutUser(user) => put_user(connection, user)?,
            SideWrite::EraseUser { workspace, id } => erase_user(connection, *workspace, *id)?,
            SideWrite::MoveNotifyCursor { workspace, seq } => {
                delivery::move_cursor(connection, *workspace, *seq)?;
            }
            SideWrite::PutDelivery(it) => delivery::put(connection, it)?,
            SideWrite::EndDelivery {
                workspace,
                notifier,
                seq,
                subject,
            } => delivery::end(connection, *workspace, *notifier, *seq, *subject)?,
            SideWrite::PutDeliveryRecord(record) => delivery::put_record(connection, record)?,
            SideWrite::ForgetNotifier {
                workspace,
                notifier,
            } => delivery::forget(connection, *workspace, *notifier)?,
            SideWrite::PutSession(session) => put_session(connection, session)?,
            SideWrite::DeleteSession { hash } => {
                connection
                    .prepare_cached("DELETE FROM session WHERE hash = ?1")?
                    .execute([hash])?;
            }
        }
    }
    Ok(())
}

/// Whether the file must not keep what these overwrote or deleted.
pub(super) fn erases(writes: &[SideWrite]) -> bool {
    writes
        .iter()
        .any(|write| matches!(write, SideWrite::EraseUser { .. }))
}

fn put_key(connection: &Connection, key: &ApiKey) -> Result<(), Fault> {
    let ws = workspace::find_or_create(connection, key.workspace)?.ws;
    let written = connection
        .prepare_cached(
            "INSERT INTO api_key (id, ws, owner, role, name, hash, created, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET
                 owner = excluded.owner, role = excluded.role, name = excluded.name,
                 hash = excluded.hash, created = excluded.created, revoked_at = excluded.revoked_at
             WHERE ws = excluded.ws",
        )?
        .execute((
            key.id.0.as_bytes(),
            ws,
            key.owner.0.as_bytes(),
            &key.role,
            &key.name,
            &key.hash,
            key.created.0,
            key.revoked_at.map(|time| time.0),
        ));
    match written {
        Ok(1) => Ok(()),
        // The id exists, in another workspace.
        Ok(_) => Err(StoreError::invalid(format!(
            "the API key `{}` belongs to another workspace",
            key.id
        ))
        .into()),
        Err(error) if fault::is_constraint(&error) => Err(StoreError::invalid(format!(
            "the API key `{}` has the hash of another key",
            key.id
        ))
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn revoke_key(
    connection: &Connection,
    workspace: WorkspaceId,
    id: KeyId,
    at: Timestamp,
) -> Result<(), Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(());
    };
    let revoked = connection
        .prepare_cached(
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE id = ?1 AND ws = ?2",
        )?
        .execute((id.0.as_bytes(), ws, at.0))?;
    if revoked > 0 {
        connection
            .prepare_cached("DELETE FROM session WHERE key = ?1")?
            .execute([id.0.as_bytes()])?;
    }
    Ok(())
}

fn put_user(connection: &Connection, user: &User) -> Result<(), Fault> {
    let ws = workspace::find_or_create(connection, user.workspace)?.ws;
    connection
        .prepare_cached(
            "INSERT INTO person (ws, id, name, email) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (ws, id) DO UPDATE SET name = excluded.name, email = excluded.email",
        )?
        .execute((ws, user.id.0.as_bytes(), &user.name, &user.email))?;
    Ok(())
}

fn erase_user(connection: &Connection, workspace: WorkspaceId, id: UserId) -> Result<(), Fault> {
    if let Some(ws) = workspace::number(connection, workspace)? {
        connection
            .prepare_cached("DELETE FROM person WHERE ws = ?1 AND id = ?2")?
            .execute((ws, id.0.as_bytes()))?;
    }
    Ok(())
}

fn put_session(connection: &Connection, session: &Session) -> Result<(), Fault> {
    let written = connection
        .prepare_cached(
            "INSERT INTO session (hash, key, expires) VALUES (?1, ?2, ?3)
             ON CONFLICT (hash) DO UPDATE SET key = excluded.key, expires = excluded.expires",
        )?
        .execute((
            &session.hash,
            session.key_id.0.as_bytes(),
            session.expires.0,
        ));
    match written {
        Ok(_) => Ok(()),
        Err(error) if fault::is_constraint(&error) => Err(StoreError::invalid(format!(
            "the session's API key `{}` does not exist",
            session.key_id
        ))
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// The key with this hash.
pub(super) fn key_by_hash(connection: &Connection, hash: &Hash) -> Result<Option<ApiKey>, Fault> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT {KEY_COLUMNS} FROM api_key k JOIN workspace w USING (ws) WHERE k.hash = ?1"
        ))?
        .query_row([hash], |row| decode_key(row, 0))
        .optional()?)
}

/// The key with this id.
pub(super) fn key(
    connection: &Connection,
    workspace: WorkspaceId,
    id: KeyId,
) -> Result<Option<ApiKey>, Fault> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT {KEY_COLUMNS} FROM api_key k JOIN workspace w USING (ws)
             WHERE k.id = ?1 AND w.id = ?2"
        ))?
        .query_row((id.0.as_bytes(), workspace.0.as_bytes()), |row| {
            decode_key(row, 0)
        })
        .optional()?)
}

/// A workspace's keys.
pub(super) fn keys(connection: &Connection, workspace: WorkspaceId) -> Result<Vec<ApiKey>, Fault> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {KEY_COLUMNS} FROM api_key k JOIN workspace w USING (ws)
         WHERE w.id = ?1 ORDER BY k.id"
    ))?;
    let keys = statement.query_map([workspace.0.as_bytes()], |row| decode_key(row, 0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

fn decode_key(row: &Row<'_>, first: usize) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId(column::uuid(row, first)?),
        workspace: WorkspaceId(column::uuid(row, first + 1)?),
        owner: UserId(column::uuid(row, first + 2)?),
        role: row.get(first + 3)?,
        name: row.get(first + 4)?,
        hash: column::hash(row, first + 5)?,
        created: column::time(row, first + 6)?,
        revoked_at: row.get::<_, Option<i64>>(first + 7)?.map(Timestamp),
    })
}

/// A person.
pub(super) fn user(
    connection: &Connection,
    workspace: WorkspaceId,
    id: UserId,
) -> Result<Option<User>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(None);
    };
    Ok(connection
        .prepare_cached("SELECT id, name, email FROM person WHERE ws = ?1 AND id = ?2")?
        .query_row((ws, id.0.as_bytes()), |row| decode_user(workspace, row))
        .optional()?)
}

/// A workspace's persons.
pub(super) fn users(connection: &Connection, workspace: WorkspaceId) -> Result<Vec<User>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection
        .prepare_cached("SELECT id, name, email FROM person WHERE ws = ?1 ORDER BY id")?;
    let users = statement.query_map([ws], |row| decode_user(workspace, row))?;
    Ok(users.collect::<Result<_, _>>()?)
}

fn decode_user(workspace: WorkspaceId, row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(column::uuid(row, 0)?),
        workspace,
        name: row.get(1)?,
        email: row.get(2)?,
    })
}

/// A session that has not ended, with its key that is not revoked.
pub(super) fn session(
    connection: &Connection,
    hash: &Hash,
    now: Timestamp,
) -> Result<Option<(Session, ApiKey)>, Fault> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT s.hash, s.expires, {KEY_COLUMNS}
             FROM session s JOIN api_key k ON k.id = s.key JOIN workspace w USING (ws)
             WHERE s.hash = ?1 AND s.expires > ?2 AND k.revoked_at IS NULL"
        ))?
        .query_row((hash, now.0), |row| {
            let key = decode_key(row, 2)?;
            let session = Session {
                hash: column::hash(row, 0)?,
                key_id: key.id,
                expires: column::time(row, 1)?,
            };
            Ok((session, key))
        })
        .optional()?)
}

/// Forgets the sessions that have ended.
pub(super) fn purge_sessions(connection: &Connection, now: Timestamp) -> Result<u64, Fault> {
    let gone = connection
        .prepare_cached("DELETE FROM session WHERE expires <= ?1")?
        .execute([now.0])?;
    Ok(gone as u64)
}
