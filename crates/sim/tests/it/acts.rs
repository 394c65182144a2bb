//! Doing what an explanation says would open a gate, on a copy of the engine.

use super::why::{Proof, engine_seq, settled};
use serde_json::json;
use stagegate_engine::{Context, Engine, Explanation, Gate, LaneKey};
use stagegate_model::*;

/// What came of it.
pub enum Acted {
    /// It is nothing that can be done here, or by nobody there is.
    Nothing,
    /// The gate is open, or says that something else is missing.
    Opened,
    /// It still says the same.
    Shut(String),
}

/// A copy of the engine in which people act.
struct Rehearsal<'a> {
    engine: Engine,
    now: Timestamp,
    told: &'a Explanation,
    asked: u128,
}

impl<'a> Rehearsal<'a> {
    fn new(proof: &Proof<'a>) -> Self {
        Self {
            engine: proof.engine.clone(),
            now: proof.now,
            told: proof.told,
            asked: 0,
        }
    }

    fn run_as(&mut self, user: Option<UserId>, command: Command) -> Result<(), Rejection> {
        self.asked += 1;
        let keys = self.engine.state().keys().iter();
        let mut keys = keys.filter(|(_, key)| Some(key.owner) == user);
        let key = keys.next().map(|(id, _)| *id);
        let actor = match (user, key) {
            (Some(user), Some(key)) => Actor::User { user, key },
            _ => Actor::System,
        };
        let entry = uuid::Uuid::from_u128(0xA000 + self.asked + engine_seq(&self.engine));
        let context = Context {
            entry: EntryId(entry),
            now: self.now,
            actor,
        };
        self.engine.execute(command, context)?;
        self.engine = settled(&self.engine, self.now).0;
        Ok(())
    }

    fn run(&mut self, command: Command) -> Result<(), Rejection> {
        let admin = self.people(&[Role::Admin]).first().copied();
        self.run_as(admin, command)
    }

    fn people(&self, roles: &[Role]) -> Vec<UserId> {
        let users = self.engine.state().users().iter();
        let users = users.filter(|(_, role)| roles.contains(role));
        users.map(|(id, _)| *id).collect()
    }

    fn again(&self, version: VersionId) -> Option<Explanation> {
        self.engine.explain(self.told.lane, version, self.now)
    }

    /// Whether the gate says something else now than it did.
    fn opened(&self, gate: &Gate) -> bool {
        let told = self.again(self.told.version);
        let code = gate.verdict.why().code;
        told.is_some_and(|told| {
            let mut same = told.gates.iter().filter(|it| it.rule == gate.rule);
            !same.any(|it| !it.verdict.is_allowed() && it.verdict.why().code == code)
        })
    }

    fn judged(&self, gate: &Gate, done: Result<(), Rejection>) -> Acted {
        match done {
            Err(refused) => Acted::Shut(format!("refused: {refused}")),
            Ok(()) if self.opened(gate) => Acted::Opened,
            Ok(()) => Acted::Shut("done".to_owned()),
        }
    }

    /// Ends every job that runs on given targets well.
    fn finish(&mut self, jobs: Vec<JobId>) {
        for id in jobs {
            let Some(job) = self.engine.state().jobs().get(&id).cloned() else {
                continue;
            };
            if job.status.is_terminal() {
                continue;
            }
            let (mut runner, mut epoch) = (job.runner.clone(), job.epoch);
            if runner.is_none() {
                let claim = Command::ClaimJob {
                    job: id,
                    runner: "rehearsal".to_owned(),
                    lease: false,
                };
                drop(self.run_as(None, claim));
                let job = self.engine.state().jobs().get(&id);
                runner = job.and_then(|job| job.runner.clone());
                epoch = job.map_or(epoch, |job| job.epoch);
            }
            let report = JobReport {
                epoch: runner.as_ref().map(|_| epoch),
                exit: None,
                links: Default::default(),
                job: id,
                status: JobStatus::Successful,
                message: String::new(),
                runner,
                external_id: None,
                output_tail: None,
            };
            drop(self.run_as(None, Command::ReportJob(report)));
        }
    }

    fn create(&mut self, deployment: DeploymentId) -> Option<VersionId> {
        let id = VersionId(uuid::Uuid::from_u128(0xB000 + engine_seq(&self.engine)));
        let created = Command::CreateVersion(NewVersion {
            job_limits: Default::default(),
            dependencies: Dependencies::new(),
            id,
            deployment,
            tag: format!("v1.rehearsal.{}", self.asked),
            name: String::new(),
            config: json!({}),
            job_agent_config: json!({}),
            status: VersionStatus::Ready,
            message: String::new(),
            metadata: Metadata::from([("channel".to_owned(), "stable".to_owned())]),
            created_at: None,
        });
        self.run(created).ok().map(|()| id)
    }
}

const REASON: &str = "to see whether that is so";

/// Does what is said to open a gate.
pub fn act(proof: &Proof<'_>, gate: &Gate) -> Acted {
    let mut it = Rehearsal::new(proof);
    let reason = REASON.to_owned();
    let LaneKey {
        deployment,
        environment,
    } = proof.told.lane;
    let version = proof.told.version;
    match gate.verdict.why().code {
        "approval_pending" => approve(&mut it, gate),
        "approval_rejected" => {
            let votes = it.engine.state().votes(version, environment);
            let votes = votes.into_iter().flatten();
            let against = votes.filter(|(_, record)| record.vote == Vote::Rejected);
            let against: Vec<UserId> = against.map(|(user, _)| *user).collect();
            let mut done = Ok(());
            for user in against {
                let withdrawn = Command::CastVote {
                    version,
                    environments: vec![environment],
                    vote: Vote::Withdrawn,
                    reason: String::new(),
                };
                done = done.and(it.run_as(Some(user), withdrawn));
            }
            it.judged(gate, done)
        }
        "frozen" => {
            let id = FreezeId(gate.rule.0);
            let done = it.run(Command::DeleteFreeze { id, reason });
            it.judged(gate, done)
        }
        "rollout_paused" if gate.verdict.why().who.contains("create") => {
            let Some(new) = it.create(deployment) else {
                return Acted::Nothing;
            };
            let told = it.again(new);
            let paused = told.is_some_and(|told| {
                let mut gates = told.gates.iter();
                gates.any(|it| it.verdict.why().code == "rollout_paused")
            });
            match paused {
                true => Acted::Shut("a newer version is paused too".to_owned()),
                false => Acted::Opened,
            }
        }
        "rollout_paused" => {
            let Some(promotion) = proof.told.promotion else {
                return Acted::Shut("there is no promotion to resume".to_owned());
            };
            let done = it.run(Command::ResumeRollout { promotion, reason });
            it.judged(gate, done)
        }
        "version_does_not_match" => {
            let Some(new) = it.create(deployment) else {
                return Acted::Nothing;
            };
            let told = it.again(new);
            let open = told.is_some_and(|told| {
                let mut same = told.gates.iter().filter(|it| it.rule == gate.rule);
                same.all(|it| it.verdict.is_allowed())
            });
            match open {
                true => Acted::Opened,
                false => Acted::Shut("a version that matches is shut out too".to_owned()),
            }
        }
        "dependency_pending" => succeed_upstream(&mut it, gate),
        "deployment_dependency_pending" | "version_dependency_pending" => {
            succeed_beside(&mut it, gate)
        }
        _ => Acted::Nothing,
    }
}

/// So many people approve as it says, and no fewer would do.
fn approve(it: &mut Rehearsal<'_>, gate: &Gate) -> Acted {
    let (version, environment) = (it.told.version, it.told.lane.environment);
    let opens = gate.verdict.why().opens.clone();
    let first = opens.split(' ').next().unwrap_or_default();
    let needed = first.parse().unwrap_or(1);
    let votes = it.engine.state().votes(version, environment);
    let votes = votes.into_iter().flatten();
    let given = votes.filter(|(_, record)| record.vote == Vote::Approved);
    let given: Vec<UserId> = given.map(|(user, _)| *user).collect();
    let mut taken = 0;
    for user in it.people(&[Role::Admin, Role::Approver]) {
        if given.contains(&user) || !is_named(it, &gate.verdict.why().who, user) {
            continue;
        }
        let vote = Command::CastVote {
            version,
            environments: vec![environment],
            vote: Vote::Approved,
            reason: String::new(),
        };
        if it.run_as(Some(user), vote).is_err() {
            continue;
        }
        taken += 1;
        match (it.opened(gate), taken == needed) {
            (true, true) => return Acted::Opened,
            (false, true) => return Acted::Shut(format!("{taken} approved: {opens}")),
            (true, false) => return Acted::Shut(format!("{taken} were enough: {opens}")),
            (false, false) => {}
        }
    }
    // There are not enough people who may.
    Acted::Nothing
}

/// Whether a person is among those of whom it says that they can open a gate.
fn is_named(it: &Rehearsal<'_>, who: &str, user: UserId) -> bool {
    let state = it.engine.state();
    let role = state.users().get(&user).map(|role| role.as_str());
    let groups = state.groups_of(user);
    let mut groups = groups.iter().filter_map(|id| state.groups().get(id));
    who.starts_with("anyone")
        || who.split(", ").any(|one| match one.split_once(':') {
            Some(("role", name)) => role == Some(name),
            Some(("group", name)) => groups.any(|group| group.name == name),
            _ => false,
        })
}

/// The version's jobs in the environment that is waited for end well.
fn succeed_upstream(it: &mut Rehearsal<'_>, gate: &Gate) -> Acted {
    let details = &gate.verdict.why().details;
    let id = details.get("environmentId").and_then(Json::as_str);
    let Some(id) = id.and_then(|id| id.parse::<uuid::Uuid>().ok()) else {
        return Acted::Nothing;
    };
    let count = |name: &str| details.get(name).and_then(Json::as_u64).unwrap_or(0);
    let missing = count("required").saturating_sub(count("successes")) as usize;
    let key = LaneKey {
        deployment: it.told.lane.deployment,
        environment: id.into(),
    };
    let version = it.told.version;
    let state = it.engine.state();
    let lane = state.lane(key).into_iter().flat_map(|lane| &lane.targets);
    let running = lane.filter_map(|(_, target)| {
        let job = state.jobs().get(&target.active()?)?;
        // One that has it already counts already, and what was forced there does not.
        let kind = state.releases().get(&job.release)?.kind;
        let counts = kind == StartKind::Forward && job.version == version;
        (counts && !job.status.is_terminal()).then_some(job.id)
    });
    let running: Vec<JobId> = running.collect();
    if running.len() < missing {
        return Acted::Nothing;
    }
    it.finish(running.clone());
    // What is measured first is another matter.
    let jobs = it.engine.state().jobs();
    let asked = running
        .iter()
        .filter_map(|id| jobs.get(id))
        .any(|job| !job.verifications.is_empty() || job.status != JobStatus::Successful);
    match it.opened(gate) {
        true => Acted::Opened,
        false if asked => Acted::Nothing,
        false => Acted::Shut(format!("{} of {missing} succeeded", running.len())),
    }
}

/// New versions of the other deployments succeed wherever they may stand beside.
fn succeed_beside(it: &mut Rehearsal<'_>, gate: &Gate) -> Acted {
    let own = it.told.lane.deployment;
    let only = match gate.verdict.why().code {
        "version_dependency_pending" => Some(DeploymentId(gate.rule.0)),
        _ => None,
    };
    let lane = it.engine.state().lane(it.told.lane);
    let resources = lane.into_iter().flat_map(|lane| lane.targets.keys());
    let resources: Vec<ResourceId> = resources.copied().collect();
    let lanes = it.engine.state().lanes().iter();
    let beside = lanes.filter(|(key, _)| key.deployment != own);
    let beside = beside.filter(|(key, _)| only.is_none_or(|it| it == key.deployment));
    let beside: Vec<TargetKey> = beside
        .flat_map(|(key, lane)| {
            let there = lane.targets.iter();
            let there = there.filter(|(id, it)| {
                resources.contains(id) && it.active().is_none() && !it.leaving()
            });
            there.map(|(id, _)| key.target(*id)).collect::<Vec<_>>()
        })
        .collect();
    let deployments: std::collections::BTreeSet<DeploymentId> =
        beside.iter().map(|it| it.deployment).collect();
    if beside.len() < resources.len() {
        return Acted::Nothing;
    }
    for deployment in deployments {
        let Some(version) = it.create(deployment) else {
            return Acted::Nothing;
        };
        for target in beside.iter().filter(|it| it.deployment == deployment) {
            let forced = Command::BreakGlass {
                version,
                targets: vec![*target],
                reason: REASON.to_owned(),
            };
            drop(it.run(forced));
        }
        let jobs = it.engine.state().jobs().values();
        let jobs = jobs.filter(|job| job.version == version);
        let jobs: Vec<JobId> = jobs.map(|job| job.id).collect();
        it.finish(jobs);
    }
    match it.opened(gate) {
        true => Acted::Opened,
        // It may need another deployment than there is, or what is there is measured or cannot be started first.
        false => Acted::Nothing,
    }
}

/// Does what is said to let a version go on that is stopped apart from rules.
pub fn act_on_stop(proof: &Proof<'_>) -> Acted {
    let Some(stopped) = &proof.told.stopped else {
        return Acted::Nothing;
    };
    let mut it = Rehearsal::new(proof);
    let reason = REASON.to_owned();
    let (version, environment) = (proof.told.version, proof.told.lane.environment);
    let command = match stopped.code {
        "version_quarantined" => Command::ClearQuarantine {
            version,
            environment,
            reason,
        },
        "promotion_cancelled" | "promotion_expired" => match proof.told.promotion {
            Some(promotion) => Command::ReopenPromotion { promotion, reason },
            None => return Acted::Shut("there is no promotion to reopen".to_owned()),
        },
        "version_not_ready" => Command::UpdateVersion(VersionPatch {
            id: version,
            tag: None,
            name: None,
            config: None,
            job_agent_config: None,
            dependencies: Default::default(),
            status: Some(VersionStatus::Ready),
            message: None,
            metadata: None,
        }),
        _ => return Acted::Nothing,
    };
    if let Err(refused) = it.run(command) {
        return Acted::Shut(format!("{}: refused: {refused}", stopped.code));
    }
    let then = it.again(version).and_then(|told| told.stopped);
    match then.filter(|then| then.code == stopped.code) {
        None => Acted::Opened,
        Some(then) => Acted::Shut(then.message),
    }
}
