//! What happened in a run, as lines; their hash tells whether two runs were the same.

use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fmt;

/// Lines kept for showing.
const LINES_KEPT: usize = 120;

/// The lines of a run, the last of them kept, all of them hashed.
pub struct Trace {
    lines: VecDeque<String>,
    hash: Sha256,
    loud: bool,
}

impl Trace {
    /// An empty trace; a `loud` one is also printed as it grows.
    #[must_use]
    pub fn new(loud: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            hash: Sha256::new(),
            loud,
        }
    }

    /// Adds a line with the time, in milliseconds since the beginning.
    pub fn line(&mut self, millis: i64, what: fmt::Arguments<'_>) {
        let line = format!("{:>10}.{:03} {what}", millis / 1000, millis % 1000);
        if self.loud {
            println!("{line}");
        }
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    /// The hash of all lines.
    #[must_use]
    pub fn hash(&self) -> String {
        let hash = self.hash.clone().finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
