//! Commands: each is refused whole, with a reason for the caller, or becomes facts. Nothing is folded here.

mod dependencies;
pub(crate) mod jobs;
pub(crate) mod orders;
mod people;
pub(crate) mod readable;

use crate::catalog::{self, NAME_CHARS_MAX};
use crate::engine::{Context, Engine};
use crate::expressions::{condition_schema, template_rejection, template_schema};
use crate::limits::{self, LimitsOf};
use crate::rules::verification::{MetricOutcome, measurement, metric_outcome};
use crate::state::State;
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, View, template};
use stagegate_model::{
    Actor, Command, Digest, Fact, Json, MeasurementStatus, NewVersion, Rejection, Role, UserId,
    VerificationId, VerificationStatus, Version, VersionId, VersionPatch, VersionStatus, derive_id,
};
use std::collections::BTreeMap;

/// Bytes of a reason, a message, or one metadata value, at most.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;
/// Bytes of a version's `config` or `jobAgentConfig` as JSON, at most.
pub(crate) const CONFIG_BYTES_MAX: usize = 256 * 1024;
/// Entries of a version's metadata, at most.
pub(crate) const METADATA_ENTRIES_MAX: usize = 100;
/// Bytes of what was measured that are kept in the log.
const MEASURED_BYTES_MAX: usize = 4096;
/// How many compiled conditions are kept.
const CONDITIONS_MAX: usize = 1000;

pub(crate) fn handle(
    engine: &mut Engine,
    command: Command,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let state = &engine.state;
    match command {
        Command::CreateWorkspace { id, name, slug } => {
            if state.workspace.is_some() {
                return Err(Rejection::conflict(
                    "name_taken",
                    "the workspace exists already",
                ));
            }
            Ok(vec![Fact::WorkspaceCreated { id, name, slug }])
        }
        Command::Configure(changes) => catalog::configure(state, changes),
        Command::CreateVersion(new) => create_version(state, new, context),
        Command::UpdateVersion(patch) => update_version(state, patch),
        Command::CastVote {
            version,
            environments,
            vote,
            reason,
        } => people::cast_vote(engine, version, &environments, vote, &reason, context),
        Command::ClaimJob { job, runner, lease } => {
            jobs::claim(engine, job, runner, lease, context)
        }
        Command::LoseLease { job, epoch, since } => Ok(jobs::lose(state, job, epoch, since)),
        Command::RenewLease { job, runner, epoch } => jobs::renew(state, job, &runner, epoch),
        Command::CancelJob { job, reason } => jobs::cancel(engine, job, reason, context),
        Command::ReportJob(report) => jobs::report(engine, report, context),
        Command::ReportArchivedJob {
            job,
            status,
            standing,
        } => jobs::report_archived(state, job, status, standing),
        Command::RecordMeasurement {
            verification,
            metric,
            ordinal,
            outcome,
        } => record_measurement(engine, verification, metric, ordinal, outcome),
        Command::DecideVerification {
            verification,
            pass,
            reason,
        } => decide_verification(state, verification, pass, reason, context.actor),
        Command::RerunVerification {
            verification,
            reason,
        } => rerun_verification(state, verification, &reason, context),
        Command::Redeploy { targets, reason } => {
            orders::redeploy(state, &targets, &reason, context)
        }
        Command::Rollback { targets, reason } => {
            orders::roll_back(engine, &targets, &reason, context)
        }
        Command::ReleaseHold { targets, reason } => orders::release_hold(state, &targets, &reason),
        Command::ClearQuarantine {
            version,
            environment,
            reason,
        } => orders::clear_quarantine(state, version, environment, reason),
        Command::CancelPromotion { promotion, reason } => {
            orders::cancel_promotion(state, promotion, &reason, context)
        }
        Command::ReopenPromotion { promotion, reason } => {
            orders::reopen_promotion(state, promotion, reason)
        }
        Command::PauseRollout { promotion, reason } => orders::pause(state, promotion, reason),
        Command::ResumeRollout { promotion, reason } => orders::resume(state, promotion, reason),
        Command::PutGroup(group) => people::put_group(state, group),
        Command::DeleteGroup { id } => people::delete_group(state, id),
        Command::CreateSkip(skip) => people::create_skip(state, skip, context),
        Command::DeleteSkip { id, reason } => people::delete_skip(state, id, reason),
        Command::PutFreeze(freeze) => people::put_freeze(state, freeze, context),
        Command::DeleteFreeze { id, reason } => people::delete_freeze(state, id, reason),
        Command::BreakGlass {
            version,
            targets,
            reason,
        } => orders::break_glass(state, version, &targets, &reason, context),
        Command::CreateUser { id, role } => {
            if state.users.contains_key(&id) {
                return Err(Rejection::conflict(
                    "name_taken",
                    format!("there is a user `{id}` already"),
                ));
            }
            Ok(vec![Fact::UserCreated { id, role }])
        }
        Command::CreateKey {
            id,
            owner,
            role,
            name: _,
        } => {
            if state.keys.contains_key(&id) {
                return Err(Rejection::conflict(
                    "name_taken",
                    format!("there is a key `{id}` already"),
                ));
            }
            if !state.users.contains_key(&owner) {
                return Err(Rejection::not_found(
                    "user_not_found",
                    format!("there is no user `{owner}`"),
                ));
            }
            Ok(vec![Fact::KeyCreated { id, owner, role }])
        }
        Command::RevokeKey { id } => match state.keys.get(&id) {
            None => Err(Rejection::not_found(
                "key_not_found",
                format!("there is no key `{id}`"),
            )),
            Some(key) if key.revoked => Ok(Vec::new()),
            Some(_) => Ok(vec![Fact::KeyRevoked { id }]),
        },
        Command::Wake => Ok(Vec::new()),
    }
}

fn version_of(state: &State, id: VersionId) -> Result<&Version, Rejection> {
    let version = state.versions.get(&id);
    version.map(|it| &**it).ok_or_else(|| {
        Rejection::not_found("version_not_found", format!("there is no version `{id}`"))
    })
}

fn too_large(field: &str, bytes: usize, max: usize) -> Result<(), Rejection> {
    if bytes <= max {
        return Ok(());
    }
    Err(Rejection::invalid(
        "too_large",
        format!("it has {bytes} bytes; {max} are allowed"),
    )
    .at(field))
}

fn check_tag(tag: &str) -> Result<(), Rejection> {
    let message = if tag.trim().is_empty() {
        "it is empty"
    } else if tag.chars().count() > NAME_CHARS_MAX || tag.chars().any(char::is_control) {
        "it is longer than 200 characters or contains control characters"
    } else {
        return Ok(());
    };
    Err(Rejection::invalid("invalid_name", message).at("tag"))
}

fn check_content(config: &Json, job_agent_config: &Json) -> Result<(), Rejection> {
    for (field, json) in [("config", config), ("jobAgentConfig", job_agent_config)] {
        if !json.is_object() {
            return Err(Rejection::invalid("wrong_type", "it must be an object").at(field));
        }
        readable::check(field, json)?;
        too_large(field, json.to_string().len(), CONFIG_BYTES_MAX)?;
    }
    template::check_json(job_agent_config, template_schema())
        .map_err(|error| template_rejection(&error, "jobAgentConfig"))
}

fn check_metadata(metadata: &stagegate_model::Metadata) -> Result<(), Rejection> {
    if metadata.len() > METADATA_ENTRIES_MAX {
        let message = format!(
            "it has {} entries; {METADATA_ENTRIES_MAX} are allowed",
            metadata.len()
        );
        return Err(Rejection::invalid("too_large", message).at("metadata"));
    }
    let mut entries = metadata.iter();
    entries.try_for_each(|(key, value)| {
        too_large(
            &format!("metadata.{key}"),
            key.len() + value.len(),
            TEXT_BYTES_MAX,
        )
    })
}

fn create_version(
    state: &State,
    new: NewVersion,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let Some(deployment) = state.deployments.get(&new.deployment) else {
        let message = format!("there is no deployment `{}`", new.deployment);
        return Err(Rejection::not_found("deployment_not_found", message));
    };
    check_tag(&new.tag)?;
    check_content(&new.config, &new.job_agent_config)?;
    check_metadata(&new.metadata)?;
    limits::check(&new.job_limits, LimitsOf::Other)?;
    too_large("message", new.message.len(), TEXT_BYTES_MAX)?;
    if new.created_at.is_some_and(|at| at > context.now) {
        let message = format!("it lies in the future; now is {}", context.now);
        return Err(Rejection::invalid("created_in_future", message).at("createdAt"));
    }
    let digest = Digest::of(
        &new.tag,
        &new.config,
        &new.job_agent_config,
        &new.dependencies,
    );
    if let Some(known) = state.version_by_tag(new.deployment, &new.tag) {
        if known.digest == digest && known.job_limits != new.job_limits {
            let message = format!(
                "{} has a version `{}` with other job limits",
                deployment.name, new.tag
            );
            return Err(Rejection::conflict("version_exists", message)
                .at("jobLimits")
                .hint("a version's limits are fixed; give a new version a new tag"));
        }
        // CI that asks again for the same content is told that it is there; what it says about it is added.
        if known.digest == digest {
            return update_version(
                state,
                VersionPatch {
                    id: known.id,
                    tag: None,
                    name: None,
                    config: None,
                    job_agent_config: None,
                    dependencies: BTreeMap::new(),
                    status: None,
                    message: None,
                    metadata: Some(new.metadata),
                },
            );
        }
        let message = format!(
            "{} has a version `{}` with other content",
            deployment.name, new.tag
        );
        return Err(Rejection::conflict("version_exists", message)
            .at("tag")
            .hint("give the new content a new tag"));
    }
    dependencies::check(state, new.deployment, &new.tag, &new.dependencies)?;
    let name = if new.name.is_empty() {
        new.tag.clone()
    } else {
        new.name
    };
    Ok(vec![Fact::VersionCreated {
        version: Version {
            id: new.id,
            deployment: new.deployment,
            tag: new.tag,
            name,
            config: new.config,
            job_agent_config: new.job_agent_config,
            job_limits: new.job_limits,
            dependencies: new.dependencies,
            status: new.status,
            message: new.message,
            metadata: new.metadata,
            created_at: new.created_at.unwrap_or(context.now),
            created_by: context.actor.user(),
            digest,
        },
    }])
}

fn update_version(state: &State, patch: VersionPatch) -> Result<Vec<Fact>, Rejection> {
    let version = version_of(state, patch.id)?;
    let tag = patch.tag.filter(|tag| *tag != version.tag);
    let config = patch.config.filter(|config| *config != version.config);
    let dependencies = dependencies::changed(version, patch.dependencies)?;
    let job_agent_config = patch
        .job_agent_config
        .filter(|config| *config != version.job_agent_config);
    if let Some(tag) = &tag {
        check_tag(tag)?;
        if state.version_by_tag(version.deployment, tag).is_some() {
            let message = format!("there is another version `{tag}`");
            return Err(Rejection::conflict("version_exists", message).at("tag"));
        }
    }
    let digest = Digest::of(
        tag.as_ref().unwrap_or(&version.tag),
        config.as_ref().unwrap_or(&version.config),
        job_agent_config
            .as_ref()
            .unwrap_or(&version.job_agent_config),
        dependencies.as_ref().unwrap_or(&version.dependencies),
    );
    if digest != version.digest {
        if state.is_frozen(version.id) {
            let message = format!(
                "the content of {} is frozen: it was voted on or has had a job",
                version.tag
            );
            return Err(Rejection::conflict("version_frozen", message).hint("create a new version"));
        }
        check_content(
            config.as_ref().unwrap_or(&version.config),
            job_agent_config
                .as_ref()
                .unwrap_or(&version.job_agent_config),
        )?;
    }
    let given_up = |status| matches!(status, VersionStatus::Failed | VersionStatus::Rejected);
    let revived = given_up(version.status) && patch.status.is_some_and(|to| !given_up(to));
    let needed = dependencies.as_ref();
    if let Some(needed) = needed.or(revived.then_some(&version.dependencies)) {
        let tag = tag.as_ref().unwrap_or(&version.tag);
        dependencies::check(state, version.deployment, tag, needed)?;
    }
    let metadata = patch.metadata.and_then(|added| {
        let mut metadata = version.metadata.clone();
        metadata.extend(added);
        (metadata != version.metadata).then_some(metadata)
    });
    if let Some(metadata) = &metadata {
        check_metadata(metadata)?;
    }
    let name = patch.name.filter(|name| *name != version.name);
    let message = patch.message.filter(|message| *message != version.message);
    let status = patch.status.filter(|status| *status != version.status);
    too_large(
        "message",
        message.as_ref().map_or(0, String::len),
        TEXT_BYTES_MAX,
    )?;
    too_large("name", name.as_ref().map_or(0, String::len), TEXT_BYTES_MAX)?;
    if version.status == VersionStatus::Ready
        && matches!(
            status,
            Some(VersionStatus::Building | VersionStatus::Unspecified)
        )
    {
        let message = format!(
            "{} is ready and cannot go back to {}",
            version.tag,
            status.map_or("", VersionStatus::as_str)
        );
        return Err(Rejection::conflict("invalid_status", message)
            .at("status")
            .hint("set it to `paused` to hold it"));
    }
    let unchanged = digest == version.digest
        && tag.is_none()
        && name.is_none()
        && message.is_none()
        && status.is_none()
        && metadata.is_none();
    if unchanged {
        return Ok(Vec::new());
    }
    let id = version.id;
    Ok(vec![Fact::VersionChanged {
        id,
        tag,
        name,
        config,
        job_agent_config,
        dependencies,
        status,
        message,
        metadata,
        digest,
    }])
}

fn record_measurement(
    engine: &mut Engine,
    id: VerificationId,
    index: usize,
    ordinal: u32,
    outcome: Result<Json, String>,
) -> Result<Vec<Fact>, Rejection> {
    let verification = verification_of(&engine.state, id)?;
    let Some(run) = verification.metrics.get(index) else {
        return Err(Rejection::invalid(
            "invalid_body",
            format!("the verification has no metric {index}"),
        ));
    };
    // Late, repeated, or overtaken by the end of the verification or of the metric: nothing to record.
    let wanted = verification.status == VerificationStatus::Running
        && metric_outcome(run) == MetricOutcome::Running;
    if !wanted || ordinal != run.taken {
        return Ok(Vec::new());
    }
    let metric = run.planned.metric.clone();
    let (status, message, data) = match outcome {
        Err(message) => (MeasurementStatus::Error, message, Json::Null),
        Ok(data) => {
            let mut judge = |condition: &Option<String>| {
                condition.as_ref().map(|text| holds(engine, text, &data))
            };
            let (success, failure) = (
                judge(&metric.success_condition),
                judge(&metric.failure_condition),
            );
            let (status, message) = measurement(&metric, success, failure);
            (status, message, bounded(data))
        }
    };
    Ok(vec![Fact::Measured {
        verification: id,
        metric: index,
        ordinal,
        status,
        message,
        data,
    }])
}

fn holds(engine: &mut Engine, condition: &str, data: &Json) -> Result<bool, String> {
    if !engine.conditions.contains_key(condition) {
        let program = Program::compile_condition(condition, condition_schema())
            .map_err(|error| error.to_string())?;
        if engine.conditions.len() >= CONDITIONS_MAX {
            engine.conditions.clear();
        }
        engine.conditions.insert(condition.to_owned(), program);
    }
    let Some(program) = engine.conditions.get(condition) else {
        return Err("not compiled".to_owned());
    };
    let roots = Roots::new().with("result", View::Json(data));
    let answer = program
        .eval_explained(&roots)
        .map_err(|error| error.to_string())?;
    // A condition whose data is missing says nothing, least of all that all is well.
    match answer.missing {
        Some(path) if !answer.value => Err(format!("`{path}` does not exist in what was measured")),
        _ => Ok(answer.value),
    }
}

/// What was measured, with long texts cut, so that the log does not keep whole pages.
fn bounded(data: Json) -> Json {
    if !readable::is_readable(&data) {
        return serde_json::json!({ "cut": true });
    }
    if data.to_string().len() <= MEASURED_BYTES_MAX {
        return data;
    }
    let Json::Object(mut members) = data else {
        return serde_json::json!({ "cut": true });
    };
    for value in members.values_mut() {
        let long = value.to_string().len() > MEASURED_BYTES_MAX / 8;
        if long {
            *value = match value.as_str() {
                Some(text) => Json::String(text.chars().take(MEASURED_BYTES_MAX / 16).collect()),
                None => Json::Null,
            };
        }
    }
    members.insert("cut".to_owned(), Json::Bool(true));
    Json::Object(members)
}

fn verification_of(state: &State, id: VerificationId) -> Result<&crate::Verification, Rejection> {
    let verification = state.verifications.get(&id);
    verification.ok_or_else(|| {
        Rejection::not_found(
            "verification_not_found",
            format!("there is no verification `{id}`"),
        )
    })
}

/// The person who acts, through a key that may vote and decide.
fn approver(state: &State, actor: Actor) -> Result<UserId, Rejection> {
    let Actor::User { user, key } = actor else {
        return Err(Rejection::forbidden(
            "not_eligible",
            "only a person decides this",
        ));
    };
    let may = state
        .keys
        .get(&key)
        .is_some_and(|it| !it.revoked && it.owner == user && it.role.allows(Role::Approver));
    if may {
        return Ok(user);
    }
    Err(
        Rejection::forbidden("not_eligible", "this key may neither vote nor decide")
            .hint("use a key with the role approver or admin"),
    )
}

fn decide_verification(
    state: &State,
    id: VerificationId,
    pass: bool,
    reason: String,
    actor: Actor,
) -> Result<Vec<Fact>, Rejection> {
    let user = approver(state, actor)?;
    let verification = verification_of(state, id)?;
    check_paused(state, verification)?;
    if reason.trim().is_empty() {
        return Err(Rejection::invalid("missing_field", "a decision needs a reason").at("reason"));
    }
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let status = if pass {
        VerificationStatus::Passed
    } else {
        VerificationStatus::Failed
    };
    Ok(vec![Fact::VerificationEnded {
        id,
        status,
        reason,
        decided_by: Some(user),
    }])
}

/// Only what measurements could not decide is open to a person, and only while its release waits for it.
pub(crate) fn check_paused(
    state: &State,
    verification: &crate::Verification,
) -> Result<(), Rejection> {
    let again = state
        .verifications
        .values()
        .any(|it| it.rerun_of == Some(verification.id));
    let job = state.jobs.get(&verification.job);
    // One that is tried again is measured anew with its next job.
    let retried = job.is_some_and(|job| {
        let lane = state.lane(job.target.into());
        let retry = lane.and_then(|lane| lane.retries.get(&job.target.resource));
        retry.is_some_and(|retry| retry.release == job.release)
    });
    let waits = !retried
        && job
            .and_then(|job| state.releases.get(&job.release))
            .is_some_and(|release| release.ended_at.is_none());
    match verification.status {
        VerificationStatus::Running => Err(Rejection::conflict(
            "verification_running",
            "the verification is still running",
        )
        .hint("wait for its end")),
        VerificationStatus::Passed | VerificationStatus::Failed => {
            let message = format!("the verification has ended: {}", verification.status);
            Err(Rejection::conflict("verification_ended", message)
                .hint("deploy again for a new verification"))
        }
        _ if again || !waits => Err(Rejection::conflict(
            "verification_ended",
            "it was run again, or its release has ended or is tried again",
        )),
        _ => Ok(()),
    }
}

fn rerun_verification(
    state: &State,
    id: VerificationId,
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    approver(state, context.actor)?;
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let verification = verification_of(state, id)?;
    check_paused(state, verification)?;
    Ok(vec![Fact::VerificationStarted {
        id: derive_id(context.entry, 0).into(),
        job: verification.job,
        trigger: verification.trigger,
        metrics: verification
            .metrics
            .iter()
            .map(|run| run.planned.clone())
            .collect(),
        rerun_of: Some(id),
    }])
}
