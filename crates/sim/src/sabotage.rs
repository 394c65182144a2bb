//! Where a test breaks Stagegate on purpose, to prove that the auditor notices.

use stagegate_engine::State;
use stagegate_model::{Command, Entry};

/// What was done to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Nothing.
    None,
    /// It was changed; the caller is told what was written.
    Changed,
    /// It was changed; the caller is told what was decided.
    Hidden,
}

/// Breaks something. The default breaks nothing.
pub trait Saboteur {
    /// Changes an entry between deciding and writing. The node then folds what was written.
    fn tamper(&mut self, _state: &State, _entry: &mut Entry) -> Tampering {
        Tampering::None
    }

    /// Whether entries have to be shown to it at all; reading each of them costs.
    fn tampers(&self) -> bool {
        true
    }

    /// Changes a command on its way in.
    fn command(&mut self, _state: &State, _command: &mut Command) {}

    /// Whether this wake-up is lost.
    fn loses_wake(&mut self) -> bool {
        false
    }
}

/// Breaks nothing.
pub struct Nobody;

impl Saboteur for Nobody {
    fn tampers(&self) -> bool {
        false
    }
}
