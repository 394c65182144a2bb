//! A small workspace under a fake clock. Every command goes through [`World::run`] or [`World::refused`], which
//! write entries as a shell would, fold them a second and a third time elsewhere, and check what must always hold.

mod gone;
mod looking;

use gone::Gone;
pub use looking::satisfied_at;

use crate::book::Book;
use crate::invariants;
use serde_json::{Value, json};
use stagegate_engine::{Context, Engine, Job, Release, State, Verification};
use stagegate_model::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// 2026-03-02T09:00:00Z.
const START: Timestamp = Timestamp(1_772_442_000_000);

pub struct World {
    pub engine: Engine,
    /// Folds every entry, read back from its bytes, from the empty engine on.
    shadow: Engine,
    /// Folds on from a snapshot that is taken anew now and then.
    restored: Engine,
    pub entries: Vec<Entry>,
    /// What has left memory.
    pub gone: Gone,
    pub book: Book,
    pub now: Timestamp,
    /// Checks after every command; off only for very large fleets.
    pub watchful: bool,
    /// Decides as left over, one entry after another, at once; off to look at what lies between.
    pub eager: bool,
    next_id: u128,
    dice: u64,
    pub system: SystemId,
    pub agent: JobAgentId,
    environments: BTreeMap<String, EnvironmentId>,
    deployments: BTreeMap<String, DeploymentId>,
    resources: BTreeMap<String, ResourceId>,
    policies: BTreeMap<String, PolicyId>,
    versions: BTreeMap<String, VersionId>,
    people: BTreeMap<String, (UserId, KeyId)>,
    pub main: DeploymentId,
}

/// Whatever a test told, its history lived once more is the same.
impl Drop for World {
    fn drop(&mut self) {
        if self.watchful && !std::thread::panicking() {
            crate::relive::repeats_itself(&self.entries, self.now);
        }
    }
}

impl World {
    /// A workspace with a system `shop`, an agent `runner`, a deployment `api` that takes every resource, and the
    /// administrator `root`.
    pub fn new() -> Self {
        let nobody = Uuid::nil();
        let mut world = Self {
            engine: Engine::default(),
            shadow: Engine::default(),
            restored: Engine::default(),
            entries: Vec::new(),
            gone: Gone::default(),
            book: Book::default(),
            now: START,
            watchful: true,
            eager: true,
            next_id: 0,
            dice: 0x9E37_79B9_7F4A_7C15,
            system: nobody.into(),
            agent: nobody.into(),
            environments: BTreeMap::new(),
            deployments: BTreeMap::new(),
            resources: BTreeMap::new(),
            policies: BTreeMap::new(),
            versions: BTreeMap::new(),
            people: BTreeMap::new(),
            main: nobody.into(),
        };
        let id = world.id().into();
        world.run_as(
            Actor::System,
            Command::CreateWorkspace {
                id,
                name: "Acme".into(),
                slug: "acme".into(),
            },
        );
        world.person("root", Role::Admin);
        world.system = world.id().into();
        world.agent = world.id().into();
        let (system, agent) = (world.system, world.agent);
        world.configure(vec![
            Change::PutSystem(System {
                id: system,
                name: "shop".into(),
                slug: "shop".into(),
                description: String::new(),
                metadata: Metadata::new(),
            }),
            Change::PutJobAgent(JobAgent {
                id: agent,
                name: "runner".into(),
                kind: "exec".into(),
                config: json!({}),
                metadata: Metadata::new(),
                job_limits: JobLimitsSpec::default(),
            }),
        ]);
        world.main = world.deployment("api");
        world
    }

    /// The next id: the same in every run.
    pub fn id(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128((0x0001_u128 << 112) | (7 << 76) | (8 << 60) | self.next_id)
    }

    fn entry_id(&mut self) -> EntryId {
        self.next_id += 1;
        let millis = u128::try_from(self.now.0).unwrap();
        EntryId(Uuid::from_u128(
            (millis << 80) | (7 << 76) | (8 << 60) | self.next_id,
        ))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    pub fn state(&self) -> &State {
        self.engine.state()
    }

    // ---- commands ----

    /// Carries out a command as the administrator and gives every fact that came of it.
    pub fn run(&mut self, command: Command) -> Vec<Fact> {
        let root = self.actor("root");
        self.run_as(root, command)
    }

    pub fn run_as(&mut self, actor: Actor, command: Command) -> Vec<Fact> {
        let told = format!("{command:?}");
        self.attempt(actor, command)
            .unwrap_or_else(|rejection| panic!("{told} was refused: {rejection}"))
    }

    /// Expects a refusal, and that nothing at all was changed by it.
    pub fn refused(&mut self, command: Command) -> Rejection {
        let root = self.actor("root");
        self.refused_as(root, command)
    }

    pub fn refused_as(&mut self, actor: Actor, command: Command) -> Rejection {
        let told = format!("{command:?}");
        match self.attempt(actor, command) {
            Err(rejection) => rejection,
            Ok(facts) => panic!("{told} was accepted: {facts:?}"),
        }
    }

    pub fn attempt(&mut self, actor: Actor, command: Command) -> Result<Vec<Fact>, Rejection> {
        let before = self.watchful.then(|| invariants::bytes(self.state()));
        let name = command.name().to_owned();
        let entry = self.entry_id();
        let context = Context {
            entry,
            now: self.now,
            actor,
        };
        let facts = match self.engine.execute(command, context) {
            Ok(facts) => facts,
            Err(rejection) => {
                if let Some(before) = before {
                    assert!(
                        before == invariants::bytes(self.state()),
                        "a refused command changed the state: {rejection}"
                    );
                }
                return Err(rejection);
            }
        };
        let mut all = facts.clone();
        self.write(entry, actor, Cause::Command { name }, facts);
        if self.eager {
            all.extend(self.settle());
        }
        Ok(all)
    }

    /// Goes on deciding until nothing is left, as the shell's loop does; checks afterwards.
    pub fn settle(&mut self) -> Vec<Fact> {
        let mut all = Vec::new();
        for round in 0.. {
            assert!(round < 1000, "settling does not come to an end");
            let due = self.engine.next_wake().is_some_and(|at| at <= self.now);
            if !self.engine.is_dirty() && !due {
                break;
            }
            all.extend(self.settle_once());
        }
        if self.watchful {
            let explained = self.roll(4) == 0;
            invariants::check(self, explained);
        }
        all
    }

    /// One entry of what was left over.
    pub fn settle_once(&mut self) -> Vec<Fact> {
        let entry = self.entry_id();
        let context = Context {
            entry,
            now: self.now,
            actor: Actor::System,
        };
        let facts = self.engine.settle(context);
        self.write(entry, Actor::System, Cause::Timer, facts.clone());
        facts
    }

    fn write(&mut self, id: EntryId, actor: Actor, cause: Cause, facts: Vec<Fact>) {
        if facts.is_empty() {
            return;
        }
        let entry = Entry {
            workspace: self
                .state()
                .workspace()
                .map_or(Uuid::nil().into(), |it| it.id),
            seq: self.state().head().seq,
            id,
            time: self.state().head().time,
            actor,
            cause,
            semantics: SEMANTICS_VERSION,
            facts,
        };
        assert_eq!(
            self.entries.last().map_or(0, |last| last.seq) + 1,
            entry.seq,
            "sequence numbers have no gaps"
        );
        let read = Entry::from_bytes(&entry.to_bytes()).expect("an entry reads back");
        assert_eq!(read, entry, "an entry reads back as it was written");
        self.book.follow(&read, self.engine.state());
        self.shadow.replay(&read);
        self.restored.replay(&read);
        if self.watchful && self.roll(5) == 0 {
            let snapshot = invariants::bytes(self.state());
            let state: State = rmp_serde::from_slice(&snapshot).expect("a snapshot reads back");
            self.restored = Engine::new(state);
        }
        self.gone.take(self.engine.take_archive());
        self.entries.push(entry);
    }

    /// The engines that folded the same entries by other ways.
    pub fn others(&self) -> [(&'static str, &Engine); 2] {
        [
            ("replayed from the start", &self.shadow),
            ("replayed from a snapshot", &self.restored),
        ]
    }

    // ---- time ----

    /// Lets time pass, waking whenever the engine asked for it.
    pub fn pass(&mut self, milliseconds: i64) -> Vec<Fact> {
        let end = self.now.plus_millis(milliseconds);
        let mut all = Vec::new();
        while let Some(at) = self.engine.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            all.extend(self.settle());
        }
        self.now = end;
        all.extend(self.settle());
        all
    }

    pub fn minutes(&mut self, minutes: i64) -> Vec<Fact> {
        self.pass(minutes * 60_000)
    }

    pub fn hours(&mut self, hours: i64) -> Vec<Fact> {
        self.minutes(hours * 60)
    }

    // ---- configuration ----

    pub fn configure(&mut self, changes: Vec<Change>) -> Vec<Fact> {
        self.run(Command::Configure(changes))
    }

    /// An environment that takes the resources whose metadata `env` is its name.
    pub fn environment(&mut self, name: &str) -> EnvironmentId {
        let environment = self.new_environment(name);
        let id = environment.id;
        self.configure(vec![Change::PutEnvironment(environment)]);
        id
    }

    pub fn new_environment(&mut self, name: &str) -> Environment {
        let id = self.id().into();
        self.environments.insert(name.to_owned(), id);
        Environment {
            id,
            name: name.to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
            resource_selector: format!("resource.metadata[\"env\"] == \"{name}\""),
            systems: [self.system].into(),
            created_at: self.now,
        }
    }

    pub fn deployment(&mut self, name: &str) -> DeploymentId {
        let deployment = self.new_deployment(name);
        let id = deployment.id;
        self.configure(vec![Change::PutDeployment(deployment)]);
        id
    }

    pub fn new_deployment(&mut self, name: &str) -> Deployment {
        let id = self.id().into();
        self.deployments.insert(name.to_owned(), id);
        Deployment {
            redeploy_on_variable_change: false,
            job_limits: Default::default(),
            id,
            name: name.to_owned(),
            slug: name.to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
            resource_selector: "true".to_owned(),
            job_agent_selector: "jobAgent.name == \"runner\"".to_owned(),
            job_agent_config: json!({}),
            systems: [self.system].into(),
            created_at: self.now,
        }
    }

    /// A resource in the environment of that name, with the host `NAME.local`.
    pub fn resource(&mut self, name: &str, environment: &str) -> ResourceId {
        self.resource_with(name, &[("env", environment)])
    }

    pub fn resource_with(&mut self, name: &str, metadata: &[(&str, &str)]) -> ResourceId {
        let resource = self.new_resource(name, metadata);
        let id = resource.id;
        self.configure(vec![Change::PutResource(resource)]);
        id
    }

    /// A resource not yet there, or the one of that name with other metadata.
    pub fn new_resource(&mut self, name: &str, metadata: &[(&str, &str)]) -> Resource {
        let id = match self.resources.get(name) {
            Some(id) => *id,
            None => self.id().into(),
        };
        self.resources.insert(name.to_owned(), id);
        let metadata = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Resource {
            id,
            name: name.to_owned(),
            identifier: name.to_owned(),
            kind: "server".to_owned(),
            version: "v1".to_owned(),
            metadata: metadata.collect(),
            config: json!({ "host": format!("{name}.local") }),
            created_at: START,
            updated_at: None,
        }
    }

    pub fn delete_resource(&mut self, name: &str) -> Vec<Fact> {
        let id = self.resource_id(name);
        self.configure(vec![Change::DeleteResource(id)])
    }

    /// A rule as users write it: `{kind: spec}`.
    pub fn rule(&mut self, rule: &Value) -> Rule {
        let (kind, spec) = rule.as_object().unwrap().iter().next().unwrap();
        Rule {
            id: self.id().into(),
            kind: kind.clone(),
            spec: spec.clone(),
            created_at: self.now,
        }
    }

    pub fn new_policy(&mut self, name: &str, selector: &str, rules: Value) -> Policy {
        let id = match self.policies.get(name) {
            Some(id) => *id,
            None => self.id().into(),
        };
        self.policies.insert(name.to_owned(), id);
        let rules = rules.as_array().unwrap().clone();
        Policy {
            id,
            name: name.to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
            enabled: true,
            priority: 0,
            selector: selector.to_owned(),
            replaces: Default::default(),
            rules: rules.iter().map(|rule| self.rule(rule)).collect(),
            created_at: START,
        }
    }

    pub fn policy(&mut self, name: &str, selector: &str, rules: Value) -> PolicyId {
        self.policy_replacing(name, selector, &[], rules)
    }

    pub fn policy_replacing(
        &mut self,
        name: &str,
        selector: &str,
        replaced: &[&str],
        rules: Value,
    ) -> PolicyId {
        let mut policy = self.new_policy(name, selector, rules);
        policy.replaces = replaced.iter().map(|name| self.policies[*name]).collect();
        let id = policy.id;
        self.configure(vec![Change::PutPolicy(policy)]);
        id
    }

    /// A policy on the environment of that name.
    pub fn policy_on(&mut self, environment: &str, rules: Value) -> PolicyId {
        let selector = format!("environment.name == \"{environment}\"");
        self.policy(&format!("{environment} policy"), &selector, rules)
    }

    pub fn delete_policy(&mut self, name: &str) -> Vec<Fact> {
        let id = self.policies[name];
        self.configure(vec![Change::DeletePolicy(id)])
    }

    // ---- people ----

    pub fn person(&mut self, name: &str, role: Role) -> UserId {
        let (user, key) = (self.id().into(), self.id().into());
        self.people.insert(name.to_owned(), (user, key));
        self.run_as(Actor::System, Command::CreateUser { id: user, role });
        self.run_as(
            Actor::System,
            Command::CreateKey {
                id: key,
                owner: user,
                role,
                name: name.to_owned(),
            },
        );
        user
    }

    /// Another key of a person.
    pub fn key(&mut self, owner: &str, role: Role) -> Actor {
        let (user, id) = (self.people[owner].0, self.id().into());
        self.run(Command::CreateKey {
            id,
            owner: user,
            role,
            name: "another".into(),
        });
        Actor::User { user, key: id }
    }

    pub fn actor(&self, name: &str) -> Actor {
        self.people
            .get(name)
            .map_or(Actor::System, |(user, key)| Actor::User {
                user: *user,
                key: *key,
            })
    }

    // ---- versions ----

    pub fn new_version(&mut self, tag: &str) -> NewVersion {
        let id = self.id().into();
        self.versions.insert(tag.to_owned(), id);
        NewVersion {
            job_limits: Default::default(),
            dependencies: Default::default(),
            id,
            deployment: self.main,
            tag: tag.to_owned(),
            name: String::new(),
            config: json!({}),
            job_agent_config: json!({}),
            status: VersionStatus::Ready,
            message: String::new(),
            metadata: Metadata::new(),
            created_at: None,
        }
    }

    /// A ready version of `api`.
    pub fn version(&mut self, tag: &str) -> Vec<Fact> {
        let new = self.new_version(tag);
        self.run(Command::CreateVersion(new))
    }

    pub fn version_with(&mut self, tag: &str, metadata: &[(&str, &str)]) -> Vec<Fact> {
        let metadata = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let new = NewVersion {
            metadata: metadata.collect(),
            ..self.new_version(tag)
        };
        self.run(Command::CreateVersion(new))
    }

    pub fn patch(&self, tag: &str) -> VersionPatch {
        VersionPatch {
            id: self.version_id(tag),
            tag: None,
            name: None,
            config: None,
            job_agent_config: None,
            dependencies: Default::default(),
            status: None,
            message: None,
            metadata: None,
        }
    }

    pub fn set_status(&mut self, tag: &str, status: VersionStatus) -> Vec<Fact> {
        let status = Some(status);
        self.run(Command::UpdateVersion(VersionPatch {
            status,
            ..self.patch(tag)
        }))
    }

    pub fn vote_command(&self, tag: &str, environment: &str, vote: Vote) -> Command {
        Command::CastVote {
            version: self.version_id(tag),
            environments: vec![self.environment_id(environment)],
            vote,
            reason: String::new(),
        }
    }

    pub fn vote(&mut self, who: &str, tag: &str, environment: &str, vote: Vote) -> Vec<Fact> {
        let (actor, command) = (self.actor(who), self.vote_command(tag, environment, vote));
        self.run_as(actor, command)
    }

    pub fn approve(&mut self, who: &str, tag: &str, environment: &str) -> Vec<Fact> {
        self.vote(who, tag, environment, Vote::Approved)
    }

    // ---- jobs ----

    /// The jobs of a version in an environment that have not ended, in the order of their resources.
    pub fn open_jobs(&self, tag: &str, environment: &str) -> Vec<JobId> {
        let (version, environment) = (self.version_id(tag), self.environment_id(environment));
        let open = self.state().jobs().values().filter(|job| {
            job.version == version
                && job.target.environment == environment
                && !job.status.is_terminal()
        });
        let mut open: Vec<_> = open.map(|job| (job.target.resource, job.id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
    }

    /// How many jobs were ever created for a version in an environment.
    pub fn jobs_ever(&self, tag: &str, environment: &str) -> usize {
        let (version, environment) = (self.version_id(tag), self.environment_id(environment));
        self.book.jobs_ever(version, environment)
    }

    pub fn job(&self, id: JobId) -> &Job {
        let there = self.state().jobs().get(&id).map(|it| &**it);
        there.unwrap_or_else(|| &self.gone.jobs[&id])
    }

    /// A release, in memory or not.
    pub fn release(&self, id: ReleaseId) -> &Release {
        let there = self.state().releases().get(&id).map(|it| &**it);
        there.unwrap_or_else(|| &self.gone.releases[&id])
    }

    /// A verification, in memory or not.
    pub fn verification(&self, id: VerificationId) -> &Verification {
        let there = self.state().verifications().get(&id);
        there.unwrap_or_else(|| &self.gone.verifications[&id])
    }

    /// The latest job on a resource of `api` in the environment.
    pub fn job_on(&self, resource: &str, environment: &str) -> &Job {
        let lane = self.lane(environment);
        let resource = self.resource_id(resource);
        let target = self.state().lanes()[&lane].targets.get(&resource);
        let latest = target.and_then(|target| target.latest());
        self.job(self.release(latest.expect("a release")).job)
    }

    pub fn report_command(&self, job: JobId, status: JobStatus) -> JobReport {
        JobReport {
            job,
            status,
            message: String::new(),
            runner: None,
            epoch: None,
            external_id: None,
            output_tail: None,
            exit: None,
            links: BTreeMap::new(),
        }
    }

    pub fn report(&mut self, job: JobId, status: JobStatus) -> Vec<Fact> {
        let left = self.gone.jobs.get(&job).map(|job| job.status);
        match left {
            None => self.run(Command::ReportJob(self.report_command(job, status))),
            // As the shell does.
            Some(standing) => self.run(Command::ReportArchivedJob {
                job,
                status,
                standing,
            }),
        }
    }

    /// Claims every open job of a version in an environment and reports how it ended.
    pub fn finish(&mut self, tag: &str, environment: &str, status: JobStatus) {
        let jobs = self.open_jobs(tag, environment);
        assert!(!jobs.is_empty(), "{tag} has no open job in {environment}");
        for job in jobs {
            self.finish_job(job, status);
        }
    }

    pub fn finish_job(&mut self, job: JobId, status: JobStatus) {
        self.run(Command::ClaimJob {
            job,
            runner: "r1".into(),
            lease: false,
        });
        let report = JobReport {
            runner: Some("r1".into()),
            ..self.report_command(job, status)
        };
        self.run(Command::ReportJob(report));
    }

    pub fn succeed(&mut self, tag: &str, environment: &str) {
        self.finish(tag, environment, JobStatus::Successful);
    }

    // ---- verifications ----

    /// The running verifications of a version in an environment.
    pub fn running(&self, tag: &str, environment: &str) -> Vec<VerificationId> {
        self.verifications(tag, environment, Some(VerificationStatus::Running))
    }

    pub fn verifications(
        &self,
        tag: &str,
        environment: &str,
        status: Option<VerificationStatus>,
    ) -> Vec<VerificationId> {
        let (version, environment) = (self.version_id(tag), self.environment_id(environment));
        let all = self.state().verifications().values();
        let gone = self.gone.verifications.values();
        let wanted = all.chain(gone).filter(|it| {
            let job = self.job(it.job);
            job.version == version
                && job.target.environment == environment
                && status.is_none_or(|status| it.status == status)
        });
        let wanted: BTreeSet<_> = wanted.map(|it| it.id).collect();
        wanted.into_iter().collect()
    }

    pub fn measure_one(
        &mut self,
        verification: VerificationId,
        metric: usize,
        outcome: Result<Value, String>,
    ) -> Vec<Fact> {
        let ordinal = self.state().verifications()[&verification].metrics[metric].taken;
        self.run(Command::RecordMeasurement {
            verification,
            metric,
            ordinal,
            outcome,
        })
    }

    /// One measurement of every metric of every running verification of a version in an environment.
    pub fn measure(&mut self, tag: &str, environment: &str, outcome: Result<Value, String>) {
        let running = self.running(tag, environment);
        assert!(
            !running.is_empty(),
            "nothing of {tag} is verified in {environment}"
        );
        for id in running {
            for metric in 0..self.state().verifications()[&id].metrics.len() {
                self.measure_one(id, metric, outcome.clone());
            }
        }
    }

    pub fn healthy(&mut self, tag: &str, environment: &str) {
        self.measure(tag, environment, Ok(json!({ "statusCode": 200 })));
    }

    pub fn attempt_delete_agent(&mut self, id: JobAgentId) -> Rejection {
        self.refused(Command::Configure(vec![Change::DeleteJobAgent(id)]))
    }
}

/// `health-check`: once, the status code must be 200.
pub fn health_check() -> Value {
    json!({ "verification": { "metrics": [metric("health-check")] } })
}

pub fn metric(name: &str) -> Value {
    json!({
        "name": name,
        "provider": { "type": "http", "url": "http://{{ resource.config.host }}/health" },
        "successCondition": "result.statusCode == 200",
    })
}

pub fn wait_for(environment: &str) -> Value {
    json!({ "environmentProgression": { "waitFor": environment } })
}

pub fn approvals(count: u32) -> Value {
    json!({ "anyApproval": { "minApprovals": count } })
}
