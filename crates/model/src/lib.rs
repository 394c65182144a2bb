//! The words of Stagegate: ids, entities, commands, facts and their lifecycles. No behaviour beyond
//! serialisation; everything else depends on this crate and it depends on nothing of ours.

mod command;
mod entities;
mod entry;
mod fact;
mod ids;
mod limits;
mod packed;
mod status;
mod tagged;
mod time;
mod variables;

pub use command::*;
pub use entities::*;
pub use entry::*;
pub use fact::*;
pub use ids::*;
pub use limits::*;
pub use packed::PackedJson;
pub use status::*;
pub use time::Timestamp;
pub use variables::*;

/// Free-form JSON as users send it: configs, specs, measured data.
pub type Json = serde_json::Value;

/// String pairs on entities; ordered, so that they serialise the same everywhere.
pub type Metadata = std::collections::BTreeMap<String, String>;
