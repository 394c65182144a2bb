//! How each rule stands for a version on a target.

use super::selectors::{POLICY_SELECTORS, Said, Subject, UPSTREAM_SELECTORS, meaning};
use super::{Oracle, target};
use stagegate_model::*;

/// How a gate stands. What is shut until somebody does something is `Shut`, whatever it is that they must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Open {
        satisfied_at: Timestamp,
        lapses_at: Option<Timestamp>,
    },
    Until(Timestamp),
    Shut,
}

impl Verdict {
    fn open(satisfied_at: Timestamp) -> Self {
        Self::Open {
            satisfied_at,
            lapses_at: None,
        }
    }

    pub fn changes_at(self) -> Option<Timestamp> {
        match self {
            Self::Open { lapses_at, .. } => lapses_at,
            Self::Until(at) => Some(at),
            Self::Shut => None,
        }
    }
}

/// A rule that applies to a version on a target.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    pub rule: RuleId,
    pub latches: bool,
    pub verdict: Verdict,
}

impl Gate {
    pub fn is_open(&self) -> bool {
        matches!(self.verdict, Verdict::Open { .. })
    }
}

impl Oracle {
    /// The policies that apply to a version on a target, and whether that can be said at all.
    pub fn policies_for(&self, version: &Version, key: TargetKey) -> Vec<(&Policy, Said)> {
        let environment = &self.environments[&key.environment];
        let deployment = &self.deployments[&key.deployment];
        let shared = environment.systems.intersection(&deployment.systems);
        let mut shared: Vec<Option<&System>> = shared.map(|id| self.systems.get(id)).collect();
        if shared.is_empty() {
            shared.push(None);
        }
        let said = |policy: &Policy| {
            let holds = meaning(POLICY_SELECTORS, &policy.selector);
            let in_system = |system: &Option<&System>| {
                holds(Subject {
                    environment,
                    deployment,
                    system: *system,
                    resource: self.resource(key.resource),
                    version,
                })
            };
            // Matching in one of the shared systems is matching.
            shared.iter().map(in_system).max().unwrap_or(Said::No)
        };
        let enabled = self.policies.values().filter(|policy| policy.enabled);
        let matching: Vec<(&Policy, Said)> = enabled
            .map(|policy| (policy, said(policy)))
            .filter(|(_, said)| *said != Said::No)
            .collect();
        let applies = |(policy, _): &&(&Policy, Said)| !is_replaced(policy.id, &matching);
        matching.iter().filter(applies).copied().collect()
    }

    /// Every gate of a version on a target.
    pub fn gates(&self, version: &Version, key: TargetKey, now: Timestamp) -> Vec<Gate> {
        let mut gates = Vec::new();
        for (policy, said) in self.policies_for(version, key) {
            for rule in &policy.rules {
                if said == Said::Error {
                    gates.push(Gate {
                        rule: rule.id,
                        latches: false,
                        verdict: Verdict::Shut,
                    });
                    continue;
                }
                let latched = (version.id, key.environment, rule.id);
                let latched = self.latched.get(&latched).copied();
                let verdict = match rule.kind.as_str() {
                    "anyApproval" => self.approval(rule, version, key.environment, latched),
                    "environmentProgression" => match latched {
                        Some(at) => Verdict::open(at),
                        None => self.progression(rule, version, key, now),
                    },
                    "verification" => continue,
                    other => panic!("the oracle does not know `{other}`"),
                };
                gates.push(Gate {
                    rule: rule.id,
                    latches: true,
                    verdict,
                });
            }
        }
        gates
    }

    fn approval(
        &self,
        rule: &Rule,
        version: &Version,
        environment: EnvironmentId,
        latched: Option<Timestamp>,
    ) -> Verdict {
        let votes = self.votes.get(&(version.id, environment));
        let votes = votes.into_iter().flat_map(|it| it.values());
        let votes: Vec<_> = votes.filter(|vote| vote.2 == version.digest).collect();
        if votes.iter().any(|vote| vote.0 == Vote::Rejected) {
            return Verdict::Shut;
        }
        if let Some(at) = latched {
            return Verdict::open(at);
        }
        let mut approvals: Vec<Timestamp> = votes
            .iter()
            .filter(|vote| vote.0 == Vote::Approved)
            .map(|vote| vote.1)
            .collect();
        approvals.sort_unstable();
        let needed = rule.spec["minApprovals"].as_u64().unwrap() as usize;
        let last = approvals.get(needed - 1);
        last.map_or(Verdict::Shut, |at| Verdict::open(*at))
    }

    fn progression(
        &self,
        rule: &Rule,
        version: &Version,
        key: TargetKey,
        now: Timestamp,
    ) -> Verdict {
        let environment = &self.environments[&key.environment];
        let waited_for = |other: &&Environment| match rule.spec.get("waitFor") {
            Some(name) => other.name.eq_ignore_ascii_case(name.as_str().unwrap()),
            None => {
                let selector = rule.spec["dependsOnEnvironmentSelector"].as_str().unwrap();
                meaning(UPSTREAM_SELECTORS, selector)(other)
            }
        };
        let upstream: Vec<&Environment> = self
            .environments
            .values()
            .filter(|other| other.id != environment.id)
            .filter(|other| !other.systems.is_disjoint(&environment.systems))
            .filter(waited_for)
            .collect();
        let mut verdicts = Vec::new();
        for other in &upstream {
            let here = |it: &TargetKey| {
                (it.deployment, it.environment) == (key.deployment, other.id)
                    && self.places[it].member
            };
            let targets: Vec<TargetKey> = self.places.keys().copied().filter(here).collect();
            if !targets.is_empty() {
                verdicts.push(self.stage(&rule.spec, version, &targets, now));
            }
        }
        let may_be_empty = rule.spec.get("allowNoTargets") == Some(&Json::Bool(true));
        if verdicts.is_empty() && !upstream.is_empty() && may_be_empty {
            return Verdict::open(version.created_at);
        }
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Open { satisfied_at, .. } => (0, *satisfied_at),
            Verdict::Until(at) => (1, *at),
            Verdict::Shut => (2, Timestamp(0)),
        };
        verdicts
            .into_iter()
            .min_by_key(rank)
            .unwrap_or(Verdict::Shut)
    }

    /// How a version stands in one environment that is waited for.
    fn stage(
        &self,
        spec: &Json,
        version: &Version,
        targets: &[TargetKey],
        now: Timestamp,
    ) -> Verdict {
        let percentage = spec.get("minimumSuccessPercentage").and_then(Json::as_u64);
        let required = (targets.len() as u64 * percentage.unwrap_or(100)).div_ceil(100) as usize;
        let stays = targets
            .iter()
            .filter_map(|key| self.stay(spec, version, *key));
        let mut stays: Vec<Stay> = stays.collect();
        stays.sort_unstable_by_key(|stay| stay.from);
        if stays.len() < required {
            return Verdict::Shut;
        }
        let reached = match required {
            0 => version.created_at,
            _ => stays[required - 1].from,
        };
        let minutes = spec.get("minimumSoakTimeMinutes").and_then(Json::as_i64);
        let served = soaked(&stays, reached, required, minutes.unwrap_or(0) * 60_000);
        let Some(served) = served else {
            return Verdict::Shut;
        };
        let newest = stays.last().map_or(reached, |stay| stay.from);
        let hours = spec.get("maximumAgeHours").and_then(Json::as_i64);
        // The first moment at which the most recent success is older than that.
        let lapses_at = hours.map(|hours| newest.plus_millis(hours * 3_600_000 + 1));
        if lapses_at.is_some_and(|at| at <= served.max(now)) {
            return Verdict::Shut;
        }
        if served > now {
            return Verdict::Until(served);
        }
        Verdict::Open {
            satisfied_at: served,
            lapses_at,
        }
    }

    /// How long a version has stood on a target where it succeeded; `None` when it did not.
    fn stay(&self, spec: &Json, version: &Version, key: TargetKey) -> Option<Stay> {
        // Everything that ever ended there, in the order of its end.
        let here = self
            .order
            .iter()
            .filter(|id| self.deploys[*id].target == key);
        let ended: Vec<(&Deploy, JobStatus, Timestamp)> = here
            .filter_map(|id| {
                let deploy = &self.deploys[id];
                deploy.completed.map(|(status, at)| (deploy, status, at))
            })
            .collect();
        let mut standing = None;
        for (index, (deploy, status, _)) in ended.iter().enumerate() {
            // Trying again what stands there and failing leaves it standing.
            let stands = standing.is_some_and(|before: usize| {
                ended[before].1 == JobStatus::Successful
                    && left_at(&ended[before..index], version.id).is_none()
            });
            if deploy.version == version.id && !(stands && *status != JobStatus::Successful) {
                standing = Some(index);
            }
        }
        let standing = standing?;
        let (deploy, status, at) = ended[standing];
        let statuses = spec.get("successStatuses").and_then(Json::as_array);
        let counts = statuses.map_or(status == JobStatus::Successful, |statuses| {
            statuses.iter().any(|it| it == status.as_str())
        });
        let must_be_verified = spec.get("requireVerificationPassed") != Some(&Json::Bool(false));
        let from = match deploy.ended {
            _ if !must_be_verified || !deploy.asked => Some(at),
            Some((ReleaseStatus::Succeeded, verified_at)) => Some(at.max(verified_at)),
            _ => None,
        };
        Some(Stay {
            from: from.filter(|_| counts)?,
            to: left_at(&ended[standing..], version.id),
        })
    }
}

/// When another version took the place of `version`.
fn left_at(ended: &[(&Deploy, JobStatus, Timestamp)], version: VersionId) -> Option<Timestamp> {
    let mut others = ended
        .iter()
        .filter(|(deploy, ..)| deploy.version != version);
    let other = others.find(|(_, status, _)| *status == JobStatus::Successful);
    other.map(|(.., at)| *at)
}

use super::Deploy;

/// From when a success counts, and when another version took its place.
#[derive(Clone, Copy, Debug)]
struct Stay {
    from: Timestamp,
    to: Option<Timestamp>,
}

/// When the version will have been on enough targets for so long without a break; `None` when it is not there any more.
fn soaked(stays: &[Stay], reached: Timestamp, required: usize, millis: i64) -> Option<Timestamp> {
    if millis == 0 || required == 0 {
        return Some(reached.plus_millis(millis));
    }
    let starts = stays
        .iter()
        .map(|stay| stay.from)
        .filter(|from| *from >= reached);
    let mut served = starts.filter_map(|start| {
        let there = |stay: &&Stay| stay.from <= start && stay.to.is_none_or(|to| to > start);
        let end = start.plus_millis(millis);
        // Who leaves at the very end has stayed; who comes as another leaves does not mend the break.
        let broken = stays.iter().filter_map(|stay| stay.to).any(|to| {
            let staying = |stay: &&Stay| stay.from < to && stay.to.is_none_or(|it| it > to);
            to > start && to < end && stays.iter().filter(staying).count() < required
        });
        (stays.iter().filter(there).count() >= required && !broken).then_some(end)
    });
    served.next()
}

/// Whether a policy that itself applies, and of which that can be said, replaces this one.
fn is_replaced(id: PolicyId, matching: &[(&Policy, Said)]) -> bool {
    matching.iter().any(|(other, said)| {
        *said == Said::Yes && other.replaces.contains(&id) && !is_replaced(other.id, matching)
    })
}

/// Where a version stands on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Newer,
    Succeeded,
    Failed,
    Running,
    Verifying,
    Busy,
    Blocked,
    Waiting,
}

impl Oracle {
    pub fn stands(&self, version: &Version, key: TargetKey) -> Standing {
        let place = &self.places[&key];
        if let Some(active) = place.active {
            let deploy = &self.deploys[&active];
            return match (deploy.version == version.id, deploy.completed) {
                (true, None) => Standing::Running,
                (true, Some(_)) => Standing::Verifying,
                (false, _) => Standing::Busy,
            };
        }
        let begun = self.begun(key);
        if begun > Some(version.order()) {
            return Standing::Newer;
        }
        if begun == Some(version.order()) {
            let ended = self.deploys[&place.latest.unwrap()].ended;
            let succeeded = ended.is_some_and(|it| it.0 == ReleaseStatus::Succeeded);
            return if succeeded {
                Standing::Succeeded
            } else {
                Standing::Failed
            };
        }
        if place.blocked == Some(version.id) {
            return Standing::Blocked;
        }
        Standing::Waiting
    }

    /// The members of a lane, and those that only wait for their job to end.
    pub fn targets_of(
        &self,
        deployment: DeploymentId,
        environment: EnvironmentId,
    ) -> Vec<TargetKey> {
        let places = self.places.keys();
        let here = places.filter(|key| **key == target(deployment, environment, key.resource));
        here.copied().collect()
    }
}
