//! What would have been under other policies.

use crate::ApplyFile;
use serde::{Deserialize, Serialize};

/// The body of `POST …/simulate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulate {
    /// Documents; only policies may differ from what the workspace has.
    #[serde(default)]
    pub files: Vec<ApplyFile>,
    /// Policies that would not have been there, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// From when on, RFC 3339; 90 days ago when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What would have been.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    pub since: String,
    pub until: String,
    /// Names of the policies that are others.
    pub policies: Vec<String>,
    /// Entries of the log that were lived again.
    pub entries: u64,
    /// Promotions that were open at the beginning or were opened since.
    pub promotions: usize,
    pub unchanged: usize,
    pub stopped: usize,
    pub delayed: usize,
    pub earlier: usize,
    pub let_through: usize,
    pub otherwise: usize,
    /// Of those that would have been stopped or delayed, how many failed or were rolled back as it was.
    pub held_and_bad: usize,
    /// The differences in the order in which the promotions were opened; the first of them, where there are many.
    pub differences: Vec<SimulatedPromotion>,
    /// How many more there are.
    pub differences_left_out: usize,
    pub assumptions: SimulationAssumptions,
}

/// A promotion that would have gone otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedPromotion {
    pub deployment: String,
    pub environment: String,
    pub version: String,
    /// The n-th promotion of the version into the environment, from 1.
    pub attempt: u32,
    /// `stopped`, `delayed`, `earlier`, `letThrough` or `otherwise`.
    pub effect: String,
    /// By how much it would have started later or earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The gate that would have held it last: `policy: rule: why`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub held_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<SimulatedFate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedFate>,
}

/// How a promotion went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFate {
    /// The promotion's id; only of one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    pub status: String,
    /// Also after its end.
    pub rolled_back: bool,
}

/// What had to be assumed where the log does not say what would have been.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulationAssumptions {
    /// Jobs at another time than recorded, that went as they went then.
    pub jobs_moved: u64,
    /// Jobs more than recorded of a version on a target, that went as the last recorded one.
    pub jobs_repeated: u64,
    /// Jobs of which nothing is recorded, that went well and took as long as jobs there usually do.
    pub jobs_assumed: u64,
    /// Measurements of which nothing is recorded, that passed.
    pub measurements_assumed: u64,
    /// What people did that could not have been done.
    pub acts_dropped: u64,
    /// Recorded changes of the changed policies, which were left out.
    pub policy_changes_left_out: u64,
    /// Entries that come out otherwise even under the policies as they were.
    pub entries_unlike: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlike_from: Option<u64>,
    /// Promotions that differ even under the policies as they were; they are not among the differences.
    pub promotions_unexplained: usize,
}
