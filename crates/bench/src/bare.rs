//! What the machine can do at most for row d: the smallest handler that takes a request, and one thread that writes
//! what queued during the last flush in one commit.

use crate::connection::Connection;
use crate::ingest::Sent;
use crate::limits;
use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Bodies in one commit, at most.
const COMMIT_MAX: usize = 512;

struct Write {
    /// Read, so that taking it in is part of the work.
    received: Bytes,
    done: oneshot::Sender<()>,
}

/// From so many connections for so long; each request of `request_bytes` makes an entry of `entry_bytes` durable.
pub fn run(
    connections: usize,
    spent: Duration,
    entry_bytes: usize,
    request_bytes: usize,
) -> Result<Sent> {
    let folder = tempfile::tempdir()?;
    let database = limits::database(folder.path())?;
    let (queue, inbox) = sync_channel(4096);
    let writer = std::thread::spawn(move || write(database, &inbox, entry_bytes));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let address = runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/", post(take)).with_state(queue);
        tokio::spawn(async move { axum::serve(listener, router).await });
        anyhow::Ok(address)
    })?;
    let sent = send(address, connections, spent, request_bytes)?;
    // Ends the handlers, and with the last of them the queue.
    drop(runtime);
    let written = writer.join().ok().context("the writer failed")??;
    ensure!(written > 0, "nothing was written");
    Ok(sent)
}

async fn take(State(queue): State<SyncSender<Write>>, received: Bytes) -> StatusCode {
    let (done, written) = oneshot::channel();
    if queue.try_send(Write { received, done }).is_err() || written.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::ACCEPTED
}

fn write(
    mut database: rusqlite::Connection,
    inbox: &Receiver<Write>,
    entry_bytes: usize,
) -> Result<usize> {
    let mut body = vec![b'x'; entry_bytes];
    let mut written = 0;
    while let Ok(first) = inbox.recv() {
        let mut batch = vec![first];
        batch.extend(inbox.try_iter().take(COMMIT_MAX - 1));
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO entry (body) VALUES (?1)")?;
            for write in &batch {
                let shared = write.received.len().min(body.len());
                body[..shared].copy_from_slice(&write.received[..shared]);
                insert.execute([&body])?;
            }
        }
        transaction.commit()?;
        written += batch.len();
        for write in batch {
            // Whoever asked may have gone away.
            let _ = write.done.send(());
        }
    }
    Ok(written)
}

fn send(address: SocketAddr, connections: usize, spent: Duration, bytes: usize) -> Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let body = "x".repeat(bytes);
    runtime.block_on(async {
        let began = Instant::now();
        let senders: Vec<_> = (0..connections)
            .map(|_| {
                let body = body.clone();
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let mut sent = Sent::default();
                    while began.elapsed() < spent {
                        let asked = Instant::now();
                        let answer = connection.send("POST", "/", "none", &body).await?;
                        ensure!(answer.status == 202, "refused with {}", answer.status);
                        sent.add(began, asked, bytes);
                    }
                    Ok(sent)
                })
            })
            .collect();
        let mut sent = Sent::default();
        for sender in senders {
            sent.join(sender.await??);
        }
        sent.elapsed = began.elapsed();
        Ok(sent)
    })
}
