//! One process per data directory.

use super::fault;
use crate::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// The data directory's lock, held until dropped; the operating system frees it when the process dies.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock or says who has it.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        // The file is kept when the lock is given back: removing it would let two processes hold locks
        // on two files of the same name.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| fault::file("cannot be opened", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file
                    .take(32)
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse::<u32>().ok());
                return Err(StoreError::Locked {
                    dir: dir.to_owned(),
                    hint: match holder {
                        Some(pid) => format!(
                            "process {pid} holds it; stop that one first, or choose another directory"
                        ),
                        None => "another process holds it; stop that one first, or choose another \
                                 directory"
                            .to_owned(),
                    },
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(fault::file("cannot be locked", &path, &error));
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| fault::file("cannot be written", &path, &error))?;
        Ok(Self { _file: file })
    }
}
