//! What a workspace is made of.

use crate::{
    DeploymentId, EnvironmentId, FreezeId, GroupId, JobAgentId, JobLimitsSpec, Json, Metadata,
    NotifierId, PolicyId, ResourceId, RuleId, SkipId, SystemId, Timestamp, UserId, VersionId,
    VersionStatus,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A group of deployments and environments that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct System {
    pub id: SystemId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    pub slug: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// A named stage with a CEL selector over resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    pub id: EnvironmentId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// CEL over `resource`, `environment`; absent in the API means `false`.
    pub resource_selector: String,
    pub systems: BTreeSet<SystemId>,
    pub created_at: Timestamp,
}

/// A thing that is deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    pub id: DeploymentId,
    pub name: String,
    /// Unique in the workspace.
    pub slug: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// CEL over `resource`, `deployment`; absent in the API means `false`.
    pub resource_selector: String,
    /// CEL over `jobAgent`; exactly one agent must match when a job is created.
    pub job_agent_selector: String,
    /// Laid over the agent's own config; strings may hold `{{ }}` templates.
    pub job_agent_config: Json,
    /// Limits of its jobs; only the start deadline and the run timeout.
    #[serde(default, skip_serializing_if = "JobLimitsSpec::is_empty")]
    pub job_limits: JobLimitsSpec,
    /// Whether targets get their version again, through every gate, when what its configuration is made of changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redeploy_on_variable_change: bool,
    pub systems: BTreeSet<SystemId>,
    pub created_at: Timestamp,
}

/// A place something can run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub id: ResourceId,
    pub name: String,
    /// Unique in the workspace; what providers know it by.
    pub identifier: String,
    pub kind: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    pub config: Json,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// What carries out jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAgent {
    pub id: JobAgentId,
    /// Unique in the workspace.
    pub name: String,
    /// Which integration: `exec`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub config: Json,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Limits of its jobs.
    #[serde(default, skip_serializing_if = "JobLimitsSpec::is_empty")]
    pub job_limits: JobLimitsSpec,
}

/// Who is told what happened, and by which way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notifier {
    pub id: NotifierId,
    /// Unique in the workspace.
    pub name: String,
    /// Which integration: `webhook`, `slack`, `email`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Holds references to secrets, never a secret.
    pub config: Json,
    /// Words of [`crate::NotificationEvent`]; all of them when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub events: BTreeSet<String>,
    /// Only what happens in these; everywhere when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub environments: BTreeSet<EnvironmentId>,
    /// CEL over `deployment`, `environment` and `version`; everything when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Nothing that happened before is told.
    pub created_at: Timestamp,
}

/// A selector over targets and versions, and the rules that must pass there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub id: PolicyId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    pub enabled: bool,
    /// Orders display only; all matching policies apply.
    pub priority: i64,
    /// CEL over `environment deployment system resource version`.
    pub selector: String,
    /// Policies that do not apply where this one matches.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub replaces: BTreeSet<PolicyId>,
    pub rules: Vec<Rule>,
    pub created_at: Timestamp,
}

/// One rule of a policy. `spec` is whatever its `kind` says; only the engine's registry reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub id: RuleId,
    pub kind: String,
    pub spec: Json,
    pub created_at: Timestamp,
}

/// Persons who are named together, as approvers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub id: GroupId,
    /// Unique in the workspace, whatever the case of its letters.
    pub name: String,
    pub members: BTreeSet<UserId>,
}

/// One rule set aside, in a scope, until a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skip {
    pub id: SkipId,
    /// The rule, or a freeze by its id.
    pub rule: RuleId,
    /// Any version, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Any environment, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentId>,
    /// Any resource, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
}

/// A time in which nothing new starts on the targets that the selector takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    pub id: FreezeId,
    /// Unique among the freezes of the workspace, whatever the case of its letters.
    pub name: String,
    /// CEL over `environment deployment system resource version`.
    pub selector: String,
    pub reason: String,
    pub starts_at: Timestamp,
    /// Until a person ends it, when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Whether rollbacks start all the same.
    pub allow_rollback: bool,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
}

/// What a version needs on the resource of each target, by the deployment that is needed.
pub type Dependencies = BTreeMap<DeploymentId, VersionDependency>;

/// Which versions of another deployment will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionDependency {
    /// CEL over `version` and `deployment`.
    pub version_selector: String,
}

/// A build of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub id: VersionId,
    pub deployment: DeploymentId,
    /// Unique in the deployment.
    pub tag: String,
    pub name: String,
    pub config: Json,
    pub job_agent_config: Json,
    /// Limits of its jobs, fixed at creation; only the start deadline and the run timeout.
    #[serde(default, skip_serializing_if = "JobLimitsSpec::is_empty")]
    pub job_limits: JobLimitsSpec,
    /// What it needs on the resource of each target.
    #[serde(default, skip_serializing_if = "Dependencies::is_empty")]
    pub dependencies: Dependencies,
    pub status: VersionStatus,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Fixed at creation, never in the future; orders candidates.
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
    pub digest: Digest,
}

impl Version {
    /// The order of candidates: later is newer; the id breaks a tie.
    #[must_use]
    pub fn order(&self) -> VersionOrder {
        VersionOrder(self.created_at, self.id)
    }
}

/// Orders the versions of one deployment: later is newer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct VersionOrder(pub Timestamp, pub VersionId);

/// SHA-256 of a version's content (tag, config, job agent config, dependencies): what votes and successes are bound to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a version's content. Maps are hashed with sorted keys, so spelling does not matter.
    #[must_use]
    pub fn of(
        tag: &str,
        config: &Json,
        job_agent_config: &Json,
        dependencies: &Dependencies,
    ) -> Self {
        let mut content = serde_json::json!({
            "tag": tag, "config": config, "jobAgentConfig": job_agent_config,
        });
        // Versions without any have the digest they had before there were dependencies.
        if !dependencies.is_empty() {
            content["dependencies"] = serde_json::json!(dependencies);
        }
        Self(Sha256::digest(content.to_string().as_bytes()).into())
    }
}

impl Digest {
    /// The digest of what is said of a version.
    #[must_use]
    pub fn of_metadata(metadata: &Metadata) -> Self {
        let text = serde_json::json!(metadata).to_string();
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|value| u8::try_from(value).ok())
            })
            .collect();
        let digits = digits
            .filter(|digits| digits.len() == 64)
            .ok_or("not 64 hexadecimal digits")?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a release target is: a deployment in an environment on a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetKey {
    pub resource: ResourceId,
    pub environment: EnvironmentId,
    pub deployment: DeploymentId,
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.resource, self.environment, self.deployment
        )
    }
}

impl std::str::FromStr for TargetKey {
    type Err = &'static str;

    /// Parses `resourceId-environmentId-deploymentId`, as it stands in paths.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "a release target is `resourceId-environmentId-deploymentId`";
        let part = |from: usize, to: usize| text.get(from..to).ok_or(ERROR);
        if text.len() != 110 {
            return Err(ERROR);
        }
        Ok(Self {
            resource: part(0, 36)?.parse().map_err(|_| ERROR)?,
            environment: part(37, 73)?.parse().map_err(|_| ERROR)?,
            deployment: part(74, 110)?.parse().map_err(|_| ERROR)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_depends_on_content_only() {
        let none = Dependencies::new();
        let of = |tag, config| Digest::of(tag, &config, &Json::Null, &none);
        let a = of("v1", serde_json::json!({"a": 1, "b": 2}));
        let b = of("v1", serde_json::json!({"b": 2, "a": 1}));
        assert_eq!(a, b);
        assert_ne!(a, of("v2", serde_json::json!({"a": 1, "b": 2})));
        let needs = |selector: &str| {
            let version_selector = selector.to_owned();
            let needed = DeploymentId(uuid::Uuid::from_u128(1));
            let dependencies = [(needed, VersionDependency { version_selector })].into();
            let config = serde_json::json!({"a": 1, "b": 2});
            Digest::of("v1", &config, &Json::Null, &dependencies)
        };
        assert_ne!(a, needs("true"));
        assert_ne!(needs("true"), needs("false"));
        assert_eq!(a.to_string().parse::<Digest>().unwrap(), a);
        assert!("zz".parse::<Digest>().is_err());
    }

    #[test]
    fn target_keys_round_trip() {
        let id = uuid::Uuid::from_u128(7);
        let key = TargetKey {
            resource: id.into(),
            environment: id.into(),
            deployment: id.into(),
        };
        assert_eq!(key.to_string().parse::<TargetKey>(), Ok(key));
        assert!("nonsense".parse::<TargetKey>().is_err());
    }
}
