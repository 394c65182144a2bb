//! A state as the body of a snapshot: its parts, each behind its length in bytes (four, the least first).

use stagegate_engine::{Assembly, Engine, Part, State};
use stagegate_store::{SnapshotHead, Store, StoreError};
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::channel;

/// Bodies up to this size are read and put together one after the other; of larger ones a part is put in its place while
/// the next is read, checked and decoded.
const ONE_BY_ONE_BYTES_MAX: u64 = 1024 * 1024;

/// Writes a snapshot; gives the size of its body in bytes.
pub(crate) fn write(
    store: &dyn Store,
    head: &SnapshotHead,
    state: &State,
) -> Result<u64, StoreError> {
    store.write_snapshot(head, &mut |out| {
        let mut bytes = Vec::new();
        for part in state.parts() {
            bytes.clear();
            rmp_serde::encode::write_named(&mut bytes, &part).map_err(io::Error::other)?;
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(&bytes)?;
        }
        Ok(())
    })
}

/// The engine over the state in a snapshot; `None` when it is damaged in any way.
pub(crate) fn read(
    store: &dyn Store,
    head: &SnapshotHead,
    bytes: u64,
) -> Result<Option<Engine>, StoreError> {
    let mut assembly = Assembly::default();
    let mut fits = true;
    let is_whole = if bytes <= ONE_BY_ONE_BYTES_MAX {
        parts(store, head, &mut |part| {
            fits = assembly.add(part).is_ok();
            fits
        })?
    } else {
        std::thread::scope(|scope| {
            // Without a bound: a part that waits takes the memory that it takes in its place.
            let (put, decoded) = channel();
            let reader =
                scope.spawn(move || parts(store, head, &mut |part| put.send(part).is_ok()));
            for part in decoded {
                fits = assembly.add(part).is_ok();
                if !fits {
                    break;
                }
            }
            reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?
    };
    Ok((is_whole && fits).then(|| assembly.finish()))
}

/// Reads a snapshot and gives its parts to `take` until that wants no more; whether all were given and nothing is wrong.
fn parts(
    store: &dyn Store,
    head: &SnapshotHead,
    take: &mut dyn FnMut(Part) -> bool,
) -> Result<bool, StoreError> {
    let mut unread = Vec::new();
    let is_whole = store.read_snapshot(head, &mut |bytes| {
        unread.extend_from_slice(&bytes);
        let mut rest = unread.as_slice();
        while let Some((part, behind)) = first(rest) {
            if !rmp_serde::from_slice(part).is_ok_and(&mut *take) {
                return ControlFlow::Break(());
            }
            rest = behind;
        }
        let read = unread.len() - rest.len();
        unread.drain(..read);
        ControlFlow::Continue(())
    })?;
    Ok(is_whole && unread.is_empty())
}

/// The first part of what was read, and what is behind it; `None` when it is not read whole yet.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, behind) = bytes.split_first_chunk()?;
    behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_once_it_is_whole() {
        let bytes = [3, 0, 0, 0, b'o', b'n', b'e', 0, 0, 0, 0, 9];
        for cut in 0..7 {
            assert_eq!(first(&bytes[..cut]), None);
        }
        let (one, rest) = first(&bytes).unwrap();
        assert_eq!(one, b"one");
        let (empty, rest) = first(rest).unwrap();
        assert_eq!((empty, rest), (&b""[..], &[9][..]));
        assert_eq!(first(rest), None);
        assert_eq!(first(&[255; 8]), None);
    }
}
