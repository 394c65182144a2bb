//! Accepting connections, up to a number. One more is told to come again and closed, at once.

use crate::answer::RETRY_AFTER_SECONDS;
use stagegate_api::{PROBLEM_MEDIA_TYPE, Problem};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that are being told to come again; beyond these they are closed without a word.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// How long one that is told so may take to hear it.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Connections that are open at once, where the operating system allows as many.
const CONNECTIONS_MAX: usize = 4096;
/// File descriptors that are left for databases and what else the process opens.
const DESCRIPTORS_KEPT: usize = 256;

/// How many connections to let in: no more than there are file descriptors for.
pub(crate) fn connections_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let descriptors = descriptors(&limits).unwrap_or(usize::MAX);
    let for_connections = descriptors
        .saturating_sub(DESCRIPTORS_KEPT)
        .max(descriptors / 2);
    CONNECTIONS_MAX.min(for_connections)
}

/// How many files the process may open, as `/proc/self/limits` says it; `None` for as many as it likes.
fn descriptors(limits: &str) -> Option<usize> {
    let rest = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A listener that lets so many connections in.
pub(crate) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

/// A connection that holds its place.
pub(crate) struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Bounded {
    pub fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections_max)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
        }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Placed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Waits a moment where the process has no file descriptors left.
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                // Answers are small and whole: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                let placed = Placed {
                    stream,
                    _place: place,
                };
                return (placed, address);
            }
            if let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned() {
                tokio::spawn(async move {
                    let _place = place;
                    let _ = tokio::time::timeout(TOLD_WITHIN, turn_away(stream)).await;
                });
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Says that there is no place, and reads on until the other side has closed: closing on unread data would take the
/// answer from it.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    let problem = Problem::new(
        "overloaded",
        "too many connections are open; try again in a moment",
    );
    let body = serde_json::to_string(&problem)?;
    let answer = format!(
        "HTTP/1.1 {} Service Unavailable\r\nContent-Type: {PROBLEM_MEDIA_TYPE}\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        problem.status,
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

impl AsyncRead for Placed {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_found() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax processes             95840                95840                processes\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptors(limits), Some(1024));
        assert_eq!(
            descriptors("Max open files  unlimited  unlimited  files"),
            None
        );
        assert_eq!(descriptors(""), None);
        assert!((1..=CONNECTIONS_MAX).contains(&connections_max()));
    }
}
