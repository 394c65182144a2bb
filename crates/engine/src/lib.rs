//! The decision core: a fold over a workspace's log, the commands that add to it, and the decisions that follow.
//!
//! Architecture Invariant: nothing here knows a clock, randomness, tasks, a network or a database. What time it
//! is and which id an entry has come in with each call; the same calls give the same facts on every machine.

mod asks;
mod assembly;
mod catalog;
mod concerns;
mod consequences;
mod engine;
mod explain;
mod expressions;
mod forecast;
mod handle;
mod limits;
pub mod lint;
mod neighbours;
mod past;
mod preview;
pub mod relive;
mod resource_index;
mod rollouts;
pub mod rules;
mod settle;
mod state;
mod touched;

pub use asks::Ask;
pub use assembly::Assembly;
pub use catalog::{
    NAME_CHARS_MAX, NOTIFIERS_MAX, RELATIONSHIP_RULES_MAX, RULES_MAX, VARIABLE_BYTES_MAX,
    VARIABLES_MAX,
};
pub use concerns::{concerns, concerns_place};
pub use consequences::{Consequences, Ending, GateTurn, Starting};
pub use engine::{Context, Engine, SETTLE_TARGETS_MAX};
pub use explain::{
    Chain, Explanation, Gate, Link, Need, NeedKind, Shown, Tally, TargetStanding, TargetState,
};
pub use expressions::secret_mark;
pub use forecast::{
    Assumption, Expected, Forecast, Given, HORIZON_DAYS, History, Outcome, STEPS_MAX, Source,
    Subject,
};
pub use past::{Beginning, Past, PastGate, PastJob, PastTurn, PastVote, Stamp};
pub use preview::Undone;
pub use rollouts::RolloutReport;
pub use rules::approval::visit_approvers;
pub use rules::verification::{MetricOutcome, metric_outcome, next_due};
pub use rules::{Action, REGISTRY, Reason, RuleKind, Verdict, documentation};
pub use settle::Resolution;
pub use state::{
    Archived, Brief, Cancel, Clock, Good, Head, Held, Job, Key, Lane, LaneKey, Lost, Measurement,
    MetricRun, Misfit, Ordered, PackedResource, Part, PartOf, Promotion, Release, Retry, Rollout,
    SNAPSHOT_SCHEMA, SortedMap, Standstill, State, Success, Target, TargetView, Targets, Track,
    VariableBook, Verification, Verified, VoteRecord, WorkspaceInfo,
};
pub use touched::{Touched, touched};
