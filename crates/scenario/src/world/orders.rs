//! People who depart from the ordinary course: redeploy, rollback, hold, quarantine, cancel, pause, break the glass.

use super::{Trouble, World, wrong};
use crate::format::{Earlier, Order, OrderAct, TargetChoice};
use stagegate_engine::Release;
use stagegate_model::{
    Command, DeploymentId, EarlierRelease, EnvironmentId, PromotionId, ReleaseStatus,
    RollbackTarget, TargetKey, VersionId,
};

impl World {
    pub(super) fn order(&mut self, act: &OrderAct) -> Result<(), Trouble> {
        let deployment = self
            .deployment(act.deployment.as_deref())
            .map_err(Trouble::Wrong)?;
        let (words, command) = self.ordered(act, deployment)?;
        let who = act.by.as_deref().unwrap_or("someone");
        self.tell(format!("{who} {words}"));
        let actor = self.actor(act.by.as_deref())?;
        self.execute(command, actor)
    }

    /// What is done, in words and as a command.
    fn ordered(
        &self,
        act: &OrderAct,
        deployment: DeploymentId,
    ) -> Result<(String, Command), Trouble> {
        let reason = act.reason.clone();
        Ok(match &act.order {
            Order::Redeploy(choice) => {
                let targets = self.targets_chosen(deployment, choice)?;
                let words = format!("has {} deployed again", self.in_words(&targets));
                (words, Command::Redeploy { targets, reason })
            }
            Order::ReleaseHold(choice) => {
                let targets = self.targets_chosen(deployment, choice)?;
                let words = format!("releases {}", self.in_words(&targets));
                (words, Command::ReleaseHold { targets, reason })
            }
            Order::Rollback { targets, to } => {
                let keys = self.targets_chosen(deployment, targets)?;
                let mut targets = Vec::with_capacity(keys.len());
                for target in &keys {
                    let to = match to {
                        None => None,
                        Some(to) => Some(self.earlier(*target, to)?),
                    };
                    let target = *target;
                    targets.push(RollbackTarget { target, to });
                }
                let back = match to {
                    None => String::new(),
                    Some(Earlier::Number(number)) => format!(" to release {number}"),
                    Some(Earlier::Version(tag)) => format!(" to {tag}"),
                };
                let words = format!("rolls back {}{back}", self.in_words(&keys));
                (words, Command::Rollback { targets, reason })
            }
            Order::BreakGlass { version, targets } => {
                let tag = version;
                let version = self.version(deployment, tag).map_err(Trouble::Wrong)?.id;
                let targets = self.targets_chosen(deployment, targets)?;
                let words = format!("breaks the glass: {tag} to {}", self.in_words(&targets));
                let command = Command::BreakGlass {
                    version,
                    targets,
                    reason,
                };
                (words, command)
            }
            Order::Promotion {
                act,
                version,
                environment,
            } => {
                let words = format!("{}: {version} in {environment}", does(act));
                let version = self
                    .version(deployment, version)
                    .map_err(Trouble::Wrong)?
                    .id;
                let environment = self.environment(environment).map_err(Trouble::Wrong)?;
                if *act == "clearQuarantine" {
                    let command = Command::ClearQuarantine {
                        version,
                        environment,
                        reason,
                    };
                    return Ok((words, command));
                }
                let promotion = self.promotion_of(version, environment)?;
                let command = match *act {
                    "cancel" => Command::CancelPromotion { promotion, reason },
                    "reopen" => Command::ReopenPromotion { promotion, reason },
                    "pause" => Command::PauseRollout { promotion, reason },
                    _ => Command::ResumeRollout { promotion, reason },
                };
                (words, command)
            }
        })
    }

    /// The targets that are meant, in the order of their environment's and their own name.
    fn targets_chosen(
        &self,
        deployment: DeploymentId,
        choice: &TargetChoice,
    ) -> Result<Vec<TargetKey>, Trouble> {
        let environment = match &choice.environment {
            None => None,
            Some(name) => Some(self.environment(name).map_err(Trouble::Wrong)?),
        };
        let mut found: Vec<(String, TargetKey)> = Vec::new();
        for lane in self.lanes(deployment) {
            if environment.is_some_and(|id| id != lane.environment) {
                continue;
            }
            let targets = self.engine.state().lane(lane).into_iter();
            for resource in targets.flat_map(|it| it.targets.keys()) {
                let name = self.ledger.name(resource.0);
                if choice.resources.is_empty() || choice.resources.iter().any(|it| it == name) {
                    let key = lane.target(*resource);
                    found.push((self.target_in_words(key), key));
                }
            }
        }
        for wanted in &choice.resources {
            let there = |key: &TargetKey| self.ledger.name(key.resource.0) == wanted;
            if !found.iter().any(|(_, key)| there(key)) {
                return wrong(format!("`{wanted}` is no release target there"));
            }
        }
        if found.is_empty() {
            return wrong("there are no release targets there");
        }
        found.sort();
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }

    fn target_in_words(&self, key: TargetKey) -> String {
        let environment = self.ledger.name(key.environment.0);
        format!("{environment}/{}", self.ledger.name(key.resource.0))
    }

    fn in_words(&self, targets: &[TargetKey]) -> String {
        let names: Vec<String> = targets
            .iter()
            .map(|key| self.target_in_words(*key))
            .collect();
        names.join(", ")
    }

    /// The earlier release that is meant; one that never succeeded is none.
    fn earlier(&self, target: TargetKey, to: &Earlier) -> Result<EarlierRelease, Trouble> {
        let good = |release: &&Release| {
            matches!(
                release.status,
                ReleaseStatus::Succeeded | ReleaseStatus::RolledBack
            )
        };
        let releases = self.ledger.releases_of(target);
        let fits = |release: &&Release| match to {
            Earlier::Number(number) => release.number == *number,
            Earlier::Version(tag) => self.ledger.name(release.version.0) == tag,
        };
        let mut fitting = releases.iter().copied().filter(good).filter(fits);
        match fitting.next_back() {
            Some(release) => Ok(EarlierRelease {
                id: release.id,
                version: release.version,
            }),
            None => {
                let all: Vec<String> = releases
                    .iter()
                    .map(|it| {
                        let tag = self.ledger.name(it.version.0);
                        format!("{} ({tag}, {})", it.number, it.status)
                    })
                    .collect();
                wrong(format!(
                    "{} has no such release that succeeded; its releases: {}",
                    self.target_in_words(target),
                    all.join("; ")
                ))
            }
        }
    }

    /// The latest promotion of a version into an environment.
    fn promotion_of(
        &self,
        version: VersionId,
        environment: EnvironmentId,
    ) -> Result<PromotionId, Trouble> {
        let track = self.engine.state().track(version, environment);
        match track.and_then(|track| track.promotion) {
            Some(promotion) => Ok(promotion),
            None => wrong("the version has no promotion there"),
        }
    }
}

fn does(act: &str) -> &'static str {
    match act {
        "clearQuarantine" => "lifts the quarantine",
        "cancel" => "cancels the promotion",
        "reopen" => "reopens the promotion",
        "pause" => "pauses the rollout",
        _ => "has the rollout go on",
    }
}
