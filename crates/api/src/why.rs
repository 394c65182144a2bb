//! Why a version is, or is not, in an environment.

use crate::{DeploymentRef, EnvironmentRef, Gate, VersionRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to "why is this not in production, and when will it be?".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    /// The promotion's id, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    /// The promotion's status, or the reason there is none.
    pub status: String,
    /// One sentence.
    pub summary: String,
    pub gates: Vec<Gate>,
    /// A page of its targets, by their resources' ids.
    pub targets: Vec<WhyTarget>,
    /// How many of all its targets stand how: the words of [`WhyTarget::state`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub target_counts: BTreeMap<String, usize>,
    /// Where the next page of targets begins: to be sent as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_target: Option<String>,
    /// When everything passes, where only time is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<String>,
    /// What it waits for, and what that waits for, down to what waits for nothing else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub story: String,
    /// Each thing that is missing, of those that the environment itself waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Need>,
}

/// One thing that is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// `environment`: another environment has to have the version first; `approval`; `time`: a moment has to come;
    /// `event`: something under way has to end, or a turn to come; `change`: someone has to change or decide something.
    pub kind: String,
    pub text: String,
    /// The environments of which one has to have the version first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentRef>,
    /// What would do, where the text does not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub opens: String,
    /// Who can do that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// When time alone gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Since when it is missing, where that is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
}

/// The answer to the same question for every environment of a version's deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyChain {
    pub deployment: DeploymentRef,
    pub version: VersionRef,
    /// From the last environment down to what is waited for in the end.
    pub summary: String,
    /// What is waited for stands before what waits for it.
    pub environments: Vec<Why>,
}

/// How one target stands towards the version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyTarget {
    /// The resource's name.
    pub resource: String,
    /// The tag it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The tag it was last given, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// `pending`, `running`, `verifying`, `retrying`, `succeeded`, `failed`, `held`, `newer` or `blocked`.
    pub state: String,
    /// What its latest release was, where not in the ordinary course: `redeploy`, `rollback` or `breakGlass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rules that are asked for each target, as they stand for this one while it may still get the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// What its latest release was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<crate::ResolvedVariable>,
}

/// The query of `GET …/why`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyQuery {
    /// A deployment's slug or id.
    pub deployment: String,
    /// An environment's name or id.
    pub environment: String,
    /// A version's tag or id; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A resource's identifier, name or id: only what is asked of this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// How many targets are told, 1 to 1000; 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A resource's id: only targets behind it are told, as [`Why::next_target`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The query of `GET …/why/chain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyChainQuery {
    /// A deployment's slug or id.
    pub deployment: String,
    /// A version's tag or id; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many targets of each environment are told, 1 to 1000; 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}
