//! A state as the body of a snapshot.

use stagegate_engine::State;
use stagegate_store::{SnapshotHead, Store, StoreError};
use std::io::{self, BufWriter, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};

/// Bodies up to this size are read whole before they are decoded; of larger ones a part is decoded while the next is
/// read, unpacked and hashed.
const READ_WHOLE_BYTES_MAX: u64 = 1024 * 1024;
/// Parts that are read and wait to be decoded.
const PARTS_AHEAD: usize = 4;

/// Writes a snapshot; gives the size of its body in bytes.
pub(crate) fn write(
    store: &dyn Store,
    head: &SnapshotHead,
    state: &State,
) -> Result<u64, StoreError> {
    store.write_snapshot(head, &mut |out| {
        // What is encoded comes in pieces of a few bytes.
        let mut out = BufWriter::with_capacity(64 * 1024, out);
        rmp_serde::encode::write_named(&mut out, state).map_err(io::Error::other)?;
        io::Write::flush(&mut out)
    })
}

/// The state in a snapshot; `None` when it is damaged in any way.
pub(crate) fn read(
    store: &dyn Store,
    head: &SnapshotHead,
    bytes: u64,
) -> Result<Option<State>, StoreError> {
    let (state, is_whole) = if bytes <= READ_WHOLE_BYTES_MAX {
        let mut body = Vec::new();
        let is_whole = store.read_snapshot(head, &mut |part| {
            body.extend_from_slice(&part);
            ControlFlow::Continue(())
        });
        (rmp_serde::from_slice(&body).ok(), is_whole)
    } else {
        std::thread::scope(|scope| {
            let (put, parts) = sync_channel(PARTS_AHEAD);
            let reader = scope.spawn(move || {
                store.read_snapshot(head, &mut |part| match put.send(part) {
                    Ok(()) => ControlFlow::Continue(()),
                    // What is left is not part of a state.
                    Err(_) => ControlFlow::Break(()),
                })
            });
            let state = rmp_serde::from_read(Parts::of(parts)).ok();
            let is_whole = reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (state, is_whole)
        })
    };
    let is_whole = is_whole?;
    Ok(state.filter(|_| is_whole))
}

/// What is sent in parts, read one after the other.
struct Parts {
    parts: Receiver<Vec<u8>>,
    part: Vec<u8>,
    /// How much of the part was read.
    at: usize,
}

impl Parts {
    fn of(parts: Receiver<Vec<u8>>) -> Self {
        Self {
            parts,
            part: Vec::new(),
            at: 0,
        }
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            match self.parts.recv() {
                Ok(part) => (self.part, self.at) = (part, 0),
                Err(_) => return Ok(0),
            }
        }
        let rest = self.part.get(self.at..).unwrap_or_default();
        let read = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..read), rest.get(..read)) {
            into.copy_from_slice(rest);
        }
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_one() {
        let (put, parts) = sync_channel(8);
        for part in [&b"one"[..], b"", b" and another", b"."] {
            put.send(part.to_vec()).unwrap();
        }
        drop(put);
        let mut parts = Parts::of(parts);
        let mut first = [0; 5];
        parts.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"one a");
        let mut rest = String::new();
        parts.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "nd another.");
    }
}
