//! Being told to stop.

use anyhow::{Context as _, Result};
use std::future::Future;

/// As [`signals`]; with `until_stdin_closes` also once standard input closes, so that what was started by another
/// process ends with it, however that one ends.
///
/// # Errors
/// When signals cannot be received.
pub fn told(until_stdin_closes: bool) -> Result<impl Future<Output = ()> + Send + 'static> {
    let signals = signals()?;
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    if until_stdin_closes {
        // A thread of its own: a blocked read must not hold up the end of the runtime.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = close.send(());
        });
    } else {
        drop(close);
    }
    Ok(async move {
        let closed = async {
            if closed.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = signals => {}
            () = closed => {}
        }
    })
}

/// Ready once the process is told to stop (SIGTERM or SIGINT). From then on a second one ends it at once.
///
/// # Errors
/// When signals cannot be received.
#[cfg(unix)]
pub fn signals() -> Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // What a shell reports of a process that a signal ended.
            std::process::exit(130);
        });
    })
}

/// Ready once the process is told to stop (Ctrl-C).
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn signals() -> Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without a signal there is nothing to wait for but the process's end.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
