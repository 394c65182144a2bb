//! Facts: what happened. State is a fold over them; a stored fact is never changed and must fold for ever.

use crate::{
    Deployment, DeploymentId, Digest, Environment, EnvironmentId, JobAgent, JobAgentId, JobId,
    JobStatus, Json, KeyId, MeasurementStatus, Metadata, Notifier, NotifierId, Policy, PolicyId,
    PromotionId, PromotionStatus, ReleaseId, ReleaseStatus, Resource, ResourceId, Role, RuleId,
    System, SystemId, TargetKey, Timestamp, UserId, VerificationId, VerificationStatus,
    VerificationTrigger, Version, VersionId, VersionStatus, Vote, WorkspaceId,
};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Fact {
    WorkspaceCreated {
        id: WorkspaceId,
        name: String,
        slug: String,
    },

    UserCreated {
        id: UserId,
        role: Role,
    },
    KeyCreated {
        id: KeyId,
        owner: UserId,
        role: Role,
    },
    KeyRevoked {
        id: KeyId,
    },

    SystemPut {
        system: System,
    },
    SystemDeleted {
        id: SystemId,
    },
    EnvironmentPut {
        environment: Environment,
    },
    EnvironmentDeleted {
        id: EnvironmentId,
    },
    DeploymentPut {
        deployment: Deployment,
    },
    DeploymentDeleted {
        id: DeploymentId,
    },
    ResourcePut {
        resource: Resource,
    },
    ResourceDeleted {
        id: ResourceId,
    },
    JobAgentPut {
        agent: JobAgent,
    },
    JobAgentDeleted {
        id: JobAgentId,
    },
    PolicyPut {
        policy: Policy,
    },
    PolicyDeleted {
        id: PolicyId,
    },
    NotifierPut {
        notifier: Notifier,
    },
    NotifierDeleted {
        id: NotifierId,
    },

    VersionCreated {
        version: Version,
    },
    VersionChanged {
        id: VersionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Json>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_agent_config: Option<Json>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<VersionStatus>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The whole of the metadata after the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Metadata>,
        digest: Digest,
    },
    VoteCast {
        version: VersionId,
        environment: EnvironmentId,
        user: UserId,
        vote: Vote,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// What exactly was voted on.
        digest: Digest,
    },

    /// The selectors of a deployment and an environment now both match these resources.
    TargetsJoined {
        deployment: DeploymentId,
        environment: EnvironmentId,
        resources: Vec<ResourceId>,
    },
    TargetsLeft {
        deployment: DeploymentId,
        environment: EnvironmentId,
        resources: Vec<ResourceId>,
    },

    PromotionOpened {
        id: PromotionId,
        version: VersionId,
        environment: EnvironmentId,
        attempt: u32,
        /// The promotion of the same version into the same environment before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<PromotionId>,
    },
    /// How a rule stands for a promotion changed in kind (not merely in its counts).
    GateChanged {
        promotion: PromotionId,
        gate: GateRecord,
    },
    PromotionMoved {
        id: PromotionId,
        status: PromotionStatus,
    },
    PromotionEnded {
        id: PromotionId,
        status: PromotionStatus,
        reason: String,
        /// The newer version that took its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<VersionId>,
    },

    /// Releases and their first jobs for many targets of one environment; each gets the next number of its
    /// target.
    JobsCreated {
        promotion: PromotionId,
        version: VersionId,
        environment: EnvironmentId,
        agent: JobAgentId,
        /// Rules whose passing stays passed for this version in this environment from here on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        latches: Vec<RuleId>,
        jobs: Vec<NewJob>,
    },
    /// A target that should start cannot, for a reason of its own (template, agent…), or no longer has it.
    TargetBlocked {
        target: TargetKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<Block>,
    },
    JobClaimed {
        id: JobId,
        runner: String,
        epoch: u64,
    },
    JobChanged {
        id: JobId,
        status: JobStatus,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tail: Option<String>,
    },
    /// A late or repeated report; nothing changed.
    ReportIgnored {
        job: JobId,
        status: JobStatus,
        standing: JobStatus,
    },
    ReleaseEnded {
        id: ReleaseId,
        job: JobId,
        status: ReleaseStatus,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },

    VerificationStarted {
        id: VerificationId,
        job: JobId,
        trigger: VerificationTrigger,
        metrics: Vec<PlannedMetric>,
        /// The one it runs again, if a person asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rerun_of: Option<VerificationId>,
    },
    Measured {
        verification: VerificationId,
        metric: usize,
        ordinal: u32,
        status: MeasurementStatus,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        /// What was measured, cut to a bounded size.
        #[serde(default, skip_serializing_if = "Json::is_null")]
        data: Json,
    },
    VerificationEnded {
        id: VerificationId,
        status: VerificationStatus,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// The person who decided, where measurements could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decided_by: Option<UserId>,
    },
}

/// One rule as it stands for one version in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateRecord {
    pub policy: PolicyId,
    pub rule: RuleId,
    pub kind: String,
    pub state: GateState,
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satisfied_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Open, expecting something, or shut until someone changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GateState {
    Allow,
    Wait,
    Deny,
    /// The rule's policy no longer applies here.
    Gone,
}

/// A release and the first job for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    pub job: JobId,
    pub release: ReleaseId,
    /// The release's number on its target.
    pub number: u64,
    pub resource: ResourceId,
    pub attempt: u32,
    /// The agent's, the deployment's and the version's configuration, merged and rendered.
    pub config: Json,
}

/// Why a target cannot start what it should have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub version: VersionId,
    pub code: String,
    pub message: String,
}

/// A metric of a verification with everything resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedMetric {
    pub rule: RuleId,
    pub metric: Metric,
}

/// How a metric is measured and judged (SEMANTICS.md, "Measuring").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metric {
    pub name: String,
    /// `{type: http, url: …}`; strings may hold `{{ }}` templates until a verification starts.
    pub provider: Json,
    /// Seconds from the end of one measurement to the start of the next.
    #[serde(default)]
    pub interval_seconds: u32,
    /// How many measurements that did not end in error decide.
    #[serde(default = "one")]
    pub count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<String>,
    /// Passed as soon as so many in a row passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<u32>,
    /// Failed once more than so many failed.
    #[serde(default)]
    pub failure_threshold: u32,
    #[serde(default)]
    pub initial_delay_seconds: u32,
    /// Inconclusive once more than so many were.
    #[serde(default)]
    pub inconclusive_threshold: u32,
    /// In error once more than so many in a row were.
    #[serde(default = "four")]
    pub consecutive_error_threshold: u32,
    /// Reported, never deciding.
    #[serde(default)]
    pub dry_run: bool,
}

fn one() -> u32 {
    1
}

fn four() -> u32 {
    4
}
