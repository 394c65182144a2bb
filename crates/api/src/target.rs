//! Release targets: a deployment in an environment on a resource.

use crate::{Job, Release, Verification};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A deployment in an environment on a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTarget {
    pub resource_id: String,
    pub environment_id: String,
    pub deployment_id: String,
}

impl fmt::Display for ReleaseTarget {
    /// The target's key, as it stands in paths.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.resource_id, self.environment_id, self.deployment_id
        )
    }
}

/// What a target has and what it should have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTargetState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_release: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_release: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_job: Option<Job>,
}

/// A target and its state, as `POST …/release-targets/state` lists them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTargetWithState {
    pub release_target: ReleaseTarget,
    pub state: ReleaseTargetState,
}

/// `GET …/release-targets/{key}/state`: like [`ReleaseTargetState`], with the job's verifications.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTargetStateResponse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_release: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_release: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_job: Option<JobWithVerifications>,
}

/// A job and how it was verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobWithVerifications {
    pub job: Job,
    pub verifications: Vec<Verification>,
}

/// The body of `POST …/release-targets/state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTargetStateQuery {
    pub deployment_id: String,
    pub environment_id: String,
}
