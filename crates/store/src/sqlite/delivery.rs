//! Deliveries to notifiers.

use super::{column, fault::Fault, workspace};
use crate::{Delivery, DeliveryFault, DeliveryRecord};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use stagegate_model::{NotifierId, Timestamp, WorkspaceId};
use uuid::Uuid;

/// Says how far the log was looked through.
pub(super) fn move_cursor(
    connection: &Connection,
    workspace: WorkspaceId,
    seq: u64,
) -> Result<(), Fault> {
    let ws = workspace::find_or_create(connection, workspace)?.ws;
    connection
        .prepare_cached(
            "INSERT INTO notify_cursor (ws, seq) VALUES (?1, ?2)
             ON CONFLICT (ws) DO UPDATE SET seq = excluded.seq",
        )?
        .execute((ws, column::integer(seq)?))?;
    Ok(())
}

/// Creates or replaces a delivery.
pub(super) fn put(connection: &Connection, delivery: &Delivery) -> Result<(), Fault> {
    let ws = workspace::find_or_create(connection, delivery.workspace)?.ws;
    connection
        .prepare_cached(
            "INSERT INTO delivery (ws, notifier, seq, subject, attempts, due, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (ws, notifier, seq, subject) DO UPDATE SET
                 attempts = excluded.attempts, due = excluded.due, since = excluded.since",
        )?
        .execute((
            ws,
            delivery.notifier.0.as_bytes(),
            column::integer(delivery.seq)?,
            delivery.subject.as_bytes(),
            delivery.attempts,
            delivery.due.0,
            delivery.since.0,
        ))?;
    Ok(())
}

/// Forgets a delivery; an unknown one is no error.
pub(super) fn end(
    connection: &Connection,
    workspace: WorkspaceId,
    notifier: NotifierId,
    seq: u64,
    subject: Uuid,
) -> Result<(), Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "DELETE FROM delivery WHERE ws = ?1 AND notifier = ?2 AND seq = ?3 AND subject = ?4",
        )?
        .execute((
            ws,
            notifier.0.as_bytes(),
            column::integer(seq)?,
            subject.as_bytes(),
        ))?;
    Ok(())
}

/// Creates or replaces a notifier's record.
pub(super) fn put_record(connection: &Connection, record: &DeliveryRecord) -> Result<(), Fault> {
    let ws = workspace::find_or_create(connection, record.workspace)?.ws;
    let parts = |fault: &Option<DeliveryFault>| -> Result<_, Fault> {
        let Some(fault) = fault.clone() else {
            return Ok((None, None, None, None));
        };
        let seq = column::integer(fault.seq)?;
        Ok((
            Some(fault.at.0),
            Some(fault.code),
            Some(fault.message),
            Some(seq),
        ))
    };
    let (error, given_up) = (parts(&record.error)?, parts(&record.last_given_up)?);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO delivery_record
                 (ws, notifier, delivered, given_up, delivered_at,
                  error_at, error_code, error_message, error_seq,
                  given_up_at, given_up_code, given_up_message, given_up_seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            ws,
            record.notifier.0.as_bytes(),
            column::integer(record.delivered)?,
            column::integer(record.given_up)?,
            record.delivered_at.map(|at| at.0),
            error.0,
            error.1,
            error.2,
            error.3,
            given_up.0,
            given_up.1,
            given_up.2,
            given_up.3,
        ])?;
    Ok(())
}

/// Forgets a notifier's deliveries and record.
pub(super) fn forget(
    connection: &Connection,
    workspace: WorkspaceId,
    notifier: NotifierId,
) -> Result<(), Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(());
    };
    for statement in [
        "DELETE FROM delivery WHERE ws = ?1 AND notifier = ?2",
        "DELETE FROM delivery_record WHERE ws = ?1 AND notifier = ?2",
    ] {
        connection
            .prepare_cached(statement)?
            .execute((ws, notifier.0.as_bytes()))?;
    }
    Ok(())
}

/// How far the log was looked through.
pub(super) fn cursor(
    connection: &Connection,
    workspace: WorkspaceId,
) -> Result<Option<u64>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(None);
    };
    Ok(connection
        .prepare_cached("SELECT seq FROM notify_cursor WHERE ws = ?1")?
        .query_row([ws], |row| column::number(row, 0))
        .optional()?)
}

/// The deliveries of a notifier that are due first.
pub(super) fn due(
    connection: &Connection,
    workspace: WorkspaceId,
    notifier: NotifierId,
    limit: usize,
) -> Result<Vec<Delivery>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT seq, subject, attempts, due, since FROM delivery
         WHERE ws = ?1 AND notifier = ?2 ORDER BY due, seq, subject LIMIT ?3",
    )?;
    let found = statement.query_map((ws, notifier.0.as_bytes(), column::limit(limit)), |row| {
        Ok(Delivery {
            workspace,
            notifier,
            seq: column::number(row, 0)?,
            subject: column::uuid(row, 1)?,
            attempts: row.get(2)?,
            due: column::time(row, 3)?,
            since: column::time(row, 4)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// How many deliveries a notifier waits for.
pub(super) fn count(
    connection: &Connection,
    workspace: WorkspaceId,
    notifier: NotifierId,
) -> Result<u64, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(0);
    };
    Ok(connection
        .prepare_cached("SELECT count(*) FROM delivery WHERE ws = ?1 AND notifier = ?2")?
        .query_row((ws, notifier.0.as_bytes()), |row| column::number(row, 0))?)
}

/// A notifier's record.
pub(super) fn record(
    connection: &Connection,
    workspace: WorkspaceId,
    notifier: NotifierId,
) -> Result<Option<DeliveryRecord>, Fault> {
    let Some(ws) = workspace::number(connection, workspace)? else {
        return Ok(None);
    };
    Ok(connection
        .prepare_cached(
            "SELECT delivered, given_up, delivered_at,
                    error_at, error_code, error_message, error_seq,
                    given_up_at, given_up_code, given_up_message, given_up_seq
             FROM delivery_record WHERE ws = ?1 AND notifier = ?2",
        )?
        .query_row((ws, notifier.0.as_bytes()), |row| {
            Ok(DeliveryRecord {
                workspace,
                notifier,
                delivered: column::number(row, 0)?,
                given_up: column::number(row, 1)?,
                delivered_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
                error: fault(row, 3)?,
                last_given_up: fault(row, 7)?,
            })
        })
        .optional()?)
}

fn fault(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<DeliveryFault>> {
    let Some(at) = row.get::<_, Option<i64>>(first)? else {
        return Ok(None);
    };
    Ok(Some(DeliveryFault {
        at: Timestamp(at),
        code: row.get(first + 1)?,
        message: row.get(first + 2)?,
        seq: column::number(row, first + 3)?,
    }))
}
