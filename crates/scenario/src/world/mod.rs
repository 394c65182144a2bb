//! The world of one scenario: the engine, its log in memory, a clock that is set, and everyone outside.

mod acts;
mod clock;
mod documents;
mod ledger;
mod orders;
mod people;
mod restart;
pub(crate) mod words;

pub(crate) use ledger::Ledger;

use crate::format::{AgentScript, MetricScript, Person, Scenario};
use crate::reader::spelled;
use stagegate_engine::{Context, Engine, Job, LaneKey};
use stagegate_model::{
    Actor, Cause, Command, DeploymentId, Entry, EntryId, EnvironmentId, Fact, JobId, JobReport,
    KeyId, Rejection, SEMANTICS_VERSION, Timestamp, UserId, Version, VersionId, WorkspaceId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// How many entries one scenario may write.
const ENTRIES_MAX: usize = 200_000;

/// Why an act did not do what it should.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Stagegate refused it.
    Refused(Vec<Refusal>),
    /// The scenario asks for what cannot be, or the engine misbehaves.
    Wrong(String),
}

/// A refusal, of a command or of documents.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub code: String,
    pub message: String,
    pub field: String,
    pub hint: String,
    /// File, line and column of the documents it points at.
    pub place: Option<(String, usize, usize)>,
}

impl Refusal {
    pub fn rendered(&self) -> String {
        let mut text = String::new();
        if let Some((file, line, column)) = &self.place {
            text.push_str(&format!("{file}:{line}:{column}: "));
        }
        if !self.field.is_empty() {
            text.push_str(&format!("{}: ", self.field));
        }
        text.push_str(&format!("{} ({})", self.message, self.code));
        if !self.hint.is_empty() {
            text.push_str(&format!("; {}", self.hint));
        }
        text
    }
}

impl From<Rejection> for Trouble {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(vec![Refusal {
            code: rejection.code,
            message: rejection.message,
            field: rejection.field,
            hint: rejection.hint,
            place: None,
        }])
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Wrong(message.into()))
}

pub(crate) struct World {
    pub engine: Engine,
    pub start: Timestamp,
    pub now: Timestamp,
    pub ledger: Ledger,
    /// The facts since the step began.
    pub step_facts: Vec<Fact>,
    pub timeline: Timeline,
    workspace: WorkspaceId,
    entries: Vec<Entry>,
    ids: u64,
    people: BTreeMap<String, (UserId, BTreeMap<String, KeyId>)>,
    /// Skips that were made, with what they were made of.
    skips: Vec<people::Made>,
    agents: Vec<AgentScript>,
    metrics: Vec<MetricScript>,
    /// What agents will say, in the order of time.
    coming: BTreeMap<(Timestamp, u64), Coming>,
    /// Jobs that a script answers or will answer.
    scripted: BTreeSet<JobId>,
    /// Where files of documents are looked for.
    folder: PathBuf,
    /// The scenario's own file, as it is shown.
    file: String,
}

/// Something an agent will say.
struct Coming {
    job: JobId,
    /// `None`: it claims the job.
    outcome: Option<(stagegate_model::JobStatus, String)>,
}

/// What happened, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Since the start.
    pub millis: i64,
    pub text: String,
    /// Whether it followed from what stands above.
    pub followed: bool,
}

impl Timeline {
    pub fn rendered(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for line in &self.lines {
            let time = match last == Some(line.millis) {
                true => String::new(),
                false => spelled(line.millis),
            };
            last = Some(line.millis);
            let indent = if line.followed { "  " } else { "" };
            text.push_str(&format!("{time:<10} {indent}{}\n", line.text));
        }
        text
    }
}

impl World {
    pub fn new(scenario: &Scenario, file: &str, folder: PathBuf) -> Result<Self, Trouble> {
        let mut world = Self {
            engine: Engine::default(),
            start: scenario.start,
            now: scenario.start,
            ledger: Ledger::default(),
            step_facts: Vec::new(),
            timeline: Timeline::default(),
            workspace: WorkspaceId(Uuid::nil()),
            entries: Vec::new(),
            ids: 0,
            people: BTreeMap::new(),
            skips: Vec::new(),
            agents: scenario.agents.clone(),
            metrics: scenario.metrics.clone(),
            coming: BTreeMap::new(),
            scripted: BTreeSet::new(),
            folder,
            file: file.to_owned(),
        };
        world.workspace = world.new_id().into();
        let create = Command::CreateWorkspace {
            id: world.workspace,
            name: "Scenario".to_owned(),
            slug: "scenario".to_owned(),
        };
        world.execute(create, Actor::System)?;
        for person in &scenario.people {
            world.introduce(person)?;
        }
        world.found_groups(&scenario.people)?;
        Ok(world)
    }

    fn introduce(&mut self, person: &Person) -> Result<(), Trouble> {
        let id: UserId = self.new_id().into();
        let role = person
            .keys
            .first()
            .map_or(stagegate_model::Role::Viewer, |key| key.1);
        self.execute(Command::CreateUser { id, role }, Actor::System)?;
        let mut keys = BTreeMap::new();
        for (name, role) in &person.keys {
            let key: KeyId = self.new_id().into();
            let command = Command::CreateKey {
                id: key,
                owner: id,
                role: *role,
                name: name.clone(),
            };
            self.execute(command, Actor::System)?;
            keys.insert(name.clone(), key);
        }
        self.ledger.names.insert(id.0, person.name.clone());
        self.people.insert(person.name.clone(), (id, keys));
        Ok(())
    }

    /// A new id: ordered by time, then by the order in which ids were asked for.
    pub fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        id(self.now, self.ids)
    }

    /// Who `alice`, `alice/phone` or `system` is; absent is Stagegate itself.
    fn actor(&self, by: Option<&str>) -> Result<Actor, Trouble> {
        match by {
            None | Some("system") => Ok(Actor::System),
            Some(by) => {
                let (user, key) = self.key(by)?;
                Ok(Actor::User { user, key })
            }
        }
    }

    fn key(&self, by: &str) -> Result<(UserId, KeyId), Trouble> {
        let (name, key) = by.split_once('/').unwrap_or((by, ""));
        let Some((user, keys)) = self.people.get(name) else {
            let known: Vec<&str> = self.people.keys().map(String::as_str).collect();
            return wrong(format!(
                "there is no person `{name}` under `people:`; {}",
                crate::reader::known_hint(name, &known)
            ));
        };
        let found = match (key, keys.len()) {
            ("", 1) => keys.values().next(),
            _ => keys.get(key),
        };
        match found {
            Some(key) => Ok((*user, *key)),
            None => {
                let known: Vec<_> = keys.keys().map(|key| format!("`{name}/{key}`")).collect();
                wrong(format!(
                    "`{by}` is not one of the keys {}",
                    known.join(", ")
                ))
            }
        }
    }

    /// Reports as the server does, also of a job that the engine has no more.
    pub fn report_job(&mut self, report: JobReport) -> Result<(), Trouble> {
        let here = self.engine.state().jobs().contains_key(&report.job);
        let left = self.ledger.job(report.job).filter(|_| !here);
        let command = match left.map(|job| job.status) {
            None => Command::ReportJob(report),
            Some(standing) => Command::ReportArchivedJob {
                job: report.job,
                status: report.status,
                standing,
            },
        };
        self.execute(command, Actor::System)
    }

    /// Carries out a command and all that follows at this moment.
    pub fn execute(&mut self, command: Command, actor: Actor) -> Result<(), Trouble> {
        let name = command.name().to_owned();
        let context = self.context(actor);
        let facts = self.engine.execute(command, context)?;
        self.append(facts, actor, Cause::Command { name })?;
        self.settle_rest()
    }

    fn context(&mut self, actor: Actor) -> Context {
        Context {
            entry: self.new_id().into(),
            now: self.now,
            actor,
        }
    }

    /// Decides what an entry left over, until nothing is.
    fn settle_rest(&mut self) -> Result<(), Trouble> {
        while self.engine.is_dirty() {
            let of = self.engine.state().head().entry;
            let context = self.context(Actor::System);
            let facts = self.engine.settle(context);
            let quiet = facts.is_empty();
            self.append(facts, Actor::System, Cause::Continued { of })?;
            if quiet && self.engine.is_dirty() {
                return wrong("the engine has something to decide and decides nothing");
            }
        }
        Ok(())
    }

    /// Writes an entry that the engine has folded already.
    fn append(&mut self, facts: Vec<Fact>, actor: Actor, cause: Cause) -> Result<(), Trouble> {
        if facts.is_empty() {
            return Ok(());
        }
        let head = self.engine.state().head();
        self.keep(Entry {
            workspace: self.workspace,
            seq: head.seq,
            id: head.entry,
            time: head.time,
            actor,
            cause,
            semantics: SEMANTICS_VERSION,
            facts,
        })
    }

    fn keep(&mut self, entry: Entry) -> Result<(), Trouble> {
        if self.entries.len() >= ENTRIES_MAX {
            return wrong(format!("more than {ENTRIES_MAX} entries were written"));
        }
        let archived = self.engine.take_archive();
        self.ledger.follow(self.engine.state(), &entry, archived);
        let millis = entry.time.millis_since(self.start);
        let lines = words::lines(&self.ledger, &entry.facts, self.start);
        self.timeline
            .lines
            .extend(lines.into_iter().map(|text| Line {
                millis,
                text,
                followed: true,
            }));
        self.step_facts.extend(entry.facts.iter().cloned());
        self.entries.push(entry);
        self.script_jobs();
        Ok(())
    }

    /// Folds a fact that no command makes, as if a measurement had been judged so.
    fn fold(&mut self, fact: Fact, name: &str) -> Result<(), Trouble> {
        let id: EntryId = self.new_id().into();
        let context = Context {
            entry: id,
            now: self.now,
            actor: Actor::System,
        };
        let facts = self.engine.record(vec![fact], context);
        let head = self.engine.state().head();
        let entry = Entry {
            workspace: self.workspace,
            seq: head.seq,
            id,
            time: head.time,
            actor: Actor::System,
            cause: Cause::Command {
                name: name.to_owned(),
            },
            semantics: SEMANTICS_VERSION,
            facts,
        };
        self.keep(entry)?;
        self.settle_rest()
    }

    /// Notes in the timeline what someone did.
    pub fn tell(&mut self, text: String) {
        self.timeline.lines.push(Line {
            millis: self.now.millis_since(self.start),
            text,
            followed: false,
        });
    }

    /// The deployment of that slug, or the only one.
    pub fn deployment(&self, slug: Option<&str>) -> Result<DeploymentId, String> {
        let deployments = self.engine.state().deployments();
        if let Some(slug) = slug {
            let found = self.engine.state().deployment_by_slug(slug);
            let known: Vec<&str> = deployments.values().map(|it| it.slug.as_str()).collect();
            return found.map(|it| it.id).ok_or_else(|| {
                let hint = crate::reader::known_hint(slug, &known);
                format!("there is no deployment `{slug}`; {hint}")
            });
        }
        let mut ids = deployments.keys();
        match (ids.next(), ids.next()) {
            (Some(only), None) => Ok(*only),
            (None, _) => Err("there is no deployment".to_owned()),
            _ => Err(format!(
                "there are {} deployments; add `deployment:` with a slug",
                deployments.len()
            )),
        }
    }

    pub fn environment(&self, name: &str) -> Result<EnvironmentId, String> {
        let state = self.engine.state();
        let known: Vec<&str> = state
            .environments()
            .values()
            .map(|it| it.name.as_str())
            .collect();
        let found = state.environment_by_name(name).map(|it| it.id);
        found.ok_or_else(|| {
            let hint = crate::reader::known_hint(name, &known);
            format!("there is no environment `{name}`; {hint}")
        })
    }

    pub fn version(&self, deployment: DeploymentId, tag: &str) -> Result<&Arc<Version>, String> {
        let state = self.engine.state();
        state.version_by_tag(deployment, tag).ok_or_else(|| {
            let known: Vec<&str> = state
                .versions_of(deployment)
                .map(|it| it.tag.as_str())
                .collect();
            let hint = crate::reader::known_hint(tag, &known);
            format!("there is no version `{tag}`; {hint}")
        })
    }

    /// The version of that tag, or the newest one.
    pub fn version_or_newest(
        &self,
        deployment: DeploymentId,
        tag: Option<&str>,
    ) -> Result<VersionId, String> {
        match tag {
            Some(tag) => self.version(deployment, tag).map(|it| it.id),
            None => {
                let newest = self.engine.state().versions_of(deployment).next();
                newest
                    .map(|it| it.id)
                    .ok_or_else(|| "there is no version yet".to_owned())
            }
        }
    }

    /// The lanes of a deployment, in the order of their environments' creation.
    pub fn lanes(&self, deployment: DeploymentId) -> Vec<LaneKey> {
        let state = self.engine.state();
        state
            .environments()
            .keys()
            .map(|environment| LaneKey {
                deployment,
                environment: *environment,
            })
            .filter(|lane| state.lane(*lane).is_some())
            .collect()
    }

    /// `Production/production-1`.
    pub fn place(&self, job: &Job) -> String {
        format!(
            "{}/{}",
            self.ledger.name(job.target.environment.0),
            self.ledger.name(job.target.resource.0)
        )
    }

    pub fn user(&self, name: &str) -> Option<UserId> {
        self.people.get(name).map(|person| person.0)
    }

    pub fn entries_len(&self) -> usize {
        self.entries.len()
    }
}

/// The `ordinal`-th id, made at `now`; ids sort by time, then by their number.
fn id(now: Timestamp, ordinal: u64) -> Uuid {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&ordinal.to_be_bytes());
    let millis = u64::try_from(now.0).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
