//! What waits for the owner of the key, with what there is to go by.

use crate::answer::{Answer, Json};
use crate::archive;
use crate::people::People;
use crate::scope::{Scope, parse_id};
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{
    Action, Ask, Engine, Explanation, Gate, Job, LaneKey, MetricOutcome, Promotion, Shown, State,
    Verification, Verified, metric_outcome,
};
use stagegate_model::{
    Digest, PromotionId, Role, Timestamp, UserId, VerificationId, Version, VersionId, Vote,
};
use std::collections::BTreeSet;

/// Approvals or verifications told, at most; further ones come when these are answered.
const TOLD_MAX: usize = 500;
/// Results of verifications told of one environment, at most: the newest.
const RESULTS_MAX: usize = 10;

pub(super) async fn get(scope: Scope) -> Answer<Json<api::Inbox>> {
    inbox(&scope).await.map(Json)
}

/// What waits for whom the scope acts as.
pub(crate) async fn inbox(scope: &Scope) -> Answer<api::Inbox> {
    let people = People::of(scope).await?;
    let user = scope.caller.user;
    let now = scope.now();
    let mut inbox = scope
        .read(move |engine| {
            let mut approvals: Vec<api::InboxApproval> = engine
                .state()
                .promotions()
                .values()
                .filter(|it| it.status.is_open())
                .filter_map(|it| approval(engine, it, user, now, &people))
                .collect();
            approvals.sort_by(|a, b| {
                let key = |it: &api::InboxApproval| !it.also_waits_for.is_empty();
                (key(a), &a.since, &a.promotion_id).cmp(&(key(b), &b.since, &b.promotion_id))
            });
            approvals.truncate(TOLD_MAX);
            api::Inbox {
                user: api::Member {
                    id: user.to_string(),
                    name: people.name(user),
                },
                approvals,
                verifications: undecided(engine, user),
            }
        })
        .await?;
    let approvals = inbox.approvals.iter_mut();
    for upstream in approvals.flat_map(|it| &mut it.upstream) {
        let measured = upstream.verified + upstream.verification_failed > 0;
        if measured && upstream.results.is_empty() {
            upstream.results = measured_before(scope, &upstream.promotion_id).await?;
        }
    }
    Ok(inbox)
}

/// What was measured of a promotion whose jobs have left memory.
async fn measured_before(scope: &Scope, promotion: &str) -> Answer<Vec<String>> {
    let id: PromotionId = parse_id(promotion, "promotionId")?;
    let jobs: Vec<Job> = archive::of_parent(scope, "job", id.0, RESULTS_MAX).await?;
    let latest = jobs.iter().filter_map(|job| job.verifications.last());
    let latest = latest.map(|id| id.0).collect();
    let verifications = archive::several::<Verification>(scope, "verification", latest).await?;
    scope
        .read(move |engine| {
            told_measured(engine.state(), jobs.iter().collect(), |id| {
                verifications.get(&id.0)
            })
        })
        .await
}

/// What a promotion asks the person, by all of its rules.
fn approval(
    engine: &Engine,
    promotion: &Promotion,
    user: UserId,
    now: Timestamp,
    people: &People,
) -> Option<api::InboxApproval> {
    let lane = LaneKey {
        deployment: promotion.deployment,
        environment: promotion.environment,
    };
    let asks = engine.asks_of(lane, promotion.version, user, now);
    if asks.is_empty() {
        return None;
    }
    let explanation = engine.explain_shown(lane, promotion.version, Shown::NONE, now)?;
    // Stopped whatever is approved: nobody is asked.
    if explanation.stopped.is_some() {
        return None;
    }
    let told = Told {
        state: engine.state(),
        promotion,
        explanation: &explanation,
        people,
    };
    let asked = explanation.gates.iter().filter(|gate| {
        let ask = Ask {
            policy: gate.policy,
            rule: gate.rule,
        };
        let why = gate.verdict.why();
        // A rejection waits for who rejected.
        let open = why.action == Action::Approval && why.code != "approval_rejected";
        !gate.verdict.is_allowed() && open && asks.contains(&ask)
    });
    let mut asked: Vec<api::InboxApproval> =
        asked.filter_map(|gate| told.approval(gate, user)).collect();
    // The rule with stages says most of what is asked.
    asked.sort_by_key(|it| it.stage.is_none());
    let mut asked = asked.into_iter();
    let mut first = asked.next()?;
    first.also_asked_by = asked
        .map(|other| format!("{}: {}", other.policy_name, other.message))
        .collect();
    Some(first)
}

/// What an approval is told from.
struct Told<'a> {
    state: &'a State,
    promotion: &'a Promotion,
    explanation: &'a Explanation,
    people: &'a People,
}

impl Told<'_> {
    fn approval(&self, gate: &Gate, user: UserId) -> Option<api::InboxApproval> {
        let (state, promotion) = (self.state, self.promotion);
        let version = state.versions().get(&promotion.version)?;
        let why = gate.verdict.why();
        let stage = open_stage(&why.details);
        let given = stage.and_then(|stage| stage["approvals"].as_array());
        let own = user.to_string();
        if given.is_some_and(|given| given.iter().any(|it| it["userId"] == own.as_str())) {
            return None;
        }
        let minimum = match stage {
            Some(stage) => &stage["minimum"],
            None => &why.details["minApprovals"],
        };
        let votes = self.votes(version);
        let given = match given {
            Some(given) => given.len(),
            None => votes
                .iter()
                .filter(|it| it.status == Vote::Approved.as_str() && !it.void)
                .count(),
        };
        let text = |member: &str| {
            let value = stage.and_then(|stage| stage[member].as_str());
            value.map(str::to_owned)
        };
        let also_waits_for = self.explanation.gates.iter().filter(|other| {
            !other.verdict.is_allowed() && other.verdict.why().action != Action::Approval
        });
        Some(api::InboxApproval {
            promotion_id: promotion.id.to_string(),
            deployment: wire::deployment_ref(state, promotion.deployment),
            environment: wire::environment_ref(state, promotion.environment),
            version: wire::version_ref(state, version.id),
            version_name: version.name.clone(),
            version_message: version.message.clone(),
            version_metadata: version.metadata.clone(),
            version_created_at: version.created_at.to_string(),
            version_created_by: version.created_by.map(|id| self.people.name(id)),
            policy_name: gate.policy_name.clone(),
            rule_id: gate.rule.to_string(),
            kind: gate.kind.to_owned(),
            stage: text("name"),
            since: text("openedAt").unwrap_or_else(|| promotion.opened_at.to_string()),
            message: self.people.tell(&why.message),
            missing: minimum.as_u64().unwrap_or(1).saturating_sub(given as u64),
            escalates_at: text("escalatesAt")
                .filter(|_| stage.is_some_and(|stage| stage["escalated"] == false)),
            expires_at: expires_at(state, gate, promotion).map(|at| at.to_string()),
            also_asked_by: Vec::new(),
            also_waits_for: also_waits_for
                .map(|other| self.people.tell(&other.verdict.why().message))
                .collect(),
            upstream: upstream(state, promotion),
            votes,
        })
    }

    fn votes(&self, version: &Version) -> Vec<api::InboxVote> {
        let metadata = Digest::of_metadata(&version.metadata);
        let votes = self
            .state
            .votes(version.id, self.promotion.environment)
            .into_iter()
            .flatten();
        let mut votes: Vec<api::InboxVote> = votes
            .map(|(user, it)| api::InboxVote {
                user_id: user.to_string(),
                user_name: self.people.name(*user),
                status: it.vote.as_str().to_owned(),
                at: it.at.to_string(),
                reason: Some(it.reason.clone()).filter(|reason| !reason.is_empty()),
                changed_since: it.metadata.is_some_and(|then| then != metadata),
                void: it.digest != version.digest,
            })
            .collect();
        votes.sort_by(|a, b| a.at.cmp(&b.at));
        votes
    }
}

/// The stage that is asked now, as the rule's details tell it.
pub(crate) fn open_stage(details: &api::Json) -> Option<&api::Json> {
    let stages = details["stages"].as_array()?;
    stages.iter().find(|stage| {
        let given = stage["approvals"].as_array().map_or(0, Vec::len);
        let minimum = stage["minimum"].as_u64().unwrap_or(1);
        !stage["openedAt"].is_null() && (given as u64) < minimum
    })
}

/// When a promotion expires unless it is approved by the gate's rule.
pub(crate) fn expires_at(state: &State, gate: &Gate, promotion: &Promotion) -> Option<Timestamp> {
    let policy = state.policies().get(&gate.policy)?;
    let rule = policy.rules.iter().find(|rule| rule.id == gate.rule)?;
    let hours = rule.spec.get("expiresAfterHours")?.as_i64()?;
    Some(promotion.opened_at.plus_seconds(hours.checked_mul(3600)?))
}

/// How the version fared in other environments, the latest first.
fn upstream(state: &State, promotion: &Promotion) -> Vec<api::InboxUpstream> {
    let others = state.environments().keys();
    let others = others.filter(|id| **id != promotion.environment);
    let mut upstream: Vec<api::InboxUpstream> = others
        .filter_map(|id| {
            let track = state.track(promotion.version, *id)?;
            let other = state.promotions().get(&track.promotion?)?;
            let targets = state.lane(LaneKey {
                deployment: promotion.deployment,
                environment: *id,
            });
            let results = track.results.iter();
            let results = results
                .filter(|(resource, _)| {
                    targets.is_some_and(|lane| lane.targets.contains_key(resource))
                })
                .map(|(_, result)| result);
            let results: Vec<_> = results.collect();
            let verified =
                |it: &Verified| results.iter().filter(|one| one.verified() == *it).count();
            Some(api::InboxUpstream {
                environment: wire::environment_ref(state, *id),
                promotion_id: other.id.to_string(),
                status: other.status.to_string(),
                at: other.ended_at.unwrap_or(other.opened_at).to_string(),
                targets: wire::ended_counts(state, other),
                verified: results
                    .iter()
                    .filter(|it| matches!(it.verified(), Verified::Passed(_)))
                    .count(),
                verification_failed: verified(&Verified::Failed),
                results: measured(state, promotion.version, other),
            })
        })
        .collect();
    upstream.sort_by(|a, b| b.at.cmp(&a.at));
    upstream
}

/// What was measured of the version there, as far as it is in memory.
fn measured(state: &State, version: VersionId, promotion: &Promotion) -> Vec<String> {
    let jobs = state.jobs().values();
    let jobs = jobs
        .filter(|job| job.version == version && job.promotion == promotion.id)
        .map(|it| &**it);
    told_measured(state, jobs.collect(), |id| state.verifications().get(&id))
}

/// What the latest verifications of jobs measured: `errors on staging-1: passed`.
fn told_measured<'v>(
    state: &State,
    mut jobs: Vec<&Job>,
    known: impl Fn(VerificationId) -> Option<&'v Verification>,
) -> Vec<String> {
    jobs.sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id)));
    let mut told = BTreeSet::new();
    let mut results = Vec::new();
    for job in jobs {
        let resource = state.resource(job.target.resource);
        let place = resource.map_or("", |it| it.name());
        let latest = job.verifications.last();
        let latest = latest.and_then(|id| known(*id));
        if !told.insert(job.target.resource) {
            continue;
        }
        for run in latest.into_iter().flat_map(|it| &it.metrics) {
            let outcome = match metric_outcome(run) {
                MetricOutcome::Passed => "passed",
                MetricOutcome::Running => "running",
                MetricOutcome::Inconclusive => "inconclusive",
                MetricOutcome::Error => "error",
                MetricOutcome::Failed => "failed",
            };
            results.push(format!("{} on {place}: {outcome}", run.planned.metric.name));
            if results.len() == RESULTS_MAX {
                return results;
            }
        }
    }
    results
}

/// Verifications that whoever may approve decides.
fn undecided(engine: &Engine, user: UserId) -> Vec<api::InboxVerification> {
    let state = engine.state();
    let role = state.users().get(&user);
    if !role.is_some_and(|role| role.allows(Role::Approver)) {
        return Vec::new();
    }
    let undecided = engine.undecided().into_iter().filter_map(|it| {
        let job = state.jobs().get(&it.job)?;
        let resource = state.resource(job.target.resource);
        Some(api::InboxVerification {
            id: it.id.to_string(),
            promotion_id: job.promotion.to_string(),
            deployment: wire::deployment_ref(state, job.target.deployment),
            environment: wire::environment_ref(state, job.target.environment),
            version: wire::version_ref(state, job.version),
            resource: resource.map_or_else(String::new, |it| it.name().to_owned()),
            status: it.status.to_string(),
            since: it.ended_at.unwrap_or(it.started_at).to_string(),
            reason: it.reason.clone(),
        })
    });
    undecided.take(TOLD_MAX).collect()
}
