//! What orders would do, before anyone gives them. Nothing is written.

use crate::engine::Engine;
use crate::handle::orders;
use crate::settle::undo;
use crate::state::LaneKey;
use stagegate_model::{Order, OrderCause, Rejection, RollbackTarget, TargetKey, VersionId};

/// A target that a rejection of its version concerns, and the order that would undo the version there; `None` where
/// there is nothing good to go back to.
pub type Undone = (TargetKey, Option<Order>);

impl Engine {
    /// What a rollback that a person asks for would do to one target.
    ///
    /// # Errors
    /// Why it cannot be rolled back.
    pub fn preview_rollback(&self, target: &RollbackTarget) -> Result<Order, Rejection> {
        let order = orders::manual_rollback(&self.state, target, "", None)?;
        orders::stands_already(&self.state, target.target, &order)?;
        Ok(order)
    }

    /// What a redeploy that a person asks for would do to one target.
    ///
    /// # Errors
    /// Why it cannot be deployed to again.
    pub fn preview_redeploy(&self, target: TargetKey) -> Result<Order, Rejection> {
        let order = orders::manual_redeploy(&self.state, target, "", None)?;
        orders::stands_already(&self.state, target, &order)?;
        Ok(order)
    }

    /// What breaking the glass with a version would do to one target.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn preview_break_glass(
        &self,
        version: VersionId,
        target: TargetKey,
    ) -> Result<Order, Rejection> {
        let order = orders::manual_break_glass(&self.state, version, target, "", None)?;
        orders::stands_already(&self.state, target, &order)?;
        Ok(order)
    }

    /// Which targets rejecting a version would roll back, and to what.
    #[must_use]
    pub fn preview_rejection(&self, version: VersionId) -> Vec<Undone> {
        let state = &self.state;
        let Some(deployment) = state.versions.get(&version).map(|it| it.deployment) else {
            return Vec::new();
        };
        let mut concerned = Vec::new();
        for (key, lane) in &state.lanes {
            let key: LaneKey = *key;
            if key.deployment != deployment {
                continue;
            }
            for (resource, target) in &lane.targets {
                let cause = OrderCause::VersionRejected;
                let order = undo(state, key, *resource, target, version, cause, "");
                if order.is_some() || (target.deployed() == Some(version) && !target.leaving()) {
                    concerned.push((key.target(*resource), order));
                }
            }
        }
        concerned
    }
}
