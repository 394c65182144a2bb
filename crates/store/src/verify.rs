//! Recomputing a log's hash chain.

use crate::{GENESIS_HASH, Head, Row, Store, StoreError, entry_hash};
use stagegate_model::WorkspaceId;

const PAGE_ROWS: usize = 256;

/// What a successful verification saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries checked.
    pub entries: u64,
    /// The size of their bodies, in bytes.
    pub bytes: u64,
    /// The last entry; `None` for an empty log. Keep it somewhere else: see [`verify_chain`].
    pub head: Option<Head>,
}

/// Recomputes the hash chain of a log from the database alone and stops at the first record that is
/// wrong: a changed body, a missing or foreign record, a changed order.
///
/// With `from`, a head known from elsewhere (an earlier report, an export), only what follows is read,
/// after checking that the log still contains that very entry.
///
/// `visit` sees each row after it was checked, in order: to show progress, and to check what the store
/// cannot know. The id and the time in a row's columns are for finding it; only what the **body** says
/// of them is hashed. Whoever knows the body compares the two and answers `Err(what is wrong)`.
///
/// What no recomputation can notice: a log whose last entries were cut off *together with* the
/// record of its head, or one rewritten as a whole from some entry on, hashes included. Both are noticed when `from` is
/// a head that was kept outside the database and lies in the part that is gone or was rewritten.
///
/// # Errors
/// [`StoreError::Corrupt`] with the first wrong record; otherwise what reading yields.
pub fn verify_chain(
    store: &dyn Store,
    workspace: WorkspaceId,
    from: Option<Head>,
    mut visit: impl FnMut(&Row) -> Result<(), String>,
) -> Result<VerifyReport, StoreError> {
    // Taken first: entries appended meanwhile are checked too, but none of these may be missing.
    let recorded = store.head(workspace)?;
    if let Some(from) = &from {
        check_known(store, workspace, from)?;
    }
    let mut report = VerifyReport {
        entries: 0,
        bytes: 0,
        head: from,
    };
    loop {
        let after = report.head.map_or(0, |head| head.seq);
        let page = store.read(workspace, after, PAGE_ROWS)?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            check_row(report.head.as_ref(), row)?;
            visit(row).map_err(|what| corrupt(row, what))?;
            report.entries += 1;
            report.bytes += row.body.len() as u64;
            report.head = Some(row.head());
            if let Some(recorded) = &recorded
                && recorded.seq == row.seq
                && *recorded != row.head()
            {
                return Err(corrupt(row, "it is not the last entry that was appended"));
            }
        }
    }
    let reached = report.head.map_or(0, |head| head.seq);
    if recorded.is_some_and(|recorded| recorded.seq > reached) {
        return Err(StoreError::corrupt(
            workspace,
            reached + 1,
            None,
            "the entry is missing",
        ));
    }
    Ok(report)
}

/// The chain's own rules, independent of what the backend checks when it reads.
fn check_row(before: Option<&Head>, row: &Row) -> Result<(), StoreError> {
    let (seq, prev_hash) = before.map_or((0, GENESIS_HASH), |head| (head.seq, head.hash));
    if row.seq != seq + 1 {
        return Err(StoreError::corrupt(
            row.workspace,
            seq + 1,
            None,
            "the entry is missing",
        ));
    }
    if row.prev_hash != prev_hash {
        return Err(corrupt(row, "it does not follow from the entry before it"));
    }
    if entry_hash(&row.prev_hash, &row.body) != row.hash {
        return Err(corrupt(row, "its body is not the one that was hashed"));
    }
    Ok(())
}

fn check_known(store: &dyn Store, workspace: WorkspaceId, known: &Head) -> Result<(), StoreError> {
    match store.row(workspace, known.seq)? {
        Some(row) if row.hash == known.hash && row.id == known.id => Ok(()),
        Some(row) => Err(corrupt(
            &row,
            "it is another entry than the one known from before; the log was rewritten",
        )),
        None => Err(StoreError::corrupt(
            workspace,
            known.seq,
            Some(known.id),
            "the entry known from before is gone; the end of the log was cut off",
        )),
    }
}

fn corrupt(row: &Row, what: impl Into<String>) -> StoreError {
    StoreError::corrupt(row.workspace, row.seq, Some(row.id), what)
}
