//! Facts: what happened. State is a fold over them; a stored fact is never changed and must fold for ever.

use crate::tagged::Tagged;
use crate::{
    CancelCause, Dependencies, Deployment, DeploymentId, DeploymentVariable, Digest, Environment,
    EnvironmentId, Freeze, FreezeId, Group, GroupId, JobAgent, JobAgentId, JobId, JobLimits,
    JobStatus, Json, KeyId, MeasurementStatus, Metadata, Notifier, NotifierId, PackedJson, Policy,
    PolicyId, PromotionId, PromotionStatus, RelationshipRule, RelationshipRuleId, ReleaseId,
    ReleaseStatus, Resource, ResourceId, Role, RuleId, Skip, SkipId, System, SystemId, TargetKey,
    Timestamp, UserId, VariableId, VariableSet, VariableSetId, VariableValue, Variables,
    VerificationId, VerificationStatus, VerificationTrigger, Version, VersionId, VersionStatus,
    Vote, WorkspaceId,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The facts, and beside them the same once more for reading: serde's `tag` keeps an object whole before it reads any of
/// it, which is most of the time it takes to read a log.
macro_rules! facts {
    ($(#[$about:meta])* pub enum Fact { $($variants:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(
            tag = "type",
            rename_all = "camelCase",
            rename_all_fields = "camelCase"
        )]
        pub enum Fact { $($variants)* }

        #[derive(Deserialize)]
        #[serde(
            remote = "Fact",
            rename_all = "camelCase",
            rename_all_fields = "camelCase"
        )]
        enum Read { $($variants)* }
    };
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::deserialize(Tagged(deserializer))
    }
}

facts! {
/// One thing that happened. As JSON an object whose first member, `type`, names it.
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
    VariablePut {
        variable: DeploymentVariable,
    },
    VariableDeleted {
        id: VariableId,
    },
    VariableSetPut {
        set: VariableSet,
    },
    VariableSetDeleted {
        id: VariableSetId,
    },
    /// All variables that the resource has from here on.
    ResourceVariablesPut {
        resource: ResourceId,
        variables: BTreeMap<String, VariableValue>,
    },
    RelationshipRulePut {
        rule: RelationshipRule,
    },
    RelationshipRuleDeleted {
        id: RelationshipRuleId,
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
        /// All of them after the change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dependencies: Option<Dependencies>,
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
        /// What was said of it then: the digest of the version's metadata.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Digest>,
        /// The groups that the person was in.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<GroupId>,
    },

    GroupPut {
        group: Group,
    },
    GroupDeleted {
        id: GroupId,
    },
    SkipCreated {
        skip: Skip,
    },
    SkipDeleted {
        id: SkipId,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    FreezePut {
        freeze: Freeze,
    },
    FreezeDeleted {
        id: FreezeId,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
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
        #[serde(default, skip_serializing_if = "StartKind::is_forward")]
        kind: StartKind,
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
        #[serde(default, skip_serializing_if = "StartKind::is_forward")]
        kind: StartKind,
        /// How long each may wait, run and be silent.
        #[serde(default)]
        limits: JobLimits,
        jobs: Vec<NewJob>,
    },
    /// A job ended in a way that is tried again; its release goes on.
    RetryScheduled {
        release: ReleaseId,
        job: JobId,
        /// Which attempt the next job will be.
        attempt: u32,
        /// Not before this.
        at: Timestamp,
    },
    /// A target is to be brought to a version outside the ordinary course. It replaces an order given before.
    TargetOrdered {
        target: TargetKey,
        order: Order,
    },
    /// An order that was not begun is void.
    OrderDropped {
        target: TargetKey,
        reason: String,
    },
    /// A target takes part in automatic deployments again after a rollback.
    HoldReleased {
        target: TargetKey,
        reason: String,
    },
    /// Nothing new starts with the version in the environment.
    Quarantined {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
    },
    QuarantineCleared {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
    },
    /// A person ended a promotion: nothing starts for it any more.
    PromotionCancelRequested {
        id: PromotionId,
        reason: String,
    },
    /// A person lets a version that was cancelled in an environment go on, as a new attempt.
    PromotionReopened {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
    },
    /// A gradual rollout begins: in which order its targets are released is fixed from here on.
    RolloutStarted {
        version: VersionId,
        environment: EnvironmentId,
        rule: RuleId,
        /// When position 0 is due.
        started_at: Timestamp,
        /// By wave, the targets in their order.
        waves: Vec<Vec<ResourceId>>,
    },
    /// The next wave of a rollout begins.
    RolloutWaveStarted {
        version: VersionId,
        environment: EnvironmentId,
        rule: RuleId,
        /// From 0.
        wave: u32,
    },
    /// The clock of a version's rollouts in an environment stands still (`running: false`) or goes on, from `at`.
    RolloutClock {
        version: VersionId,
        environment: EnvironmentId,
        running: bool,
        at: Timestamp,
        /// When the gates that let it run are known to close.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// No further target is released until a person resumes it.
    RolloutPaused {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
    },
    RolloutResumed {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
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
        /// Whether the runner has to be heard of from time to time.
        #[serde(default)]
        lease: bool,
    },
    /// The job's runner is not heard of any more: what becomes of the job is unknown, and its target stays busy.
    JobLost {
        id: JobId,
        epoch: u64,
        /// When the runner was last heard of, as far as is known.
        since: Timestamp,
    },
    /// The lost runner was heard of again.
    JobFound {
        id: JobId,
        epoch: u64,
    },
    /// The lost runner did not come back in time: whoever claims the job next gets it.
    JobRequeued {
        id: JobId,
        epoch: u64,
    },
    /// The runner is to stop the job and to confirm it.
    JobCancelRequested {
        id: JobId,
        cause: CancelCause,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
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
        /// How the process ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<JobExit>,
        /// Where to read more, by label; none leaves those that are known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        links: BTreeMap<String, String>,
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
    /// Whom it waits for, of an approval; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
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
    pub config: PackedJson,
    /// What its variables came out as; empty for a job that tries a release again, which keeps its own.
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The release that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<ReleaseId>,
}

/// Why something starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartKind {
    /// In the ordinary course: every gate lets it.
    #[default]
    Forward,
    /// The same release once more, after a job that failed; every gate lets it.
    Retry,
    /// The same version once more, since a person asked; every gate lets it.
    Redeploy,
    /// Back to an earlier release.
    Rollback,
    /// A person put the version there past every gate.
    BreakGlass,
}

impl StartKind {
    fn is_forward(&self) -> bool {
        *self == Self::Forward
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Retry => "retry",
            Self::Redeploy => "redeploy",
            Self::Rollback => "rollback",
            Self::BreakGlass => "breakGlass",
        }
    }
}

/// What a target is to be brought to outside the ordinary course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// [`StartKind::Redeploy`], [`StartKind::Rollback`] or [`StartKind::BreakGlass`].
    pub kind: StartKind,
    pub version: VersionId,
    /// Rollback: the earlier release it goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ReleaseId>,
    /// Rollback: the release that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ReleaseId>,
    pub cause: OrderCause,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// What gave rise to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderCause {
    JobFailed,
    VerificationFailed,
    VersionRejected,
    /// Too many targets of a rollout failed.
    FailureBudget,
    Person,
    /// What the target's configuration is made of changed, and its deployment redeploys on that.
    ConfigurationChanged,
}

/// How a job's process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobExit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
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
