//! What can go wrong with storage, told to a person; internals are kept apart.

use stagegate_model::{EntryId, WorkspaceId};
use std::path::PathBuf;

/// A refusal or failure of the store.
///
/// `Display` is for users: it names no internals and no data. [`StoreError::detail`] is for the server's
/// own log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was written. Appends work again as soon as there is space.
    #[error(
        "the storage is full: nothing was written; free space on the disk that holds the data, then try again"
    )]
    Full {
        /// The backend's own words.
        detail: String,
    },

    /// Another process has the data directory.
    #[error("the data directory `{}` is in use: {hint}", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who has it, and what to do.
        hint: String,
    },

    /// The compare-and-swap failed: the log's head is not what the entry was made for.
    #[error(
        "the log of workspace `{workspace}` has moved on: the entry follows number {expected}, but the \
         last one is number {found}{}; read the new entries and decide again",
        if expected == found { " with another hash" } else { "" }
    )]
    Conflict {
        /// Whose log.
        workspace: WorkspaceId,
        /// The head that the entry was made for.
        expected: u64,
        /// The head that is there (0: an empty log).
        found: u64,
    },

    /// The lease under which the entry was decided is no longer the workspace's.
    #[error(
        "the lease of workspace `{workspace}` was taken over: the entry was decided in epoch {expected}, \
         now it is epoch {found}; this process must stop deciding for it"
    )]
    Fenced {
        /// Whose lease.
        workspace: WorkspaceId,
        /// The epoch the entry named.
        expected: u64,
        /// The epoch that holds.
        found: u64,
    },

    /// COMMIT failed in a way that leaves open whether the batch is durable. Read the row at the batch's
    /// first seq and compare its entry id.
    #[error(
        "it is not known whether the last write reached the disk; it must be looked up before going on"
    )]
    Unknown {
        /// The backend's own words.
        detail: String,
    },

    /// What is stored is not what was written.
    #[error(
        "the stored log is damaged{}: {what}; restore it from a backup",
        place(workspace, seq, entry)
    )]
    Corrupt {
        /// Whose log, if that much is known.
        workspace: Option<WorkspaceId>,
        /// The first record that is wrong.
        seq: Option<u64>,
        /// Its id, when readable.
        entry: Option<EntryId>,
        /// What is wrong with it.
        what: String,
    },

    /// The data was written by a later Stagegate.
    #[error(
        "`{}` was written by a newer Stagegate (storage version {found}, this one knows up to {known}); \
         run that version or a later one", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest this build can use.
        known: i64,
    },

    /// Reading or writing failed; nothing was written.
    #[error("the storage failed: {what}")]
    Io {
        /// What could not be done.
        what: String,
        /// The backend's own words.
        detail: String,
    },

    /// The caller asked for something that can never be stored; nothing was written.
    #[error("this cannot be stored: {what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
}

impl StoreError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "storage_full",
            Self::Locked { .. } => "storage_locked",
            Self::Conflict { .. } => "storage_conflict",
            Self::Fenced { .. } => "storage_fenced",
            Self::Unknown { .. } => "storage_unknown",
            Self::Corrupt { .. } => "log_corrupt",
            Self::Newer { .. } => "storage_newer",
            Self::Io { .. } => "storage_io",
            Self::Invalid { .. } => "storage_invalid",
        }
    }

    /// What the backend itself said, for the server's own log; never for users.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Full { detail } | Self::Unknown { detail } | Self::Io { detail, .. } => {
                Some(detail)
            }
            _ => None,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    pub(crate) fn corrupt(
        workspace: WorkspaceId,
        seq: u64,
        entry: Option<EntryId>,
        what: impl Into<String>,
    ) -> Self {
        Self::Corrupt {
            workspace: Some(workspace),
            seq: Some(seq),
            entry,
            what: what.into(),
        }
    }
}

fn place(workspace: &Option<WorkspaceId>, seq: &Option<u64>, entry: &Option<EntryId>) -> String {
    let mut text = String::new();
    if let Some(seq) = seq {
        text.push_str(&format!(" at number {seq}"));
    }
    if let Some(entry) = entry {
        text.push_str(&format!(" (entry `{entry}`)"));
    }
    if let Some(workspace) = workspace {
        text.push_str(&format!(" in workspace `{workspace}`"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn messages_say_where_and_keep_internals_apart() {
        let error = StoreError::corrupt(
            WorkspaceId(Uuid::nil()),
            7,
            None,
            "its body is not the one that was hashed",
        );
        assert_eq!(
            error.to_string(),
            "the stored log is damaged at number 7 in workspace \
             `00000000-0000-0000-0000-000000000000`: its body is not the one that was hashed; \
             restore it from a backup"
        );
        let error = StoreError::Io {
            what: "the log could not be read".into(),
            detail: "disk I/O error in /secret/place".into(),
        };
        assert!(!error.to_string().contains("secret"));
        assert_eq!(error.detail(), Some("disk I/O error in /secret/place"));
        assert_eq!(error.code(), "storage_io");
    }
}
