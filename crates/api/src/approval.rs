//! Votes on a version in an environment.

use serde::{Deserialize, Serialize};

/// A person's vote; the latest one counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserApprovalRecord {
    pub user_id: String,
    /// The person's name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    pub version_id: String,
    pub environment_id: String,
    /// `approved`, `rejected` or `withdrawn`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: String,
}

/// The body of `PUT …/deployment-versions/{id}/user-approval-records`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CastVotes {
    /// Where the vote counts; all or none are recorded.
    pub environment_ids: Vec<String>,
    /// `approved`, `rejected` or `withdrawn`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
