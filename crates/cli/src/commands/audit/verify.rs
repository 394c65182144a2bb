//! `stagegate audit verify`

use crate::Answer;
use crate::commands::Asking;
use crate::failure::Failure;
use crate::output::{Output, Paint, one_line};
use anyhow::Result;
use serde::Serialize;
use stagegate_api::{AuditVerification, BrokenEntry, LogHead};
use stagegate_model::{Entry, WorkspaceId};
use stagegate_store::{Row, SqliteStore, Store, StoreError, verify_chain};
use std::path::{Path, PathBuf};

/// Recompute the chain of hashes: is the log what was written? The exit code is 1 when it is not.
///
/// The number and hash of the last entry, kept somewhere else, let you notice later that the end was cut off.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate audit verify
  stagegate audit verify --data ./data       without a server, from the database alone")]
pub struct Args {
    /// Read this data folder instead of asking a server; nothing is written there, and a server may use it meanwhile
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What was found in one workspace of a data folder.
#[derive(Serialize)]
struct Found {
    workspace: String,
    #[serde(flatten)]
    verification: AuditVerification,
}

impl Args {
    pub fn run(self, asking: Asking) -> Result<Answer> {
        match self.data {
            Some(dir) => offline(&dir, asking.global.workspace.as_deref(), &asking.out),
            None => asking.ask(|session| async move {
                let workspace = session.workspace().await?;
                let verification = workspace.verify_audit().await?;
                session.out.show(&verification, render)?;
                Ok(answer(verification.ok))
            }),
        }
    }
}

fn answer(ok: bool) -> Answer {
    if ok { Answer::Yes } else { Answer::No }
}

fn render(it: &AuditVerification, paint: Paint) -> String {
    if let Some(broken) = &it.error {
        return format!(
            "{} the log is not what was written: entry {} (id {}): {}\n",
            paint.bad("✗"),
            broken.seq,
            one_line(&broken.entry_id),
            one_line(&broken.what)
        );
    }
    if !it.ok {
        return format!("{} the log is not what was written\n", paint.bad("✗"));
    }
    format!(
        "{} {} entries, each as it was written\n  last entry: {}\n  its hash:   {}\n",
        paint.good("✓"),
        it.entries,
        it.head.seq,
        one_line(&it.head.hash)
    )
}

/// Verifies every workspace of the folder, or the one with that id, from the database alone.
fn offline(dir: &Path, only: Option<&str>, out: &Output) -> Result<Answer> {
    let only: Option<WorkspaceId> = match only {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| {
            Failure::usage(
                "invalid_id",
                format!(
                    "--workspace: `{id}` is no id; with `--data`, name the workspace by its id"
                ),
            )
        })?),
    };
    let store = match SqliteStore::open_read_only(dir) {
        Ok(store) => store,
        // The file itself is damaged before any entry can be looked at.
        Err(error @ StoreError::Corrupt { .. }) => return whole_file_broken(&error, out),
        Err(error) => return Err(store_failure(&error, dir).into()),
    };
    let mut found = Vec::new();
    let workspaces = match store.workspaces() {
        Ok(workspaces) => workspaces,
        Err(error @ StoreError::Corrupt { .. }) => return whole_file_broken(&error, out),
        Err(error) => return Err(store_failure(&error, dir).into()),
    };
    for id in workspaces {
        if only.is_none_or(|only| only == id) {
            found.push(Found {
                workspace: id.to_string(),
                verification: verify(&store, id, dir)?,
            });
        }
    }
    if found.is_empty() {
        let dir = dir.display();
        let what = match only {
            Some(id) => format!("`{dir}` has no workspace `{id}`"),
            None => format!("`{dir}` holds no workspace"),
        };
        return Err(Failure::local("workspace_not_found", what).into());
    }
    out.show(&found, |found, paint| {
        let each = found.iter().map(|it| {
            let text = render(&it.verification, paint);
            format!("workspace {}\n{text}", it.workspace)
        });
        each.collect::<Vec<_>>().join("")
    })?;
    Ok(answer(found.iter().all(|it| it.verification.ok)))
}

/// Says where the store is broken when no workspace's log can be told apart.
fn whole_file_broken(error: &StoreError, out: &Output) -> Result<Answer> {
    let verification = AuditVerification {
        ok: false,
        error: Some(broken(error)),
        ..AuditVerification::default()
    };
    out.show(&verification, |_, paint| {
        format!("{} {error}\n", paint.bad("✗"))
    })?;
    Ok(Answer::No)
}

fn verify(store: &SqliteStore, id: WorkspaceId, dir: &Path) -> Result<AuditVerification> {
    match verify_chain(store, id, None, same_in_body) {
        Ok(report) => Ok(AuditVerification {
            ok: true,
            entries: report.entries,
            head: report.head.map_or_else(LogHead::default, |head| LogHead {
                seq: head.seq,
                hash: head.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            }),
            error: None,
        }),
        Err(error @ StoreError::Corrupt { .. }) => Ok(AuditVerification {
            ok: false,
            error: Some(broken(&error)),
            ..AuditVerification::default()
        }),
        Err(error) => Err(store_failure(&error, dir).into()),
    }
}

/// What the database keeps beside an entry must be what the entry itself says; only the latter is hashed.
fn same_in_body(row: &Row) -> Result<(), String> {
    let entry = Entry::from_bytes(&row.body)
        .map_err(|error| format!("its content cannot be read: {error}"))?;
    let same = (entry.workspace, entry.seq, entry.id, entry.time)
        == (row.workspace, row.seq, row.id, row.time);
    if same {
        Ok(())
    } else {
        Err("it says that it is another record".to_owned())
    }
}

fn broken(error: &StoreError) -> BrokenEntry {
    match error {
        StoreError::Corrupt {
            seq, entry, what, ..
        } => BrokenEntry {
            seq: seq.unwrap_or_default(),
            entry_id: entry.map_or_else(|| "unreadable".to_owned(), |id| id.to_string()),
            what: what.clone(),
        },
        other => BrokenEntry {
            what: other.to_string(),
            ..BrokenEntry::default()
        },
    }
}

fn store_failure(error: &StoreError, dir: &Path) -> Failure {
    let failure = Failure::local(error.code(), format!("`{}`: {error}", dir.display()));
    match error.detail() {
        Some(detail) => failure.hint(detail),
        None => failure,
    }
}
