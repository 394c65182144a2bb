//! Redeploying what is there when its configuration comes out differently, for deployments that ask for it.

use super::Turn;
use super::applicable::LaneView;
use super::jobs::RenderSubject;
use crate::state::{LaneKey, fingerprint};
use stagegate_model::{
    Fact, Order, OrderCause, ReleaseStatus, ResourceId, StartKind, Variables, same_values,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is said when its variables are the same, or are not known.
const CHANGED: &str = "its configuration has changed";

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
        let mut templates = BTreeMap::new();
        let mut orders: Vec<(ResourceId, Order)> = Vec::new();
        for (resource, target) in &lane.targets {
            // What runs or failed is not what the target has; an order that stands comes out right by itself.
            if target.leaving() || target.active().is_some() || lane.orders.contains_key(resource) {
                continue;
            }
            let release = state.latest(target);
            let Some(release) = release.filter(|it| target.current() == Some(it.id)) else {
                continue;
            };
            let Some(version) = state.versions.get(&release.version) else {
                continue;
            };
            if release.status != ReleaseStatus::Succeeded {
                continue;
            }
            // What cannot be resolved or rendered cannot be deployed either; it stays as it is.
            let Ok(variables) = view.resolve_variables(*resource) else {
                continue;
            };
            let subject = RenderSubject {
                version,
                resource: *resource,
                promotion: release.promotion,
                release: release.id,
                number: release.number,
                variables: &variables,
            };
            let template = templates
                .entry(version.id)
                .or_insert_with(|| view.config_template(&agent, version));
            let Ok(config) = view.render_config(template, &subject) else {
                continue;
            };
            let had = state.releases.get(&release.id);
            let had = had.and_then(|it| Some((it, state.jobs.get(&it.job)?)));
            let reason = match had {
                Some((had, _)) if !same_values(&variables, &had.variables) => {
                    Some(changed_keys(&had.variables, &variables))
                }
                Some((_, job)) => (config != job.config).then(|| CHANGED.to_owned()),
                // It had left memory when the deployment began to ask for redeploys.
                None => release
                    .fingerprint
                    .filter(|known| *known != fingerprint(&variables, config.text()))
                    .map(|_| CHANGED.to_owned()),
            };
            if let Some(reason) = reason {
                let order = Order {
                    kind: StartKind::Redeploy,
                    version: version.id,
                    to: None,
                    of: None,
                    cause: OrderCause::ConfigurationChanged,
                    reason,
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

/// Which variables came out otherwise; their values are told nowhere but with the release.
fn changed_keys(before: &Variables, after: &Variables) -> String {
    const SHOWN_MAX: usize = 5;
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |of: &Variables, key: &str| of.get(key).map(|it| it.value.clone());
    let changed = keys.into_iter();
    let changed: Vec<String> = changed
        .filter(|key| value(before, key) != value(after, key))
        .map(|key| format!("`{key}`"))
        .collect();
    match changed.as_slice() {
        [one] => format!("its variable {one} has changed"),
        several if several.len() <= SHOWN_MAX => {
            format!("its variables {} have changed", several.join(", "))
        }
        several => format!("{} of its variables have changed", several.len()),
    }
}
