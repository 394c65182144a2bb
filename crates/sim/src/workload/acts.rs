//! What a step of the plan asks for, given what the log says.

use super::Ids;
use super::rules::{KINDS, NEEDED, rule};
use super::setup::{CHANNELS, People, ZONES, any_policy, resource, selector};
use super::variables;
use crate::auditor::Ledger;
use crate::dice::Dice;
use crate::plan::Act;
use serde_json::json;
use stagegate_model::*;
use std::collections::BTreeSet;

/// The command of a step, with who gives it; `None` when there is nothing it could be about.
pub fn command(
    act: Act,
    roll: u64,
    ledger: &Ledger,
    people: &People,
    ids: &mut Ids,
    now: Timestamp,
) -> Option<(Actor, Command)> {
    let mut dice = Dice::new(roll);
    let admin = people.admin?;
    let mut maker = Maker {
        dice: &mut dice,
        ledger,
        ids,
        now,
        stream: roll,
    };
    Some(match act {
        Act::CreateVersion => (people.ci?, maker.create_version()?),
        Act::PatchVersion => (people.ci?, maker.patch_version()?),
        Act::Vote => (*maker.dice.pick(&people.voters), maker.vote()?),
        Act::EditResource => (admin, maker.edit_resource()?),
        Act::AddResource => (admin, maker.add_resource()?),
        Act::DeleteResource => {
            let id = maker.dice.any(ledger.resources.keys().copied())?;
            (admin, Command::Configure(vec![Change::DeleteResource(id)]))
        }
        Act::AddPolicy => (admin, maker.add_policy()),
        Act::EditPolicy => (admin, maker.edit_policy()?),
        Act::TogglePolicy => {
            let mut policy = maker.any_policy()?;
            policy.enabled = !policy.enabled;
            (admin, Command::Configure(vec![Change::PutPolicy(policy)]))
        }
        Act::DeletePolicy => {
            let policy = maker.any_policy()?;
            (
                admin,
                Command::Configure(vec![Change::DeletePolicy(policy.id)]),
            )
        }
        Act::EditEnvironment => (admin, maker.edit_environment()?),
        Act::EditDeployment => (admin, maker.edit_deployment()?),
        Act::DecideVerification => (*maker.dice.pick(&people.voters), maker.decide()?),
        Act::RerunVerification => (*maker.dice.pick(&people.voters), maker.rerun()?),
        Act::StrayReport => (people.runner?, maker.stray_report()?),
        Act::StrayMeasurement => (Actor::System, maker.stray_measurement()?),
        _ => (admin, maker.order(act)?),
    })
}

pub(super) struct Maker<'a> {
    pub dice: &'a mut Dice,
    pub ledger: &'a Ledger,
    pub ids: &'a mut Ids,
    pub now: Timestamp,
    /// Ids of what this step makes come from a stream of its own.
    pub stream: u64,
}

impl Maker<'_> {
    fn stages(&self) -> Vec<&str> {
        let environments = self.ledger.environments.values();
        environments.map(|it| it.name.as_str()).collect()
    }

    fn create_version(&mut self) -> Option<Command> {
        let deployment = self.dice.any(self.ledger.deployments.keys().copied())?;
        let number = self.ledger.versions.len();
        // Now and then CI announces what is there already.
        let tag = if self.dice.chance(6) {
            let known = self.dice.any(self.ledger.versions_of(deployment))?;
            known.tag.clone()
        } else {
            format!(
                "v{}.{number}.{}",
                self.dice.below(2) + 1,
                self.stream % 1000
            )
        };
        let mut metadata = Metadata::new();
        if self.dice.chance(60) {
            metadata.insert("channel".to_owned(), (*self.dice.pick(CHANNELS)).to_owned());
        }
        let created_at = match self.dice.below(10) {
            0 | 1 => Some(self.now.plus_millis(-self.dice.between(1, 7_200_000))),
            2 => Some(self.now.plus_millis(self.dice.between(-1_000, 5_000))),
            _ => None,
        };
        let status = match self.dice.below(10) {
            0 => VersionStatus::Building,
            _ => VersionStatus::Ready,
        };
        let mut dependencies = Dependencies::new();
        if self.dice.chance(12) {
            dependencies.extend(self.dependency());
        }
        Some(Command::CreateVersion(NewVersion {
            job_limits: Default::default(),
            dependencies,
            id: self.ids.next(self.now.0, self.stream).into(),
            deployment,
            tag,
            name: String::new(),
            config: json!({}),
            job_agent_config: json!({}),
            status,
            message: String::new(),
            metadata,
            created_at,
        }))
    }

    /// What a version may need of a deployment; now and then of its own, which is refused.
    fn dependency(&mut self) -> Option<(DeploymentId, VersionDependency)> {
        let of = self.dice.any(self.ledger.deployments.keys().copied())?;
        let version_selector = (*self.dice.pick(NEEDED)).to_owned();
        Some((of, VersionDependency { version_selector }))
    }

    /// A version, a late one more likely than an early one.
    pub(super) fn any_version(&mut self) -> Option<VersionId> {
        let mut all: Vec<&Version> = self.ledger.versions.values().collect();
        all.sort_unstable_by_key(|version| std::cmp::Reverse(version.order()));
        if self.dice.chance(70) {
            all.truncate(4);
        }
        self.dice.any(all).map(|version| version.id)
    }

    fn patch_version(&mut self) -> Option<Command> {
        let id = self.any_version()?;
        let mut patch = VersionPatch {
            id,
            tag: None,
            name: None,
            config: None,
            job_agent_config: None,
            dependencies: Default::default(),
            status: None,
            message: None,
            metadata: None,
        };
        match self.dice.below(6) {
            0 => {
                let channel = (*self.dice.pick(CHANNELS)).to_owned();
                patch.metadata = Some(Metadata::from([("channel".to_owned(), channel)]));
            }
            1 if self.dice.chance(40) => {
                let needed = self.dependency();
                patch.dependencies = needed
                    .into_iter()
                    .map(|(of, needed)| (of, Some(needed).filter(|_| self.dice.chance(60))))
                    .collect();
            }
            1 => patch.config = Some(json!({"size": self.dice.below(3)})),
            _ => {
                patch.status = Some(self.dice.weighted(&[
                    (6, VersionStatus::Ready),
                    (2, VersionStatus::Paused),
                    (2, VersionStatus::Rejected),
                    (1, VersionStatus::Failed),
                    (1, VersionStatus::Building),
                ]));
            }
        }
        Some(Command::UpdateVersion(patch))
    }

    fn vote(&mut self) -> Option<Command> {
        let version = self.any_version()?;
        let first = self.dice.any(self.ledger.environments.keys().copied())?;
        let mut environments = vec![first];
        if self.dice.chance(20) {
            environments.extend(self.ledger.environments.keys().filter(|id| **id != first));
        }
        let vote = self.dice.weighted(&[
            (8, Vote::Approved),
            (1, Vote::Rejected),
            (1, Vote::Withdrawn),
        ]);
        Some(Command::CastVote {
            version,
            environments,
            vote,
            reason: String::new(),
        })
    }

    fn edit_resource(&mut self) -> Option<Command> {
        let id = self.dice.any(self.ledger.resources.keys().copied())?;
        let mut resource = self.ledger.resources.get(&id)?.clone();
        match self.dice.below(6) {
            0 => {
                let stages: Vec<String> = self.stages().into_iter().map(str::to_owned).collect();
                let stage = self.dice.any(stages)?;
                resource.metadata.insert("env".to_owned(), stage);
            }
            1 => drop(resource.metadata.remove("env")),
            2 => resource.config = json!({"host": "elsewhere"}),
            3 => resource.kind = (*self.dice.pick(&["Host", "Function"])).to_owned(),
            _ => {
                let zone = (*self.dice.pick(ZONES)).to_owned();
                resource.metadata.insert("zone".to_owned(), zone);
            }
        }
        resource.updated_at = Some(self.now);
        let mut changes = variables::edit_own(self.stream, self.ledger, id);
        changes.insert(0, Change::PutResource(resource));
        Some(Command::Configure(changes))
    }

    fn add_resource(&mut self) -> Option<Command> {
        let stages: Vec<String> = self.stages().into_iter().map(str::to_owned).collect();
        let stage = self.dice.any(stages)?;
        let suffix = format!("x{}", self.stream % 100_000);
        let resource = resource(self.dice, self.ids, self.now, &stage, &suffix, self.stream);
        Some(Command::Configure(vec![Change::PutResource(resource)]))
    }

    fn add_policy(&mut self) -> Command {
        let known: Vec<PolicyId> = self.ledger.policies.keys().copied().collect();
        let ledger = self.ledger;
        let stages: Vec<&str> = ledger
            .environments
            .values()
            .map(|it| it.name.as_str())
            .collect();
        let name = format!("policy {}", self.stream % 100_000);
        let policy = any_policy(
            self.dice,
            self.ids,
            self.now,
            &stages,
            &known,
            &name,
            self.stream,
        );
        Command::Configure(vec![Change::PutPolicy(policy)])
    }

    fn any_policy(&mut self) -> Option<Policy> {
        let id = self.dice.any(self.ledger.policies.keys().copied())?;
        self.ledger.policies.get(&id).cloned()
    }

    fn edit_policy(&mut self) -> Option<Command> {
        let mut policy = self.any_policy()?;
        let ledger = self.ledger;
        let stages: Vec<&str> = ledger
            .environments
            .values()
            .map(|it| it.name.as_str())
            .collect();
        match self.dice.below(5) {
            0 => policy.selector = selector(self.dice, &stages),
            1 if !policy.rules.is_empty() => {
                let index = self.dice.below(policy.rules.len());
                drop(policy.rules.remove(index));
            }
            2 => policy.replaces = BTreeSet::new(),
            3 => {
                let other = self.dice.any(self.ledger.policies.keys().copied())?;
                policy.replaces.insert(other);
            }
            _ => {
                let kind = *self.dice.pick(KINDS);
                let new = rule(self.dice, self.ids, self.now, kind, &stages, self.stream);
                match policy.rules.iter_mut().find(|it| it.kind == new.kind) {
                    Some(old) => *old = new,
                    None => policy.rules.push(new),
                }
            }
        }
        Some(Command::Configure(vec![Change::PutPolicy(policy)]))
    }

    fn edit_environment(&mut self) -> Option<Command> {
        let id = self.dice.any(self.ledger.environments.keys().copied())?;
        let mut environment = self.ledger.environments.get(&id)?.clone();
        let base = format!("resource.metadata[\"env\"] == \"{}\"", environment.name);
        environment.resource_selector = match self.dice.below(4) {
            0 => format!("{base} && resource.kind == \"Host\""),
            1 => format!(
                "{base} && resource.metadata[\"zone\"] == \"{}\"",
                self.dice.pick(ZONES)
            ),
            2 => "resource.metadata[\"env\"] == \"qa\"".to_owned(),
            _ => base,
        };
        if self.dice.chance(20) {
            let tier = (*self.dice.pick(&["test", "prod"])).to_owned();
            environment.metadata.insert("tier".to_owned(), tier);
        }
        Some(Command::Configure(vec![Change::PutEnvironment(
            environment,
        )]))
    }

    fn edit_deployment(&mut self) -> Option<Command> {
        let id = self.dice.any(self.ledger.deployments.keys().copied())?;
        let mut deployment = self.ledger.deployments.get(&id)?.clone();
        deployment.resource_selector = (*self.dice.pick(&[
            "true",
            "resource.kind == \"Host\"",
            "resource.kind != \"Function\"",
        ]))
        .to_owned();
        let mut changes = variables::edit(self.stream, self.ledger, self.ids, self.now);
        changes.insert(0, Change::PutDeployment(deployment));
        Some(Command::Configure(changes))
    }

    /// A verification, one that a person has to decide if there is any.
    fn any_run(&mut self) -> Option<VerificationId> {
        let paused = self.ledger.runs.iter().filter(|(_, run)| {
            matches!(
                run.status,
                VerificationStatus::Inconclusive | VerificationStatus::Error
            )
        });
        let paused: Vec<VerificationId> = paused.map(|(id, _)| *id).collect();
        if self.dice.chance(85) && !paused.is_empty() {
            return self.dice.any(paused);
        }
        self.dice.any(self.ledger.runs.keys().copied())
    }

    fn decide(&mut self) -> Option<Command> {
        Some(Command::DecideVerification {
            verification: self.any_run()?,
            pass: self.dice.chance(60),
            reason: "looked at it".to_owned(),
        })
    }

    fn rerun(&mut self) -> Option<Command> {
        Some(Command::RerunVerification {
            verification: self.any_run()?,
            reason: "once more".to_owned(),
        })
    }

    fn stray_report(&mut self) -> Option<Command> {
        let recent: Vec<JobId> = self.ledger.jobs.keys().rev().take(8).copied().collect();
        let job = self.dice.any(recent)?;
        if self.dice.chance(25) {
            return Some(Command::ClaimJob {
                lease: false,
                job,
                runner: "stranger".to_owned(),
            });
        }
        let status = *self.dice.pick(&[
            JobStatus::Successful,
            JobStatus::Failure,
            JobStatus::InProgress,
            JobStatus::Queued,
            JobStatus::Cancelled,
        ]);
        Some(Command::ReportJob(JobReport {
            epoch: None,
            exit: None,
            links: Default::default(),
            job,
            status,
            message: "out of nowhere".to_owned(),
            runner: Some("stranger".to_owned()),
            external_id: None,
            output_tail: None,
        }))
    }

    fn stray_measurement(&mut self) -> Option<Command> {
        let recent: Vec<VerificationId> = self.ledger.runs.keys().rev().take(5).copied().collect();
        let verification = self.dice.any(recent)?;
        let ordinal = u32::try_from(self.dice.below(4)).unwrap_or(0);
        let outcome = Ok(json!({"v": self.dice.between(0, 10)}));
        Some(Command::RecordMeasurement {
            verification,
            metric: self.dice.below(3),
            ordinal,
            outcome,
        })
    }
}
