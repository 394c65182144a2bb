//! Values between SQLite's columns and ours. A value that does not fit is damage.

use super::fault::Fault;
use crate::{Hash, StoreError};
use rusqlite::Row;
use rusqlite::types::Type;
use stagegate_model::Timestamp;
use uuid::Uuid;

/// A number as SQLite stores it.
pub(super) fn integer(number: u64) -> Result<i64, Fault> {
    i64::try_from(number)
        .map_err(|_| StoreError::invalid(format!("the number {number} is too large")).into())
}

/// A page size or upper bound as SQLite takes it; what is larger than any table means "all".
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A page size as SQLite takes it.
pub(super) fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

pub(super) fn bytes<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    let value = row.get_ref(column)?;
    value
        .as_blob()
        .ok()
        .and_then(|blob| blob.try_into().ok())
        .ok_or_else(|| {
            rusqlite::Error::InvalidColumnType(column, format!("{N} bytes"), value.data_type())
        })
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    bytes(row, column)
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    bytes(row, column).map(Uuid::from_bytes)
}

pub(super) fn uuid_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    if row.get_ref(column)?.data_type() == Type::Null {
        return Ok(None);
    }
    uuid(row, column).map(Some)
}
