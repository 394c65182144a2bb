//! Scenario tests: YAML files that say what happens to a workspace and what must hold then, run over the pure engine
//! with a clock that is set, thousands a second, without a server. [`run_paths`] is what `stagegate test` calls.
//!
//! The format is described in `docs/scenarios.md`; [`schema`] is its JSON Schema.

mod check;
mod format;
mod reader;
mod report;
mod run;
mod suite;
mod why;
mod world;
mod yaml;

pub use format::schema;
pub use report::{Failure, Outcome, Report, ScenarioResult};
pub use suite::{Options, Output, run_paths};
