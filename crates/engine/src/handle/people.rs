//! Commands about people and time: votes, groups, skips, freezes.

use super::{TEXT_BYTES_MAX, approver, too_large, version_of};
use crate::catalog::NAME_CHARS_MAX;
use crate::engine::{Context, Engine};
use crate::expressions::{check_cel, policy_schema};
use crate::rules::GateContext;
use crate::rules::approval::{Answer, answer};
use crate::settle::LaneView;
use crate::state::{LaneKey, State, same_name};
use stagegate_model::{
    Digest, EnvironmentId, Fact, Freeze, FreezeId, Group, GroupId, Rejection, Skip, SkipId, UserId,
    Version, VersionId, VersionStatus, Vote,
};

/// Members of a group, at most.
const MEMBERS_MAX: usize = 10_000;
/// Groups, skips or freezes of a workspace, at most.
const KEPT_MAX: usize = 10_000;

pub(super) fn cast_vote(
    engine: &Engine,
    id: VersionId,
    environments: &[EnvironmentId],
    vote: Vote,
    reason: &str,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    let state = engine.state();
    let version = version_of(state, id)?;
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    let user = approver(state, context.actor)?;
    if environments.is_empty() {
        return Err(
            Rejection::invalid("missing_field", "it names no environment").at("environmentIds"),
        );
    }
    if version.status == VersionStatus::Rejected && vote == Vote::Approved {
        let message = format!("{} was rejected as a version", version.tag);
        return Err(Rejection::conflict("invalid_status", message)
            .hint("set its status to ready first, or create a new version"));
    }
    let groups = state.groups_of(user);
    let metadata = Digest::of_metadata(&version.metadata);
    let mut facts = Vec::new();
    for (index, environment) in environments.iter().enumerate() {
        let at = |rejection: Rejection| rejection.at(format!("environmentIds[{index}]"));
        if !state.environments().contains_key(environment) {
            let message = format!("there is no environment `{environment}`");
            return Err(at(Rejection::not_found("environment_not_found", message)));
        }
        let standing = state
            .votes(id, *environment)
            .and_then(|votes| votes.get(&user));
        let repeated = standing.is_some_and(|it| {
            it.vote == vote
                && it.digest == version.digest
                && it.reason == reason
                && it.metadata.is_none_or(|then| then == metadata)
                && it.groups == groups
        });
        let voter = Voter {
            user,
            groups: &groups,
            vote,
        };
        // The same once more says something only where the first did not count, or counts no longer.
        if repeated && !voter.is_wanted(engine, version, *environment, context) {
            continue;
        }
        if vote == Vote::Withdrawn && standing.is_none_or(|it| it.vote == Vote::Withdrawn) {
            return Err(Rejection::conflict(
                "no_vote",
                "there is no vote of yours to withdraw",
            ));
        }
        if vote != Vote::Withdrawn {
            voter
                .check(engine, version, *environment, context)
                .map_err(at)?;
        }
        facts.push(Fact::VoteCast {
            version: id,
            environment: *environment,
            user,
            vote,
            reason: reason.to_owned(),
            digest: version.digest,
            metadata: Some(metadata),
            groups: groups.clone(),
        });
    }
    Ok(facts)
}

struct Voter<'a> {
    user: UserId,
    groups: &'a [GroupId],
    vote: Vote,
}

/// What the rules that ask people by name say to a vote.
#[derive(Default)]
struct Answers {
    /// By each such rule, with whether the person may reject.
    named: Vec<(Answer, bool)>,
    /// Whether some rule asks anyone.
    anyone: bool,
}

impl Voter<'_> {
    fn answers(
        &self,
        engine: &Engine,
        version: &Version,
        environment: EnvironmentId,
        context: Context,
    ) -> Answers {
        let key = LaneKey {
            deployment: version.deployment,
            environment,
        };
        let mut answers = Answers::default();
        let Some(view) = LaneView::new(engine, key) else {
            return answers;
        };
        let classes = view.classes();
        let representatives = classes.iter().map(|class| class.representative.as_deref());
        let representatives: Vec<_> = if classes.is_empty() {
            vec![None]
        } else {
            representatives.collect()
        };
        for resource in representatives {
            for applicable in view.applicable(version, resource) {
                for rule in &applicable.policy.rules {
                    answers.anyone |= rule.kind == "anyApproval";
                    let Some(approval) = rule.evaluator.as_ref().ok().and_then(|it| it.approval())
                    else {
                        continue;
                    };
                    let context = GateContext {
                        state: engine.state(),
                        policy: &applicable.policy.policy,
                        rule: rule.id,
                        version,
                        environment: view.environment,
                        deployment: view.deployment,
                        latched: None,
                        tells: true,
                        now: context.now,
                    };
                    let answer = answer(approval, &context, self.user, self.groups);
                    answers.named.push(answer);
                }
            }
        }
        answers
    }

    /// Whether some rule asks for this person's approval and has none that counts.
    fn is_wanted(
        &self,
        engine: &Engine,
        version: &Version,
        environment: EnvironmentId,
        context: Context,
    ) -> bool {
        let answers = || self.answers(engine, version, environment, context).named;
        self.vote == Vote::Approved && answers().iter().any(|(it, _)| *it == Answer::Wanted)
    }

    /// Refuses a vote that no rule asks this person for; where no rule asks anybody by name, everybody may vote.
    fn check(
        &self,
        engine: &Engine,
        version: &Version,
        environment: EnvironmentId,
        context: Context,
    ) -> Result<(), Rejection> {
        let Answers { named, anyone } = self.answers(engine, version, environment, context);
        if anyone || named.is_empty() {
            return Ok(());
        }
        if self.vote == Vote::Rejected {
            if named.iter().any(|(_, may_reject)| *may_reject) {
                return Ok(());
            }
        } else if named
            .iter()
            .any(|(answer, _)| matches!(answer, Answer::Wanted | Answer::Given | Answer::Settled))
        {
            return Ok(());
        }
        let rank = |answer: &Answer| match answer {
            Answer::Wanted | Answer::Given | Answer::Settled => 0,
            Answer::NotYet { .. } => 1,
            Answer::Counted => 2,
            Answer::OwnVersion => 3,
            Answer::NotEligible { .. } => 4,
        };
        let nearest = named.into_iter().map(|(answer, _)| answer).min_by_key(rank);
        let place = engine.state().environments().get(&environment);
        let place = place.map_or("", |it| it.name.as_str());
        Err(refusal(nearest, version, place))
    }
}

fn refusal(answer: Option<Answer>, version: &Version, place: &str) -> Rejection {
    let tag = &version.tag;
    match answer {
        Some(Answer::NotYet { stage, waits_for }) => Rejection::conflict(
            "stage_not_open",
            format!(
                "the stage `{stage}` is asked once `{waits_for}` has approved {tag} for {place}"
            ),
        )
        .hint("vote again when it is open"),
        Some(Answer::Counted) => Rejection::conflict(
            "already_counted",
            "your approval counts in an earlier stage; one person counts once",
        ),
        Some(Answer::OwnVersion) => Rejection::forbidden(
            "own_version",
            format!("you created {tag}, and the policy does not let its creator approve it"),
        ),
        Some(Answer::NotEligible { who }) => Rejection::forbidden(
            "not_eligible",
            format!("you are not among those who approve {tag} for {place}"),
        )
        .hint(format!("they are: {}", who.join(", "))),
        _ => Rejection::forbidden("not_eligible", "you may not vote here"),
    }
}

fn check_name(field: &str, name: &str) -> Result<(), Rejection> {
    let message = if name.trim().is_empty() {
        "it is empty"
    } else if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        "it is longer than 200 characters or contains control characters"
    } else {
        return Ok(());
    };
    Err(Rejection::invalid("invalid_name", message).at(field))
}

fn check_room(count: usize, what: &str) -> Result<(), Rejection> {
    if count < KEPT_MAX {
        return Ok(());
    }
    Err(Rejection::conflict(
        "too_many",
        format!("the workspace has {count} {what}; {KEPT_MAX} are allowed"),
    ))
}

pub(super) fn put_group(state: &State, group: Group) -> Result<Vec<Fact>, Rejection> {
    check_name("name", &group.name)?;
    if group.members.len() > MEMBERS_MAX {
        let message = format!(
            "it has {} members; {MEMBERS_MAX} are allowed",
            group.members.len()
        );
        return Err(Rejection::invalid("too_large", message).at("members"));
    }
    if let Some(unknown) = group
        .members
        .iter()
        .find(|id| !state.users.contains_key(id))
    {
        let message = format!("there is no user `{unknown}`");
        return Err(Rejection::invalid("unknown_user", message).at("members"));
    }
    let mut others = state.groups.values();
    if others.any(|other| other.id != group.id && same_name(&other.name, &group.name)) {
        let message = format!("there is a group `{}` already", group.name);
        return Err(Rejection::conflict("name_taken", message).at("name"));
    }
    match state.groups.get(&group.id) {
        Some(known) if **known == group => return Ok(Vec::new()),
        Some(known) if !same_name(&known.name, &group.name) => check_unnamed(state, &known.name)?,
        Some(_) => {}
        None => check_room(state.groups.len(), "groups")?,
    }
    Ok(vec![Fact::GroupPut { group }])
}

/// A group that a policy names is neither renamed nor deleted: the stage would have nobody.
fn check_unnamed(state: &State, name: &str) -> Result<(), Rejection> {
    let wanted = format!("group:{name}").to_lowercase();
    let naming = state.policies.values().find(|policy| {
        let mut rules = policy.rules.iter();
        rules.any(|rule| rule.kind == "approval" && names(&rule.spec, &wanted))
    });
    match naming {
        None => Ok(()),
        Some(policy) => Err(Rejection::conflict(
            "group_in_use",
            format!("the policy `{}` names the group `{name}`", policy.name),
        )
        .hint("change the policy first")),
    }
}

fn names(spec: &stagegate_model::Json, wanted: &str) -> bool {
    use stagegate_model::Json;
    match spec {
        Json::String(text) => text.to_lowercase() == wanted,
        Json::Array(items) => items.iter().any(|item| names(item, wanted)),
        Json::Object(members) => members.values().any(|value| names(value, wanted)),
        _ => false,
    }
}

pub(super) fn delete_group(state: &State, id: GroupId) -> Result<Vec<Fact>, Rejection> {
    let Some(group) = state.groups.get(&id) else {
        let message = format!("there is no group `{id}`");
        return Err(Rejection::not_found("group_not_found", message));
    };
    check_unnamed(state, &group.name)?;
    Ok(vec![Fact::GroupDeleted { id }])
}

pub(super) fn create_skip(
    state: &State,
    skip: Skip,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", skip.reason.len(), TEXT_BYTES_MAX)?;
    if skip.reason.trim().is_empty() {
        return Err(Rejection::invalid("missing_field", "a skip needs a reason").at("reason"));
    }
    let mut rules = state.policies.values().flat_map(|policy| &policy.rules);
    let known =
        rules.any(|rule| rule.id == skip.rule) || state.freezes.contains_key(&skip.rule.0.into());
    if !known {
        let message = format!("there is no rule `{}`", skip.rule);
        return Err(Rejection::not_found("rule_not_found", message)
            .at("ruleId")
            .hint("a rule whose spec was changed is a new rule with a new id"));
    }
    if let Some(id) = skip.version {
        version_of(state, id).map_err(|it| it.at("versionId"))?;
    }
    if let Some(id) = skip
        .environment
        .filter(|id| !state.environments.contains_key(id))
    {
        let message = format!("there is no environment `{id}`");
        return Err(Rejection::not_found("environment_not_found", message).at("environmentId"));
    }
    if let Some(id) = skip.resource.filter(|id| state.resource(*id).is_none()) {
        let message = format!("there is no resource `{id}`");
        return Err(Rejection::not_found("resource_not_found", message).at("resourceId"));
    }
    if skip.expires_at.is_some_and(|at| at <= context.now) {
        let message = format!("it lies in the past; now is {}", context.now);
        return Err(Rejection::invalid("invalid_time", message).at("expiresAt"));
    }
    if state.skips.contains_key(&skip.id) {
        let message = format!("there is a skip `{}` already", skip.id);
        return Err(Rejection::conflict("name_taken", message));
    }
    check_room(state.skips.len(), "skips")?;
    Ok(vec![Fact::SkipCreated {
        skip: Skip {
            created_at: context.now,
            created_by: context.actor.user(),
            ..skip
        },
    }])
}

pub(super) fn delete_skip(
    state: &State,
    id: SkipId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    if !state.skips.contains_key(&id) {
        let message = format!("there is no skip `{id}`");
        return Err(Rejection::not_found("skip_not_found", message));
    }
    Ok(vec![Fact::SkipDeleted { id, reason }])
}

pub(super) fn put_freeze(
    state: &State,
    freeze: Freeze,
    context: Context,
) -> Result<Vec<Fact>, Rejection> {
    check_name("name", &freeze.name)?;
    too_large("reason", freeze.reason.len(), TEXT_BYTES_MAX)?;
    if freeze.reason.trim().is_empty() {
        return Err(Rejection::invalid("missing_field", "a freeze needs a reason").at("reason"));
    }
    check_cel(&freeze.selector, policy_schema(), "selector")?;
    if freeze.ends_at.is_some_and(|ends| ends <= freeze.starts_at) {
        let message = format!("it is not after `startsAt`, {}", freeze.starts_at);
        return Err(Rejection::invalid("invalid_time", message).at("endsAt"));
    }
    let mut others = state.freezes.values();
    if others.any(|other| other.id != freeze.id && same_name(&other.name, &freeze.name)) {
        let message = format!("there is a freeze `{}` already", freeze.name);
        return Err(Rejection::conflict("name_taken", message).at("name"));
    }
    let known = state.freezes.get(&freeze.id);
    if known.is_none() {
        check_room(state.freezes.len(), "freezes")?;
    }
    let freeze = Freeze {
        created_at: known.map_or(context.now, |known| known.created_at),
        created_by: known.map_or(context.actor.user(), |known| known.created_by),
        ..freeze
    };
    if known.is_some_and(|known| **known == freeze) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::FreezePut { freeze }])
}

pub(super) fn delete_freeze(
    state: &State,
    id: FreezeId,
    reason: String,
) -> Result<Vec<Fact>, Rejection> {
    too_large("reason", reason.len(), TEXT_BYTES_MAX)?;
    if !state.freezes.contains_key(&id) {
        let message = format!("there is no freeze `{id}`");
        return Err(Rejection::not_found("freeze_not_found", message));
    }
    Ok(vec![Fact::FreezeDeleted { id, reason }])
}
