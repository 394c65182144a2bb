//! Measures durable appends: `cargo run --release -p stagegate-store --example append_speed [DIR]`.
//!
//! The figures depend on the disk of DIR (default: a temporary directory).

use stagegate_model::{EntryId, Timestamp, WorkspaceId};
use stagegate_store::{
    Append, ArchiveRecord, EntityRef, Row, SqliteStore, Store, StoreError, verify_chain,
};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

fn main() -> Result<(), StoreError> {
    let scratch = tempfile::tempdir().ok();
    let dir = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .or_else(|| scratch.as_ref().map(|dir| dir.path().to_owned()))
        .unwrap_or_else(|| PathBuf::from("."));
    let store = SqliteStore::open(&dir.join("append_speed"))?;
    for (rows, what) in [(1, "bare"), (10, "bare"), (100, "bare"), (1000, "bare")] {
        measure(&store, what, rows, &|_| {})?;
    }
    let touching = |append: &mut Append| {
        for kind in ["promotion", "version", "environment", "actor"] {
            let id = Uuid::from_u64_pair(append.row.seq / 50, 1);
            append.touches.push(EntityRef::new(kind, id));
        }
    };
    measure(&store, "touching four entities", 1, &touching)?;
    measure(&store, "touching four entities", 1000, &touching)?;
    let archiving = |append: &mut Append| {
        for job in 0..1000 {
            append.archive.push(ArchiveRecord {
                kind: "job".into(),
                id: Uuid::from_u64_pair(append.row.seq, job),
                target: Some(format!("deployment/environment/resource-{job}")),
                number: Some(append.row.seq),
                parent: Some(Uuid::from_u64_pair(7, append.row.seq)),
                seq: append.row.seq,
                body: vec![b'j'; 400],
            });
        }
    };
    measure(&store, "archiving 1000 jobs", 1, &archiving)?;

    let start = Instant::now();
    let report = verify_chain(&store, WORKSPACE, None, |_| Ok(()))?;
    println!(
        "verify: {:.0} entries/s",
        report.entries as f64 / start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn measure(
    store: &SqliteStore,
    what: &str,
    rows: u64,
    enrich: &dyn Fn(&mut Append),
) -> Result<(), StoreError> {
    let mut head = store.head(WORKSPACE)?;
    let mut commits = 0_u64;
    let mut busy = Duration::ZERO;
    while busy < Duration::from_secs(3) {
        let batch: Vec<Append> = (0..rows)
            .map(|_| {
                let id = head.map_or(1, |head| u128::from(head.seq) + 1);
                let row = Row::following(
                    head.as_ref(),
                    WORKSPACE,
                    EntryId(Uuid::from_u128(id)),
                    Timestamp(0),
                    vec![b'e'; 300],
                );
                head = Some(row.head());
                let mut append = Append::new(row, 0);
                enrich(&mut append);
                append
            })
            .collect();
        let start = Instant::now();
        store.append(&batch)?;
        busy += start.elapsed();
        commits += 1;
    }
    let per_second = commits as f64 / busy.as_secs_f64();
    println!(
        "{rows:>4} rows a commit, {what}: {per_second:.0} commits/s, {:.0} rows/s",
        per_second * rows as f64
    );
    Ok(())
}
