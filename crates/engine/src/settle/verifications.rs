//! Whether a running verification has come to its end.

use super::Turn;
use crate::rules::verification::verification_outcome;
use stagegate_model::{Fact, VerificationStatus};

impl Turn<'_> {
    /// Decides one verification in which something was measured. Gives whether there was one.
    pub(super) fn settle_verification(&mut self) -> bool {
        let Some(id) = self.engine.state.dirty.verifications.pop_first() else {
            return false;
        };
        let running = self
            .state()
            .verifications
            .get(&id)
            .filter(|it| it.status == VerificationStatus::Running);
        if let Some((status, reason)) = running.and_then(verification_outcome) {
            self.push(Fact::VerificationEnded {
                id,
                status,
                reason,
                decided_by: None,
            });
        }
        true
    }
}
