//! Commands: what the outside asks of a workspace. The engine refuses one with a [`Rejection`] or turns it
//! into facts; ids of what is created are made by the caller.

use crate::{
    Dependencies, Deployment, DeploymentId, DeploymentVariable, Environment, EnvironmentId, Freeze,
    FreezeId, Group, GroupId, JobAgent, JobAgentId, JobExit, JobId, JobLimitsSpec, JobStatus, Json,
    KeyId, Metadata, Notifier, NotifierId, Policy, PolicyId, PromotionId, RelationshipRule,
    RelationshipRuleId, ReleaseId, Resource, ResourceId, Role, Skip, SkipId, System, SystemId,
    TargetKey, Timestamp, UserId, VariableId, VariableSet, VariableSetId, VariableValue,
    VerificationId, VersionDependency, VersionId, VersionStatus, Vote, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Something asked of a workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The first command of every log.
    CreateWorkspace {
        id: WorkspaceId,
        name: String,
        slug: String,
    },
    /// Changes of configuration, all or nothing, in order: a later one may name what an earlier one made.
    Configure(Vec<Change>),
    CreateVersion(NewVersion),
    UpdateVersion(VersionPatch),
    /// A vote of the acting person in each of the environments, all or nothing.
    CastVote {
        version: VersionId,
        environments: Vec<EnvironmentId>,
        vote: Vote,
        reason: String,
    },
    /// A runner takes a pending job. The same runner asking again gets the same claim.
    ClaimJob {
        job: JobId,
        runner: String,
        /// Whether the runner says from time to time that it is there, and has lost the job when it does not.
        lease: bool,
    },
    /// Nothing was heard of the job's runner for the length of its lease.
    LoseLease {
        job: JobId,
        epoch: u64,
        /// When it was last heard of.
        since: Timestamp,
    },
    /// The job's runner was heard of.
    RenewLease {
        job: JobId,
        runner: String,
        epoch: u64,
    },
    /// A job is to be stopped. One that no runner has is cancelled at once.
    CancelJob {
        job: JobId,
        reason: String,
    },
    /// What an agent says of a job.
    ReportJob(JobReport),
    /// A report for a job that ended so long ago that the engine does not know it any more.
    ReportArchivedJob {
        job: JobId,
        status: JobStatus,
        standing: JobStatus,
    },
    /// One measurement taken for a running verification.
    RecordMeasurement {
        verification: VerificationId,
        /// Index among the verification's metrics.
        metric: usize,
        /// Which measurement of the metric, from 0; a repeated one is ignored.
        ordinal: u32,
        /// What the provider returned, or why it could not.
        outcome: Result<Json, String>,
    },
    /// A person decides a verification that stands at `inconclusive` or `error`.
    DecideVerification {
        verification: VerificationId,
        pass: bool,
        reason: String,
    },
    /// A person has an inconclusive, failed-to-measure or cancelled verification run again.
    RerunVerification {
        verification: VerificationId,
        reason: String,
    },
    /// The same version once more on these targets; every gate is asked.
    Redeploy {
        targets: Vec<TargetKey>,
        reason: String,
    },
    /// Back to an earlier release on these targets, all or nothing.
    Rollback {
        targets: Vec<RollbackTarget>,
        reason: String,
    },
    /// These targets take part in automatic deployments again.
    ReleaseHold {
        targets: Vec<TargetKey>,
        reason: String,
    },
    ClearQuarantine {
        version: VersionId,
        environment: EnvironmentId,
        reason: String,
    },
    /// Nothing starts for the promotion any more; what waits for an agent is cancelled.
    CancelPromotion {
        promotion: PromotionId,
        reason: String,
    },
    /// A promotion that was cancelled or expired goes on, as a new attempt.
    ReopenPromotion {
        promotion: PromotionId,
        reason: String,
    },
    /// No further target of the promotion starts until it is resumed.
    PauseRollout {
        promotion: PromotionId,
        reason: String,
    },
    ResumeRollout {
        promotion: PromotionId,
        reason: String,
    },
    /// Creates a group, or sets its name and members.
    PutGroup(Group),
    DeleteGroup {
        id: GroupId,
    },
    /// Sets one rule aside. Its creation time and creator are those of the command.
    CreateSkip(Skip),
    DeleteSkip {
        id: SkipId,
        reason: String,
    },
    /// Creates a freeze, or changes one. Its creation time and creator are those of the first command.
    PutFreeze(Freeze),
    DeleteFreeze {
        id: FreezeId,
        reason: String,
    },
    /// A version to targets past every gate but one active job on each.
    BreakGlass {
        version: VersionId,
        targets: Vec<TargetKey>,
        reason: String,
    },
    CreateUser {
        id: UserId,
        role: Role,
    },
    CreateKey {
        id: KeyId,
        owner: UserId,
        role: Role,
        name: String,
    },
    RevokeKey {
        id: KeyId,
    },
    /// Nothing but the passing of time.
    Wake,
}

impl Command {
    /// The word for it in the log's `cause`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateWorkspace { .. } => "createWorkspace",
            Self::Configure(_) => "configure",
            Self::CreateVersion(_) => "createVersion",
            Self::UpdateVersion(_) => "updateVersion",
            Self::CastVote { .. } => "castVote",
            Self::ClaimJob { .. } => "claimJob",
            Self::LoseLease { .. } => "loseLease",
            Self::RenewLease { .. } => "renewLease",
            Self::CancelJob { .. } => "cancelJob",
            Self::ReportJob(_) | Self::ReportArchivedJob { .. } => "reportJob",
            Self::RecordMeasurement { .. } => "recordMeasurement",
            Self::DecideVerification { .. } => "decideVerification",
            Self::RerunVerification { .. } => "rerunVerification",
            Self::Redeploy { .. } => "redeploy",
            Self::Rollback { .. } => "rollback",
            Self::ReleaseHold { .. } => "releaseHold",
            Self::ClearQuarantine { .. } => "clearQuarantine",
            Self::CancelPromotion { .. } => "cancelPromotion",
            Self::ReopenPromotion { .. } => "reopenPromotion",
            Self::PauseRollout { .. } => "pauseRollout",
            Self::ResumeRollout { .. } => "resumeRollout",
            Self::PutGroup(_) => "putGroup",
            Self::DeleteGroup { .. } => "deleteGroup",
            Self::CreateSkip(_) => "createSkip",
            Self::DeleteSkip { .. } => "deleteSkip",
            Self::PutFreeze(_) => "putFreeze",
            Self::DeleteFreeze { .. } => "deleteFreeze",
            Self::BreakGlass { .. } => "breakGlass",
            Self::CreateUser { .. } => "createUser",
            Self::CreateKey { .. } => "createKey",
            Self::RevokeKey { .. } => "revokeKey",
            Self::Wake => "wake",
        }
    }
}

/// One change of configuration. `Put` creates or replaces by id; what is equal already yields no fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    PutSystem(System),
    DeleteSystem(SystemId),
    PutEnvironment(Environment),
    DeleteEnvironment(EnvironmentId),
    PutDeployment(Deployment),
    DeleteDeployment(DeploymentId),
    PutResource(Resource),
    DeleteResource(ResourceId),
    PutJobAgent(JobAgent),
    DeleteJobAgent(JobAgentId),
    PutPolicy(Policy),
    DeletePolicy(PolicyId),
    PutNotifier(Notifier),
    DeleteNotifier(NotifierId),
    PutVariable(DeploymentVariable),
    DeleteVariable(VariableId),
    PutVariableSet(VariableSet),
    DeleteVariableSet(VariableSetId),
    /// All variables of a resource; those that are not named are gone.
    PutResourceVariables {
        resource: ResourceId,
        variables: BTreeMap<String, VariableValue>,
    },
    PutRelationshipRule(RelationshipRule),
    DeleteRelationshipRule(RelationshipRuleId),
}

/// A version as CI announces it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    pub id: VersionId,
    pub deployment: DeploymentId,
    pub tag: String,
    pub name: String,
    pub config: Json,
    pub job_agent_config: Json,
    pub job_limits: JobLimitsSpec,
    pub dependencies: Dependencies,
    pub status: VersionStatus,
    pub message: String,
    pub metadata: Metadata,
    /// Defaults to now; never in the future.
    pub created_at: Option<Timestamp>,
}

/// A change of a version; `None` leaves a part as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionPatch {
    pub id: VersionId,
    pub tag: Option<String>,
    pub name: Option<String>,
    pub config: Option<Json>,
    pub job_agent_config: Option<Json>,
    /// Dependencies that are set, or taken out.
    pub dependencies: BTreeMap<DeploymentId, Option<VersionDependency>>,
    pub status: Option<VersionStatus>,
    pub message: Option<String>,
    /// Laid over what is there; keys are added or replaced, none is removed.
    pub metadata: Option<Metadata>,
}

/// A target that is to go back.
#[derive(Clone, Debug, PartialEq)]
pub struct RollbackTarget {
    pub target: TargetKey,
    /// To which release; the last good one before what is there, when `None`.
    pub to: Option<EarlierRelease>,
}

/// A release that had succeeded on the target; the shell reads those that have left memory from the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierRelease {
    pub id: ReleaseId,
    pub version: VersionId,
}

/// What an agent says of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobReport {
    pub job: JobId,
    pub status: JobStatus,
    pub message: String,
    /// The runner that holds the claim; a report from another one is refused.
    pub runner: Option<String>,
    /// The epoch of the claim; a report of an older one is refused.
    pub epoch: Option<u64>,
    pub external_id: Option<String>,
    /// The last lines of output; not a fact when the job has not ended.
    pub output_tail: Option<String>,
    pub exit: Option<JobExit>,
    /// Where to read more, by label; none leaves those that are known.
    pub links: BTreeMap<String, String>,
}

/// Why a command was refused. Nothing was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    pub kind: RejectionKind,
    /// Stable, documented: `docs/errors/<code>.md`.
    pub code: String,
    /// What is wrong, in words for the caller.
    pub message: String,
    /// Where: a field path such as `rules[0].environmentProgression.waitFor`; empty when it is the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// How to mend it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Which change of a [`Command::Configure`] it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<usize>,
}

/// The kind of refusal; decides the HTTP status and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RejectionKind {
    /// The input is wrong whatever the state.
    Invalid,
    NotFound,
    /// The input does not fit the present state.
    Conflict,
    /// This actor may not.
    Forbidden,
}

impl Rejection {
    /// A refusal with neither field nor hint.
    #[must_use]
    pub fn new(kind: RejectionKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            field: String::new(),
            hint: String::new(),
            change: None,
        }
    }

    #[must_use]
    pub fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(RejectionKind::Invalid, code, message)
    }

    #[must_use]
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(RejectionKind::NotFound, code, message)
    }

    #[must_use]
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(RejectionKind::Conflict, code, message)
    }

    #[must_use]
    pub fn forbidden(code: &str, message: impl Into<String>) -> Self {
        Self::new(RejectionKind::Forbidden, code, message)
    }

    /// Says which field; put in front of a field already named.
    #[must_use]
    pub fn at(mut self, field: impl fmt::Display) -> Self {
        self.field = match (self.field.is_empty(), self.field.starts_with('[')) {
            (true, _) => field.to_string(),
            (false, true) => format!("{field}{}", self.field),
            (false, false) => format!("{field}.{}", self.field),
        };
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} ({})", self.message, self.code)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}
