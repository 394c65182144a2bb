//! What is spoken over HTTP: the wire types of API v1, the error codes and, with the feature `client`, a
//! typed client.
//!
//! Ids and times are text here: ids as they stand in the log, times in RFC 3339. Statuses are text too, so
//! that an older client reads what a newer server answers. Nothing here decides anything.

mod apply;
mod approval;
pub mod codes;
mod deployment;
mod entry;
mod environment;
mod forecast;
mod gate;
mod group;
mod inbox;
mod job;
mod job_agent;
mod lint;
mod notifier;
mod null;
mod order;
mod paging;
mod past;
mod policy;
mod problem;
mod promotion;
mod release;
mod resource;
mod simulate;
mod status;
mod system;
mod target;
mod time;
mod user;
mod variable;
mod verification;
mod version;
mod why;
mod workspace;

#[cfg(feature = "client")]
pub mod client;

pub use apply::*;
pub use approval::*;
pub use deployment::*;
pub use entry::*;
pub use environment::*;
pub use forecast::*;
pub use gate::*;
pub use group::*;
pub use inbox::*;
pub use job::*;
pub use job_agent::*;
pub use lint::*;
pub use notifier::*;
pub use order::*;
pub use paging::*;
pub use past::*;
pub use policy::*;
pub use problem::*;
pub use promotion::*;
pub use release::*;
pub use resource::*;
pub use simulate::*;
pub use status::*;
pub use system::*;
pub use target::*;
pub use time::*;
pub use user::*;
pub use variable::*;
pub use verification::*;
pub use version::*;
pub use why::*;
pub use workspace::*;

/// Where the API lives under a server's URL.
pub const API_PREFIX: &str = "/api/v1";

/// The header that carries the key.
pub const KEY_HEADER: &str = "X-API-Key";

/// Free-form JSON: configs, specs, measured data.
pub type Json = serde_json::Value;

/// A JSON object.
pub type JsonMap = serde_json::Map<String, Json>;

/// Text pairs on entities.
pub type Metadata = std::collections::BTreeMap<String, String>;
