//! Redeploying what is there when its configuration comes out differently, for deployments that ask for it.

use super::Turn;
use super::applicable::LaneView;
use crate::state::LaneKey;
use stagegate_model::{Fact, Order, OrderCause, ReleaseStatus, ResourceId, StartKind};

impl Turn<'_> {
    /// Orders a redeploy of each target of which the job would now have another configuration.
    pub(super) fn order_redeploys(&mut self, key: LaneKey) {
        let Some(view) = LaneView::new(self.engine, key) else {
            return;
        };
        if !view.deployment.redeploy_on_variable_change {
            return;
        }
        let Ok(agent) = view.choose_agent() else {
            return;
        };
        let state = self.state();
        let Some(lane) = state.lane(key) else {
            return;
        };
        let mut orders: Vec<(ResourceId, Order)> = Vec::new();
        for (resource, target) in &lane.targets {
            // What runs or failed is not what the target has; an order that stands comes out right by itself.
            if target.leaving || target.active.is_some() || lane.orders.contains_key(resource) {
                continue;
            }
            let release = target
                .latest
                .filter(|latest| target.current == Some(*latest));
            let Some(release) = release.and_then(|id| state.releases.get(&id)) else {
                continue;
            };
            let (Some(job), Some(version)) = (
                state.jobs.get(&release.job),
                state.versions.get(&release.version),
            ) else {
                continue;
            };
            if release.status != ReleaseStatus::Succeeded {
                continue;
            }
            let config = view.render_config(
                &agent,
                version,
                *resource,
                release.promotion,
                release.id,
                release.number,
            );
            // What cannot be rendered cannot be deployed either; it stays as it is.
            if config.is_ok_and(|config| config != job.config) {
                let order = Order {
                    kind: StartKind::Redeploy,
                    version: version.id,
                    to: None,
                    of: None,
                    cause: OrderCause::ConfigurationChanged,
                    reason: "its configuration has changed".to_owned(),
                    by: None,
                };
                orders.push((*resource, order));
            }
        }
        for (resource, order) in orders {
            self.budget = self.budget.saturating_sub(1);
            let target = key.target(resource);
            self.push(Fact::TargetOrdered { target, order });
        }
    }
}
