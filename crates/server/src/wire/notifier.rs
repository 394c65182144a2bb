//! Notifiers and how their deliveries go.

use super::some;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_model::Notifier;
use stagegate_store::{DeliveryFault, DeliveryRecord};

/// Without its status, which the store knows.
pub(crate) fn notifier(state: &State, notifier: &Notifier) -> api::Notifier {
    let environments = notifier.environments.iter();
    let mut environments: Vec<String> = environments
        .filter_map(|id| state.environments().get(id))
        .map(|it| it.name.clone())
        .collect();
    environments.sort();
    api::Notifier {
        id: notifier.id.to_string(),
        name: notifier.name.clone(),
        kind: notifier.kind.clone(),
        config: notifier.config.clone(),
        events: notifier.events.iter().cloned().collect(),
        environments,
        selector: some(&notifier.selector),
        metadata: notifier.metadata.clone(),
        created_at: notifier.created_at.to_string(),
        status: api::NotifierStatus::default(),
    }
}

pub(crate) fn notifier_status(pending: u64, record: Option<DeliveryRecord>) -> api::NotifierStatus {
    let Some(record) = record else {
        return api::NotifierStatus {
            pending,
            ..Default::default()
        };
    };
    api::NotifierStatus {
        pending,
        delivered: record.delivered,
        given_up: record.given_up,
        last_delivered_at: record.delivered_at.map(|at| at.to_string()),
        last_error: record.error.map(failure),
        last_given_up: record.last_given_up.map(failure),
    }
}

fn failure(fault: DeliveryFault) -> api::DeliveryFailure {
    api::DeliveryFailure {
        at: fault.at.to_string(),
        code: fault.code,
        message: fault.message,
        sequence: fault.seq,
    }
}
