//! The least that this machine takes: the smallest programs that do only what nobody can leave out.

use anyhow::Result;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};

/// A table of bodies in a new database with Stagegate's durability.
pub fn database(folder: &std::path::Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("limit.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    Ok(connection)
}

/// Writing these bodies, one commit each: serialised anew, hashed, inserted, flushed.
pub fn write(bodies: &[Vec<u8>]) -> Result<Duration> {
    let parsed: Vec<serde_json::Value> = bodies
        .iter()
        .map(|body| serde_json::from_slice(body))
        .collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir()?;
    let mut connection = database(folder.path())?;
    let started = Instant::now();
    let mut hash = Sha256::new();
    for value in &parsed {
        let body = serde_json::to_vec(value)?;
        hash.update(&body);
        let transaction = connection.transaction()?;
        transaction.execute("INSERT INTO entry (body) VALUES (?1)", [&body])?;
        transaction.commit()?;
    }
    let spent = started.elapsed();
    std::hint::black_box(hash.finalize());
    Ok(spent)
}

/// The median of one commit of so many bytes.
pub fn commit(bytes: usize, rounds: usize) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let mut connection = database(folder.path())?;
    let body = vec![b'x'; bytes];
    let mut spent = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let transaction = connection.transaction()?;
        transaction.execute("INSERT INTO entry (body) VALUES (?1)", [&body])?;
        transaction.commit()?;
        spent.push(started.elapsed());
    }
    Ok(crate::figure::quantile(&mut spent, 0.5))
}

/// Writing one byte of each page of so much memory that the program did not have before.
pub fn touch(bytes: u64) -> Duration {
    const PAGE_BYTES: usize = 4096;
    let mut memory = vec![0_u8; usize::try_from(bytes).unwrap_or(0)];
    let started = Instant::now();
    for page in memory.chunks_mut(PAGE_BYTES) {
        if let Some(byte) = page.first_mut() {
            *byte = 1;
        }
    }
    std::hint::black_box(&memory);
    started.elapsed()
}

/// Going once through so many numbers that stand beside each other, as a test of one dense column.
pub fn scan(numbers: usize) -> Duration {
    let column: Vec<u32> = (0..numbers).map(|index| (index % 97) as u32).collect();
    let started = Instant::now();
    let found = std::hint::black_box(&column)
        .iter()
        .filter(|it| **it == 13)
        .count();
    std::hint::black_box(found);
    started.elapsed()
}
