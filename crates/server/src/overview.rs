//! The workspace at a glance: for each deployment its environments and how its versions stand there. The API's
//! status and the first page show the same.

use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Action, Engine, Explanation, Gate, LaneKey, Promotion, Shown, State};
use stagegate_model::{
    Deployment, DeploymentId, EnvironmentId, StartKind, Timestamp, Version, VersionId,
    VersionStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many versions of a deployment are shown, apart from those that run somewhere.
const VERSIONS_SHOWN: usize = 10;

/// The workspace at a glance, and what its cells wait for.
pub(crate) struct Overview {
    pub status: api::Status,
    /// For the cells with a closed gate.
    pub needs: Needs,
}

/// What would let a version in, where it is not let in yet.
#[derive(Default)]
pub(crate) struct Need {
    /// Whether a person's vote could.
    pub vote: bool,
    /// Who can do something about it, each once.
    pub who: Vec<String>,
    /// When time alone does.
    pub earliest: Option<Timestamp>,
}

/// Everything, or one deployment.
pub(crate) fn overview(engine: &Engine, only: Option<DeploymentId>, now: Timestamp) -> Overview {
    let state = engine.state();
    let mut needs = BTreeMap::new();
    let mut deployments: Vec<&Deployment> = state
        .deployments()
        .values()
        .map(|it| &**it)
        .filter(|it| only.is_none_or(|id| id == it.id))
        .collect();
    deployments.sort_by_key(|it| it.name.to_lowercase());
    let status = api::Status {
        deployments: deployments
            .into_iter()
            .map(|it| deployment(engine, it, now, &mut needs))
            .collect(),
        seq: state.head().seq,
    };
    Overview { status, needs }
}

type Needs = BTreeMap<(VersionId, EnvironmentId), Need>;

fn deployment(
    engine: &Engine,
    it: &Deployment,
    now: Timestamp,
    needs: &mut Needs,
) -> api::DeploymentStatus {
    let state = engine.state();
    let environments = environments_of(state, it);
    let running = running(state, it.id, &environments);
    let shown = shown(state, it.id, &running);
    // The newest version is asked about everywhere; what its gates wait for is the order of the stages.
    let asked: Vec<Option<Explanation>> = environments
        .iter()
        .map(|environment| {
            let lane = lane(it.id, *environment);
            engine.explain_shown(lane, shown.first()?.id, Shown::NONE, now)
        })
        .collect();
    let waits_for: Vec<BTreeSet<usize>> = asked
        .iter()
        .map(|explanation| waits_for(state, &environments, explanation.as_ref()))
        .collect();
    let order = in_order_of_promotion(&waits_for);
    let environments: Vec<EnvironmentId> = order.iter().map(|index| environments[*index]).collect();
    api::DeploymentStatus {
        deployment: wire::deployment_ref(state, it.id),
        environments: environments
            .iter()
            .map(|id| environment(state, lane(it.id, *id), running.get(id)))
            .collect(),
        versions: shown
            .iter()
            .map(|version| api::VersionStatusRow {
                id: version.id.to_string(),
                tag: version.tag.clone(),
                status: version.status.to_string(),
                created_at: version.created_at.to_string(),
                cells: environments
                    .iter()
                    .map(|environment| {
                        let lane = lane(it.id, *environment);
                        cell(engine, lane, version, shown.first(), now, needs)
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn lane(deployment: DeploymentId, environment: EnvironmentId) -> LaneKey {
    LaneKey {
        deployment,
        environment,
    }
}

/// Those that share a system with the deployment, in the order in which they were made.
fn environments_of(state: &State, deployment: &Deployment) -> Vec<EnvironmentId> {
    let mut environments: Vec<_> = state
        .environments()
        .values()
        .filter(|it| {
            let has_targets = state
                .lane(lane(deployment.id, it.id))
                .is_some_and(|lane| !lane.targets.is_empty());
            has_targets || !it.systems.is_disjoint(&deployment.systems)
        })
        .collect();
    environments.sort_by_key(|it| (it.created_at, it.id));
    environments.into_iter().map(|it| it.id).collect()
}

/// How many targets run which version, for each environment.
fn running(
    state: &State,
    deployment: DeploymentId,
    environments: &[EnvironmentId],
) -> BTreeMap<EnvironmentId, BTreeMap<VersionId, usize>> {
    environments
        .iter()
        .map(|environment| {
            let mut counts = BTreeMap::new();
            let lane = state.lane(lane(deployment, *environment));
            let targets = lane.into_iter().flat_map(|lane| lane.targets.values());
            // What was deployed last runs there, whether or not it has turned out well.
            for version in targets.filter_map(|target| target.deployed()) {
                *counts.entry(version).or_default() += 1;
            }
            (*environment, counts)
        })
        .collect()
}

/// The newest versions and those that run somewhere, newest first.
fn shown<'s>(
    state: &'s State,
    deployment: DeploymentId,
    running: &BTreeMap<EnvironmentId, BTreeMap<VersionId, usize>>,
) -> Vec<&'s Version> {
    let somewhere: BTreeSet<VersionId> = running
        .values()
        .flat_map(|counts| counts.keys().copied())
        .collect();
    state
        .versions_of(deployment)
        .enumerate()
        .filter(|(index, version)| *index < VERSIONS_SHOWN || somewhere.contains(&version.id))
        .map(|(_, version)| &**version)
        .collect()
}

/// Indexes of the environments that the gates wait for, or waited for before they let the version in for good.
fn waits_for(
    state: &State,
    environments: &[EnvironmentId],
    explanation: Option<&Explanation>,
) -> BTreeSet<usize> {
    let named = |gate: &Gate| {
        let policy = state.policies().get(&gate.policy)?;
        let rule = policy.rules.iter().find(|rule| rule.id == gate.rule)?;
        let name = rule.spec.get("waitFor")?.as_str()?.to_lowercase();
        let mut all = state.environments().values();
        Some(all.find(|it| it.name.to_lowercase() == name)?.id)
    };
    let told = |gate: &Gate| {
        let details = &gate.verdict.why().details;
        details.get("environmentId")?.as_str()?.parse().ok()
    };
    explanation
        .into_iter()
        .flat_map(|it| &it.gates)
        .filter_map(|gate| told(gate).or_else(|| named(gate)))
        .filter_map(|id: EnvironmentId| environments.iter().position(|it| *it == id))
        .collect()
}

/// Indexes such that an environment stands behind those it waits for; otherwise as they were.
fn in_order_of_promotion(waits_for: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(waits_for.len());
    while order.len() < waits_for.len() {
        let left = (0..waits_for.len()).filter(|index| !order.contains(index));
        let free = left.clone().find(|index| {
            let mut needed = waits_for.get(*index).into_iter().flatten();
            needed.all(|needed| needed == index || order.contains(needed))
        });
        // In a circle of environments any beginning is as good as another.
        let Some(next) = free.or_else(|| left.clone().next()) else {
            break;
        };
        order.push(next);
    }
    order
}

fn environment(
    state: &State,
    lane: LaneKey,
    running: Option<&BTreeMap<VersionId, usize>>,
) -> api::EnvironmentStatus {
    let mut current: Vec<(&Version, usize)> = running
        .into_iter()
        .flatten()
        .filter_map(|(version, count)| Some((&**state.versions().get(version)?, *count)))
        .collect();
    current.sort_by_key(|(version, _)| std::cmp::Reverse(version.order()));
    api::EnvironmentStatus {
        id: lane.environment.to_string(),
        name: wire::environment_name(state, lane.environment),
        targets: state.lane(lane).map_or(0, |lane| lane.targets.len()),
        current: current
            .into_iter()
            .map(|(version, count)| api::TagCount {
                tag: version.tag.clone(),
                count,
            })
            .collect(),
        held: state.lane(lane).map_or(0, |lane| lane.held.len()),
        break_glass: past_the_gates(state, lane),
    }
}

/// How many targets were last given something past the gates.
fn past_the_gates(state: &State, lane: LaneKey) -> usize {
    let targets = state.lane(lane).into_iter().flat_map(|it| &it.targets);
    let latest = targets.filter_map(|(_, target)| state.latest(target));
    latest
        .filter(|release| release.kind == StartKind::BreakGlass)
        .count()
}

/// What else is to be known of a version in an environment, each in a word.
fn marks(
    state: &State,
    lane: LaneKey,
    version: &Version,
    promotion: Option<&Promotion>,
) -> Vec<String> {
    let mut marks: Vec<&str> = Vec::new();
    if let Some(promotion) = promotion {
        match promotion.kind {
            StartKind::Rollback | StartKind::Redeploy => marks.push(promotion.kind.as_str()),
            _ => {}
        }
        if promotion.break_glass {
            marks.push("breakGlass");
        }
        if promotion.status.is_open() && promotion.retrying > 0 {
            marks.push("retrying");
        }
    }
    let track = state.track(version.id, lane.environment);
    if track.is_some_and(|track| track.quarantined.is_some()) {
        marks.push("quarantined");
    }
    let open = promotion.is_some_and(|promotion| promotion.status.is_open());
    if open && track.is_some_and(|track| track.paused.is_some()) {
        marks.push("paused");
    }
    marks.into_iter().map(str::to_owned).collect()
}

/// One version in one environment. Only what may still move is decided anew; the rest is as recorded.
fn cell(
    engine: &Engine,
    lane: LaneKey,
    version: &Version,
    newest: Option<&&Version>,
    now: Timestamp,
    needs: &mut Needs,
) -> api::StatusCell {
    let state = engine.state();
    let promotion = state
        .track(version.id, lane.environment)
        .and_then(|track| track.promotion)
        .and_then(|id| state.promotions().get(&id));
    let is_newest = newest.is_some_and(|newest| newest.id == version.id);
    let undecided = promotion.map_or(is_newest, |promotion| promotion.status.is_open());
    let explanation = undecided
        .then(|| engine.explain_shown(lane, version.id, Shown::NONE, now))
        .flatten();
    if let Some(need) = explanation.as_ref().and_then(need) {
        needs.insert((version.id, lane.environment), need);
    }
    let (reason, targets) = match (&explanation, promotion) {
        _ if version.status != VersionStatus::Ready && promotion.is_none() => (
            format!("the version is {}", version.status),
            Default::default(),
        ),
        (Some(explanation), _) => (
            explanation.summary.clone(),
            wire::standing_counts(&explanation.tally),
        ),
        (None, Some(promotion)) => {
            let reason = match promotion.superseded_by {
                Some(by) => format!("{} took its place", wire::tag(state, by)),
                None => promotion.reason.clone(),
            };
            (reason, wire::ended_counts(state, promotion))
        }
        (None, None) => Default::default(),
    };
    api::StatusCell {
        environment_id: lane.environment.to_string(),
        promotion_id: promotion.map(|it| it.id.to_string()),
        status: promotion.map_or_else(String::new, |it| it.status.to_string()),
        reason,
        targets,
        marks: marks(state, lane, version, promotion),
    }
}

/// What is asked for by what stops the version and by the closed gates; `None` where nothing is in its way.
fn need(explanation: &Explanation) -> Option<Need> {
    let gates = explanation.gates.iter();
    let closed = gates
        .filter(|gate| !gate.verdict.is_allowed())
        .map(|gate| gate.verdict.why());
    let mut reasons = explanation.stopped.iter().chain(closed).peekable();
    reasons.peek()?;
    let mut need = Need {
        earliest: explanation.earliest,
        ..Need::default()
    };
    for why in reasons {
        need.vote |= why.action == Action::Approval;
        if !why.who.is_empty() && !need.who.contains(&why.who) {
            need.who.push(why.who.clone());
        }
    }
    Some(need)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_engine::{Reason, Verdict};
    use stagegate_model::RuleId;
    use uuid::Uuid;

    #[test]
    fn a_need_names_everyone_once_and_what_stops_the_version_first() {
        let gate = |verdict| Gate {
            policy: Uuid::nil().into(),
            policy_name: String::new(),
            rule: RuleId(Uuid::nil()),
            kind: "anyApproval",
            verdict,
            latched: false,
            since: None,
        };
        let why = |who: &str, action| Reason {
            who: who.to_owned(),
            action,
            ..Reason::default()
        };
        let shut = |who, action| {
            gate(Verdict::Deny {
                why: why(who, action),
            })
        };
        let mut explanation = Explanation {
            lane: lane(Uuid::nil().into(), Uuid::nil().into()),
            version: Uuid::nil().into(),
            promotion: None,
            status: None,
            summary: String::new(),
            stopped: None,
            gates: Vec::new(),
            tally: Default::default(),
            targets: Vec::new(),
            earliest: None,
        };
        assert!(need(&explanation).is_none());
        explanation.stopped = Some(why("ci", Action::None));
        let stopped = need(&explanation).unwrap();
        assert_eq!((stopped.vote, stopped.who), (false, vec!["ci".to_owned()]));
        explanation.gates = vec![
            shut("approvers", Action::Approval),
            shut("approvers", Action::Approval),
            shut("", Action::Wait),
        ];
        let need = need(&explanation).unwrap();
        assert!(need.vote);
        assert_eq!(need.who, ["ci", "approvers"]);
    }

    #[test]
    fn environments_stand_behind_those_they_wait_for() {
        let of = |waits_for: &[&[usize]]| {
            let waits_for: Vec<BTreeSet<usize>> = waits_for
                .iter()
                .map(|it| it.iter().copied().collect())
                .collect();
            in_order_of_promotion(&waits_for)
        };
        assert_eq!(of(&[&[], &[2], &[0]]), [0, 2, 1]);
        assert_eq!(of(&[&[1], &[0]]), [0, 1]);
        assert_eq!(of(&[&[], &[]]), [0, 1]);
        assert_eq!(of(&[&[0, 1], &[]]), [1, 0]);
    }
}
