//! What people ask for outside of the ordinary course.

use super::acts::Maker;
use crate::plan::Act;
use stagegate_model::*;

impl Maker<'_> {
    /// The command of a step that departs from the ordinary course; `None` when there is nothing it could be about.
    pub(super) fn order(&mut self, act: Act) -> Option<Command> {
        let reason = "because".to_owned();
        Some(match act {
            Act::Redeploy => Command::Redeploy {
                targets: vec![self.any_target()?],
                reason,
            },
            Act::Rollback => Command::Rollback {
                targets: vec![self.target_to_roll_back()?],
                reason,
            },
            Act::ReleaseHold => {
                let held = self.ledger.targets.iter();
                let held = held.filter(|(_, target)| target.held.is_some());
                let held: Vec<TargetKey> = held.map(|(key, _)| *key).collect();
                Command::ReleaseHold {
                    targets: vec![self.dice.any(held)?],
                    reason,
                }
            }
            Act::ClearQuarantine => {
                let stopped = self.ledger.stops.iter();
                let stopped = stopped.filter(|(_, it)| it.quarantined || !it.failed.is_empty());
                let stopped: Vec<_> = stopped.map(|(key, _)| *key).collect();
                let (version, environment) = self.dice.any(stopped)?;
                Command::ClearQuarantine {
                    version,
                    environment,
                    reason,
                }
            }
            Act::CancelPromotion => Command::CancelPromotion {
                promotion: self.any_promotion(|it| it.is_open())?,
                reason,
            },
            Act::ReopenPromotion => Command::ReopenPromotion {
                promotion: self.any_promotion(|it| {
                    matches!(it, PromotionStatus::Cancelled | PromotionStatus::Expired)
                })?,
                reason,
            },
            Act::PauseRollout => Command::PauseRollout {
                promotion: self.any_promotion(|it| it.is_open())?,
                reason,
            },
            Act::ResumeRollout => {
                let ledger = self.ledger;
                let paused = ledger.promotions.iter().filter(|(_, it)| {
                    let stops = ledger.stops.get(&(it.version, it.environment));
                    it.status.is_open() && stops.is_some_and(|stops| stops.paused)
                });
                let paused: Vec<PromotionId> = paused.map(|(id, _)| *id).collect();
                Command::ResumeRollout {
                    promotion: self.dice.any(paused)?,
                    reason,
                }
            }
            Act::BreakGlass => {
                let target = self.any_target()?;
                let versions = self.ledger.versions_of(target.deployment);
                let versions = versions.iter().take(4).map(|it| it.id);
                Command::BreakGlass {
                    version: self.dice.any(versions)?,
                    targets: vec![target],
                    reason,
                }
            }
            Act::CancelJob => {
                let running = self.ledger.jobs.iter();
                let running = running.filter(|(_, job)| !job.status.is_terminal());
                let running: Vec<JobId> = running.map(|(id, _)| *id).collect();
                Command::CancelJob {
                    job: self.dice.any(running)?,
                    reason,
                }
            }
            Act::PutFreeze => Command::PutFreeze(self.freeze()),
            Act::DeleteFreeze => Command::DeleteFreeze {
                id: self.dice.any(self.ledger.freezes.keys().copied())?,
                reason,
            },
            Act::CreateSkip => Command::CreateSkip(self.skip()?),
            Act::DeleteSkip => Command::DeleteSkip {
                id: self.dice.any(self.ledger.skips.keys().copied())?,
                reason,
            },
            Act::EditGroup => {
                let id = self.dice.any(self.ledger.groups.keys().copied())?;
                let mut group = self.ledger.groups.get(&id)?.clone();
                let roles = self.ledger.roles.iter();
                let voters = roles.filter(|(_, role)| **role == Role::Approver);
                let voter = self.dice.any(voters.map(|(id, _)| *id))?;
                if !group.members.remove(&voter) {
                    group.members.insert(voter);
                }
                Command::PutGroup(group)
            }
            _ => return None,
        })
    }

    /// A target, one that has something more likely.
    fn any_target(&mut self) -> Option<TargetKey> {
        let had = self.ledger.targets.iter();
        let had = had.filter(|(_, target)| target.member && target.number > 0);
        let had: Vec<TargetKey> = had.map(|(key, _)| *key).collect();
        if self.dice.chance(90) && !had.is_empty() {
            return self.dice.any(had);
        }
        self.dice.any(self.ledger.targets.keys().copied())
    }

    fn target_to_roll_back(&mut self) -> Option<RollbackTarget> {
        let several = self.ledger.targets.iter();
        let several = several.filter(|(_, target)| target.member && target.good.len() > 1);
        let several: Vec<TargetKey> = several.map(|(key, _)| *key).collect();
        let target = match self.dice.any(several) {
            Some(target) => target,
            None => self.any_target()?,
        };
        let good = self.ledger.targets.get(&target)?.good.clone();
        let named = self.dice.chance(30);
        let to = self.dice.any(good).filter(|_| named);
        let to = to.map(|(id, version)| EarlierRelease { id, version });
        Some(RollbackTarget { target, to })
    }

    fn any_promotion(&mut self, which: fn(PromotionStatus) -> bool) -> Option<PromotionId> {
        let all = self.ledger.promotions.iter();
        let all = all.filter(|(_, promotion)| which(promotion.status));
        let all: Vec<PromotionId> = all.map(|(id, _)| *id).collect();
        self.dice.any(all)
    }

    /// A rule that somebody waits for, more likely than any; for a while, and for one version or resource or more.
    fn skip(&mut self) -> Option<Skip> {
        let ledger = self.ledger;
        let waited = ledger.promotions.values().filter(|it| it.status.is_open());
        let waited = waited.flat_map(|it| {
            let shut = it.gates.values();
            let shut = shut.filter(|gate| matches!(gate.state, GateState::Wait | GateState::Deny));
            shut.map(|gate| (gate.rule, Some(it.version), Some(it.environment)))
        });
        let waited: Vec<_> = waited.collect();
        let rules = ledger.policies.values().flat_map(|policy| &policy.rules);
        let rules = rules.map(|rule| (rule.id, None, None));
        let freezes = ledger.freezes.keys();
        let freezes = freezes.map(|id| (RuleId(id.0), None, None));
        let any = self.dice.any(rules.chain(freezes))?;
        let often = self.dice.chance(80);
        let chosen = self.dice.any(waited).filter(|_| often);
        let (rule, version, environment) = chosen.unwrap_or(any);
        let version = version.or(self.any_version());
        let environment = environment.or(self.dice.any(ledger.environments.keys().copied()));
        let members = ledger.targets.iter().filter(|(_, it)| it.member);
        let members = members.filter(|(key, _)| Some(key.environment) == environment);
        let members: Vec<ResourceId> = members.map(|(key, _)| key.resource).collect();
        let resource = self.dice.any(members);
        // Many end before what began under them is through.
        let lasts = match self.dice.below(2) {
            0 => self.dice.between(1_000, 60_000),
            _ => self.dice.between(60_000, 7_200_000),
        };
        let ends = self.dice.chance(75);
        Some(Skip {
            id: SkipId(self.ids.next(self.now.0, self.stream)),
            rule,
            version: version.filter(|_| self.dice.chance(65)),
            environment: environment.filter(|_| self.dice.chance(80)),
            resource: resource.filter(|_| self.dice.chance(25)),
            reason: "it is urgent".to_owned(),
            expires_at: ends.then(|| self.now.plus_millis(lasts)),
            created_at: self.now,
            created_by: None,
        })
    }

    fn freeze(&mut self) -> Freeze {
        let ledger = self.ledger;
        let stages: Vec<&str> = ledger
            .environments
            .values()
            .map(|it| it.name.as_str())
            .collect();
        let known = self.dice.any(ledger.freezes.values().cloned());
        let known = known.filter(|_| self.dice.chance(30));
        let id = known.map_or_else(
            || FreezeId(self.ids.next(self.now.0, self.stream)),
            |it| it.id,
        );
        let starts_at = self.now.plus_millis(self.dice.between(-60_000, 600_000));
        let ends = self.dice.chance(80);
        let lasts = self.dice.between(60_000, 7_200_000);
        Freeze {
            id,
            name: format!("freeze {}", id.0),
            selector: super::setup::selector(self.dice, &stages),
            reason: "a holiday".to_owned(),
            starts_at,
            ends_at: ends.then(|| self.now.plus_millis(600_001 + lasts)),
            allow_rollback: self.dice.chance(60),
            created_at: self.now,
            created_by: None,
        }
    }
}
