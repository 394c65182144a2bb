//! A year of a workspace's history, made quickly: versions that go through four environments, with approvals, soaking,
//! measurements, failures and rollbacks. The same number of versions always gives the same log.

use serde_json::json;
use stagegate_engine::{Context, Engine};
use stagegate_model::{
    Actor, Cause, Change, Command, Deployment, DeploymentId, Entry, EntryId, Environment,
    EnvironmentId, Fact, JobAgent, JobId, JobLimitsSpec, JobReport, JobStatus, Json, Metadata,
    NewVersion, Policy, PolicyId, Resource, Role, Rule, SEMANTICS_VERSION, System, Timestamp,
    VerificationId, VersionId, VersionStatus, Vote, WorkspaceId,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// 2025-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp(1_735_689_600_000);
const YEAR_MILLIS: i64 = 365 * 86_400_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// The stages, in their order.
pub const ENVIRONMENTS: [&str; 4] = ["Dev", "QA", "Staging", "Production"];

/// What is going to be said.
#[derive(Clone, Copy)]
enum Event {
    Version(usize),
    Vote(VersionId, usize),
    Claim(JobId),
    Report(JobId),
    Measure(VerificationId),
}

/// A year in the making, and what is known of it without reading its log.
pub struct Year {
    engine: Engine,
    /// The log, as it is stored.
    pub log: Vec<Vec<u8>>,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    now: Timestamp,
    ids: u128,
    person: Actor,
    pub environments: Vec<EnvironmentId>,
    deployments: Vec<DeploymentId>,
    /// How many versions there have been.
    versions: usize,
    /// Versions on which somebody voted for staging, which nothing asked for.
    pub voted_for_staging: BTreeSet<VersionId>,
    /// Which promotions began in their first attempt: version and environment.
    pub started: BTreeSet<(VersionId, EnvironmentId)>,
    first_attempts: BTreeMap<stagegate_model::PromotionId, (VersionId, EnvironmentId)>,
    /// How many promotions there were.
    pub promotions: usize,
    pub rollbacks: usize,
}

/// Makes a year with so many versions of so many deployments.
#[must_use]
pub fn make(deployments: usize, versions: usize) -> Year {
    let mut year = Year::new(deployments);
    let step = YEAR_MILLIS / i64::try_from(versions.max(1)).unwrap_or(1);
    for index in 0..versions {
        let at = START.plus_millis(HOUR + step * i64::try_from(index).unwrap_or(0));
        year.plan(at, Event::Version(index % deployments.max(1)));
    }
    year.run();
    year
}

impl Year {
    fn new(deployments: usize) -> Self {
        let mut year = Self {
            engine: Engine::default(),
            log: Vec::new(),
            agenda: BTreeMap::new(),
            now: START,
            ids: 0,
            person: Actor::System,
            environments: Vec::new(),
            deployments: Vec::new(),
            versions: 0,
            voted_for_staging: BTreeSet::new(),
            started: BTreeSet::new(),
            first_attempts: BTreeMap::new(),
            promotions: 0,
            rollbacks: 0,
        };
        year.configure(deployments);
        year
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        let millis = u128::try_from(self.now.0).unwrap_or(0);
        Uuid::from_u128((millis << 80) | (7 << 76) | (8 << 60) | self.ids)
    }

    fn configure(&mut self, deployments: usize) {
        let workspace = WorkspaceId(self.id());
        self.run_as(
            Actor::System,
            Command::CreateWorkspace {
                id: workspace,
                name: "Year".to_owned(),
                slug: "year".to_owned(),
            },
        );
        let (user, key) = (self.id().into(), self.id().into());
        let role = Role::Admin;
        self.run_as(Actor::System, Command::CreateUser { id: user, role });
        let name = "ann".to_owned();
        let create = Command::CreateKey {
            id: key,
            owner: user,
            role,
            name,
        };
        self.run_as(Actor::System, create);
        self.person = Actor::User { user, key };
        let system = self.id().into();
        let mut changes = vec![
            Change::PutSystem(System {
                id: system,
                name: "Shop".to_owned(),
                slug: "shop".to_owned(),
                description: String::new(),
                metadata: Metadata::new(),
            }),
            Change::PutJobAgent(JobAgent {
                id: self.id().into(),
                name: "runner".to_owned(),
                kind: "exec".to_owned(),
                config: json!({}),
                metadata: Metadata::new(),
                job_limits: JobLimitsSpec::default(),
            }),
        ];
        for name in ENVIRONMENTS {
            let id = self.id().into();
            self.environments.push(id);
            changes.push(Change::PutEnvironment(Environment {
                id,
                name: name.to_owned(),
                description: String::new(),
                metadata: Metadata::new(),
                resource_selector: format!("resource.metadata[\"env\"] == \"{name}\""),
                systems: [system].into(),
                created_at: START,
            }));
            changes.push(Change::PutResource(Resource {
                id: self.id().into(),
                name: format!("{name} host"),
                identifier: format!("{name}-host"),
                kind: "Host".to_owned(),
                version: "v1".to_owned(),
                metadata: [("env".to_owned(), name.to_owned())].into(),
                config: json!({ "host": format!("{name}.example.com") }),
                created_at: START,
                updated_at: None,
            }));
        }
        for index in 0..deployments {
            let id = self.id().into();
            self.deployments.push(id);
            changes.push(Change::PutDeployment(Deployment {
                redeploy_on_variable_change: false,
                job_limits: JobLimitsSpec::default(),
                id,
                name: format!("service-{index}"),
                slug: format!("service-{index}"),
                description: String::new(),
                metadata: Metadata::new(),
                resource_selector: "true".to_owned(),
                job_agent_selector: "jobAgent.name == \"runner\"".to_owned(),
                job_agent_config: json!({}),
                systems: [system].into(),
                created_at: START,
            }));
        }
        let waits = |place: &str, soak: u32| json!({ "environmentProgression": { "waitFor": place, "minimumSoakTimeMinutes": soak } });
        let healthy = json!({ "verification": { "metrics": [{
            "name": "healthy",
            "provider": { "type": "http", "url": "http://{{ resource.config.host }}/health" },
            "successCondition": "result.statusCode == 200",
        }] } });
        let rules = [
            ("QA", vec![waits("Dev", 0)]),
            ("Staging", vec![waits("QA", 10), healthy.clone()]),
            (
                "Production",
                vec![
                    waits("Staging", 30),
                    json!({ "anyApproval": { "minApprovals": 1 } }),
                    healthy,
                    json!({ "rollback": { "onJobStatuses": ["failure"], "onVerificationFailure": true } }),
                ],
            ),
        ];
        for (place, rules) in rules {
            let policy = self.policy(&format!("{place} gates"), place, rules);
            changes.push(Change::PutPolicy(policy));
        }
        self.run_as(self.person, Command::Configure(changes));
    }

    /// A policy on an environment that the year does not have.
    pub fn policy(&mut self, name: &str, environment: &str, rules: Vec<Json>) -> Policy {
        let rules = rules.into_iter().filter_map(|rule| {
            let (kind, spec) = rule.as_object()?.iter().next()?;
            Some((kind.clone(), spec.clone()))
        });
        let rules: Vec<_> = rules.collect();
        Policy {
            id: PolicyId(self.id()),
            name: name.to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
            enabled: true,
            priority: 0,
            selector: format!("environment.name == \"{environment}\""),
            replaces: BTreeSet::new(),
            rules: rules
                .into_iter()
                .map(|(kind, spec)| Rule {
                    id: self.id().into(),
                    kind,
                    spec,
                    created_at: START,
                })
                .collect(),
            created_at: START,
        }
    }

    fn plan(&mut self, at: Timestamp, event: Event) {
        self.ids += 1;
        let number = u64::try_from(self.ids).unwrap_or(u64::MAX);
        self.agenda.insert((at, number), event);
    }

    /// Says whatever is to be said, and wakes in between, until nothing is left.
    fn run(&mut self) {
        while let Some(key) = self.agenda.keys().next().copied() {
            let (at, _) = key;
            if let Some(woken) = self.engine.next_wake().filter(|woken| *woken < at) {
                self.wake(woken);
                continue;
            }
            let event = self.agenda.remove(&key);
            self.now = self.now.max(at);
            if let Some(event) = event {
                self.say(event);
            }
        }
        let end = START.plus_millis(YEAR_MILLIS + 7 * 86_400_000);
        while let Some(woken) = self.engine.next_wake().filter(|woken| *woken < end) {
            self.wake(woken);
        }
    }

    fn wake(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let context = self.context(Actor::System);
        let facts = self.engine.settle(context);
        self.write(context, Cause::Timer, facts);
    }

    fn context(&mut self, actor: Actor) -> Context {
        Context {
            entry: EntryId(self.id()),
            now: self.now,
            actor,
        }
    }

    fn run_as(&mut self, actor: Actor, command: Command) {
        let cause = Cause::Command {
            name: command.name().to_owned(),
        };
        let context = self.context(actor);
        // What is refused is a late word about something that is over.
        let facts = self.engine.execute(command, context).unwrap_or_default();
        self.write(context, cause, facts);
    }

    fn say(&mut self, event: Event) {
        match event {
            Event::Version(index) => self.create_version(index),
            Event::Vote(version, place) => {
                let environments = self.environments.get(place).copied();
                let command = Command::CastVote {
                    version,
                    environments: environments.into_iter().collect(),
                    vote: Vote::Approved,
                    reason: String::new(),
                };
                self.run_as(self.person, command);
            }
            Event::Claim(job) => {
                let command = Command::ClaimJob {
                    job,
                    runner: "runner-1".to_owned(),
                    lease: false,
                };
                self.run_as(Actor::System, command);
                let length = 2 + i64::from(draw(job.0, 1) % 8);
                let at = self.now.plus_millis(length * MINUTE);
                self.plan(at, Event::Report(job));
            }
            Event::Report(job) => {
                let status = match draw(job.0, 2) % 40 {
                    0 => JobStatus::Failure,
                    _ => JobStatus::Successful,
                };
                let report = JobReport {
                    job,
                    status,
                    message: String::new(),
                    runner: Some("runner-1".to_owned()),
                    epoch: None,
                    external_id: None,
                    output_tail: Some("done\n".to_owned()),
                    exit: None,
                    links: BTreeMap::new(),
                };
                self.run_as(Actor::System, Command::ReportJob(report));
            }
            Event::Measure(verification) => {
                let code = match draw(verification.0, 3) % 50 {
                    0 => 500,
                    _ => 200,
                };
                let command = Command::RecordMeasurement {
                    verification,
                    metric: 0,
                    ordinal: 0,
                    outcome: Ok(json!({ "statusCode": code })),
                };
                self.run_as(Actor::System, command);
            }
        }
        while self.engine.is_dirty() {
            let now = self.now;
            self.wake(now);
        }
    }

    fn create_version(&mut self, index: usize) {
        let Some(deployment) = self.deployments.get(index).copied() else {
            return;
        };
        self.versions += 1;
        let id = VersionId(self.id());
        let tag = format!("v{}", self.versions);
        let new = NewVersion {
            job_limits: JobLimitsSpec::default(),
            dependencies: BTreeMap::default(),
            id,
            deployment,
            name: String::new(),
            config: json!({ "image": format!("registry.example.com/service-{index}:{tag}") }),
            tag,
            job_agent_config: json!({}),
            status: VersionStatus::Ready,
            message: String::new(),
            metadata: Metadata::new(),
            created_at: None,
        };
        self.run_as(self.person, Command::CreateVersion(new));
        let after = |minutes: u32| i64::from(minutes) * MINUTE;
        // Somebody approves nine of ten for production, within some hours; half have a vote for staging, at once.
        if !draw(id.0, 4).is_multiple_of(10) {
            let at = self.now.plus_millis(after(60 + draw(id.0, 5) % 300));
            self.plan(at, Event::Vote(id, 3));
        }
        if draw(id.0, 6).is_multiple_of(2) {
            self.voted_for_staging.insert(id);
            let at = self.now.plus_millis(1);
            self.plan(at, Event::Vote(id, 2));
        }
    }

    fn write(&mut self, context: Context, cause: Cause, facts: Vec<Fact>) {
        self.engine.take_archive();
        if facts.is_empty() {
            return;
        }
        for fact in &facts {
            self.follow(fact);
        }
        let state = self.engine.state();
        let entry = Entry {
            workspace: state
                .workspace()
                .map_or(WorkspaceId(Uuid::nil()), |it| it.id),
            seq: state.head().seq,
            id: context.entry,
            time: state.head().time,
            actor: context.actor,
            cause,
            semantics: SEMANTICS_VERSION,
            facts,
        };
        self.log.push(entry.to_bytes());
    }

    fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::PromotionOpened {
                id,
                version,
                environment,
                attempt,
                ..
            } => {
                self.promotions += 1;
                if *attempt == 1 {
                    self.first_attempts.insert(*id, (*version, *environment));
                }
            }
            Fact::JobsCreated {
                promotion, jobs, ..
            } => {
                self.started.extend(self.first_attempts.get(promotion));
                for job in jobs {
                    let seconds = 1 + i64::from(draw(job.job.0, 7) % 30);
                    let at = self.now.plus_seconds(seconds);
                    self.plan(at, Event::Claim(job.job));
                }
            }
            Fact::VerificationStarted { id, .. } => {
                let at = self.now.plus_seconds(5);
                self.plan(at, Event::Measure(*id));
            }
            Fact::TargetOrdered { .. } => self.rollbacks += 1,
            _ => {}
        }
    }
}

/// A number drawn from an id: the same at every run.
fn draw(id: Uuid, salt: u32) -> u32 {
    let (high, low) = id.as_u64_pair();
    let mut mixed =
        high ^ low.rotate_left(29) ^ u64::from(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    u32::try_from(mixed >> 32).unwrap_or(0)
}
