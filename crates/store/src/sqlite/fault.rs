//! From SQLite's errors to ours.

use crate::StoreError;
use rusqlite::{Error, ErrorCode};
use std::io::Write as _;
use std::path::Path;

/// Why a piece of work inside a transaction stopped.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was refused; the reason is final.
    Refused(StoreError),
    /// SQLite failed.
    Sqlite(Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// As the error of a store whose files lie in `dir`, while doing `what`.
    pub(super) fn into_error(self, what: &str, dir: Option<&Path>) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sqlite(error) => describe(&error, what, dir),
        }
    }
}

/// What a failed statement means. Nothing was written.
pub(super) fn describe(error: &Error, what: &str, dir: Option<&Path>) -> StoreError {
    let detail = error.to_string();
    match code(error) {
        Some(ErrorCode::DiskFull) => StoreError::Full { detail },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            corrupt(format!("{what}: the database file is damaged"))
        }
        Some(ErrorCode::SystemIoFailure) if dir.is_some_and(is_full) => StoreError::Full { detail },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Io {
            what: format!("{what}: another program holds the database; close it and try again"),
            detail,
        },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::Io {
                what: format!(
                    "{what}: the database cannot be opened or written; check the owner and the \
                     permissions of the data directory"
                ),
                detail,
            }
        }
        Some(ErrorCode::TooBig) => StoreError::invalid("a value is larger than the database takes"),
        Some(_) => io(what, detail),
        None => match error {
            Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..) => corrupt(format!(
                "{what}: the database holds a value that no Stagegate wrote"
            )),
            _ => io(what, detail),
        },
    }
}

/// What a failed COMMIT means.
///
/// SQLite reports a full disk, a busy database and a violated constraint before it wrote the record that
/// commits. After any other failure that record may or may not be on the disk, and a crash decides.
pub(super) fn describe_commit(error: &Error, what: &str, dir: Option<&Path>) -> StoreError {
    match code(error) {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ConstraintViolation
            | ErrorCode::ReadOnly,
        ) => describe(error, what, dir),
        _ => StoreError::Unknown {
            detail: format!("{what}: {error}"),
        },
    }
}

/// Whether SQLite refused a value that must be unique or refer to something.
pub(super) fn is_constraint(error: &Error) -> bool {
    code(error) == Some(ErrorCode::ConstraintViolation)
}

/// Whether the file itself is unusable, not merely the access to it.
pub(super) fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. })
}

pub(super) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        workspace: None,
        seq: None,
        entry: None,
        what: what.into(),
    }
}

pub(super) fn io(what: &str, detail: impl Into<String>) -> StoreError {
    StoreError::Io {
        what: what.to_owned(),
        detail: detail.into(),
    }
}

/// A failed file operation on `path`.
pub(super) fn file(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let detail = error.to_string();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full { detail }
        }
        kind => StoreError::Io {
            what: format!("`{}` {what}: {kind}", path.display()),
            detail,
        },
    }
}

fn code(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::SqliteFailure(failure, _) => Some(failure.code),
        _ => None,
    }
}

/// Whether the disk of `dir` refuses even a small file. SQLite tells a full disk from other failures for
/// plain writes only, not for its shared memory or for space that is found missing at a sync.
fn is_full(dir: &Path) -> bool {
    let path = dir.join("space-probe");
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[0; 64 * 1024])?;
        file.sync_all()
    });
    // A probe that stays behind does no harm: the next one overwrites it.
    let _ = std::fs::remove_file(&path);
    written.is_err_and(|error| {
        matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn statements_fail_with_nothing_written() {
        let cases = [
            (ffi::SQLITE_FULL, "storage_full"),
            (ffi::SQLITE_IOERR_READ, "storage_io"),
            (ffi::SQLITE_IOERR_FSYNC, "storage_io"),
            (ffi::SQLITE_BUSY, "storage_io"),
            (ffi::SQLITE_CORRUPT, "log_corrupt"),
            (ffi::SQLITE_NOTADB, "log_corrupt"),
            (ffi::SQLITE_TOOBIG, "storage_invalid"),
        ];
        for (code, expected) in cases {
            assert_eq!(describe(&failure(code), "x", None).code(), expected);
        }
    }

    #[test]
    fn a_commit_that_may_have_reached_the_disk_is_unknown() {
        let cases = [
            (ffi::SQLITE_FULL, "storage_full"),
            (ffi::SQLITE_BUSY, "storage_io"),
            (ffi::SQLITE_IOERR_FSYNC, "storage_unknown"),
            (ffi::SQLITE_IOERR_WRITE, "storage_unknown"),
            (ffi::SQLITE_INTERNAL, "storage_unknown"),
        ];
        for (code, expected) in cases {
            assert_eq!(describe_commit(&failure(code), "x", None).code(), expected);
        }
    }

    #[test]
    fn a_disk_with_space_is_not_full() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_full(dir.path()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
