//! When a version will be where.

use crate::{DeploymentRef, EnvironmentRef, VersionRef};
use serde::{Deserialize, Serialize};

/// When a version will be where, if approvals and jobs take their usual time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub deployment: DeploymentRef,
    pub version: VersionRef,
    /// The moment it looks from.
    pub from: String,
    /// The moment up to which it looks.
    pub until: String,
    /// What is waited for stands before what waits for it.
    pub environments: Vec<ForecastEnvironment>,
    /// Every length of time that was needed, known or not.
    pub assumptions: Vec<ForecastAssumption>,
    /// What is presumed beside that, in words.
    pub presumed: Vec<String>,
}

/// When a version will be in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastEnvironment {
    pub environment: EnvironmentRef,
    /// `there`: on all targets already; `expected`: it will be; `unknown`: it waits for something of which nothing is
    /// known how long it takes; `beyond`: it is still on its way when the forecast ends; `never`: someone has to do
    /// something first.
    pub outcome: String,
    /// How many targets there are, and how many have the version at the end of the forecast.
    pub targets: usize,
    pub reached: usize,
    /// When the first target has it; the moment the forecast looks from, where one has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// When all targets have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<String>,
    /// Why it does not get everywhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// How long something is assumed to take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastAssumption {
    /// `approval`: from when it is asked for until it is given; `job`: from when it is created until it succeeds.
    pub kind: String,
    /// Of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentRef>,
    pub environment: EnvironmentRef,
    /// Absent where nothing is known; then nothing is assumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How many it is the median of.
    pub samples: usize,
    /// `environment`, `workspace`, `given` or `none`.
    pub source: String,
}

/// The query of `GET …/forecast`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastQuery {
    /// A deployment's slug or id.
    pub deployment: String,
    /// A version's tag or id; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many seconds an approval takes, in place of what the past says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_seconds: Option<u64>,
    /// How many seconds a job takes, in place of what the past says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_seconds: Option<u64>,
}
