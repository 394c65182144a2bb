//! From what the engine holds to what goes over the wire.

mod configuration;
mod delivery;
mod notifier;
mod orders;
mod promotion;
mod time;
mod variables;

pub(crate) use configuration::*;
pub(crate) use delivery::*;
pub(crate) use notifier::*;
pub(crate) use orders::*;
pub(crate) use promotion::*;
pub(crate) use time::*;
pub(crate) use variables::*;

/// Absent on the wire where it is empty in the state.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn some_map(map: &stagegate_model::Metadata) -> Option<stagegate_api::Metadata> {
    (!map.is_empty()).then(|| map.clone())
}
