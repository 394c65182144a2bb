//! Gates: one rule as it stands for one version in one environment.

use crate::Json;
use serde::{Deserialize, Serialize};

/// One rule as it stands for one version in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    pub rule_id: String,
    pub policy_id: String,
    pub policy_name: String,
    /// The rule's kind: `anyApproval`, `environmentProgression`, …
    pub kind: String,
    pub allowed: bool,
    pub action_required: bool,
    /// `approval`, `wait` or `none`.
    pub action_type: String,
    /// Stable word for the reason; documented with the rule.
    pub code: String,
    /// The reason in one sentence.
    pub message: String,
    /// What would open the gate; empty when it is open.
    #[serde(default)]
    pub opens: String,
    /// Who can open it: names of users, roles or environments.
    #[serde(default)]
    pub who: Vec<String>,
    #[serde(default)]
    pub details: Json,
    /// Since when it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfied_at: Option<String>,
    /// Since when it stands as it does, for this reason; absent where that is not on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When time alone could next change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_evaluation_time: Option<String>,
    /// Passed before the first job started here; it does not close again.
    #[serde(default)]
    pub latched: bool,
}
