//! What waits for a person.

use crate::{DeploymentRef, EnvironmentRef, Member, Metadata, TargetCounts, VersionRef};
use serde::{Deserialize, Serialize};

/// What waits for the owner of the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inbox {
    pub user: Member,
    /// One for each promotion: those that nothing else holds first, then the longest waiting.
    pub approvals: Vec<InboxApproval>,
    /// Verifications that measurements could not decide; the oldest first.
    pub verifications: Vec<InboxVerification>,
}

/// A promotion whose open stage the person may approve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxApproval {
    pub promotion_id: String,
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    pub version_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version_message: String,
    pub version_metadata: Metadata,
    pub version_created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_created_by: Option<String>,
    pub policy_name: String,
    pub rule_id: String,
    /// `approval` or `anyApproval`.
    pub kind: String,
    /// The stage that is open; absent for a rule without stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Since when it is asked.
    pub since: String,
    /// How it stands, in a sentence.
    pub message: String,
    /// How many approvals are missing in the stage.
    pub missing: u64,
    /// When others are asked too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates_at: Option<String>,
    /// When the promotion expires unless it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// How other rules stand that ask the person too; one vote answers all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_asked_by: Vec<String>,
    /// What else stops it; empty when only approvals are missing.
    pub also_waits_for: Vec<String>,
    /// How the version fared elsewhere.
    pub upstream: Vec<InboxUpstream>,
    pub votes: Vec<InboxVote>,
}

/// How the version fared in another environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxUpstream {
    pub environment: EnvironmentRef,
    pub promotion_id: String,
    /// The promotion's status.
    pub status: String,
    /// When it ended, or else when it began.
    pub at: String,
    pub targets: TargetCounts,
    /// Targets on which its verification passed.
    pub verified: usize,
    /// Targets on which its verification failed.
    pub verification_failed: usize,
    /// The results of its latest verifications that are still at hand: `errors: passed`.
    pub results: Vec<String>,
}

/// A vote on the version in the environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxVote {
    pub user_id: String,
    pub user_name: String,
    /// `approved`, `rejected` or `withdrawn`.
    pub status: String,
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version's metadata is another since.
    pub changed_since: bool,
    /// It was given for other content and does not count.
    pub void: bool,
}

/// A verification that waits for a person's decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxVerification {
    pub id: String,
    pub promotion_id: String,
    pub deployment: DeploymentRef,
    pub environment: EnvironmentRef,
    pub version: VersionRef,
    /// The resource's name.
    pub resource: String,
    /// `inconclusive` or `error`.
    pub status: String,
    pub since: String,
    pub reason: String,
}
