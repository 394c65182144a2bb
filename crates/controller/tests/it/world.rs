//! A small workspace over a real SQLite store, with a switch for faults.

use stagegate_controller::{Clock, Committed, Controller, Options, SubmitError, SystemClock};
use stagegate_model::{
    Actor, Change, Command, Deployment, DeploymentId, Environment, EnvironmentId, Fact, JobAgent,
    JobId, JobReport, JobStatus, KeyId, Metadata, NewVersion, Policy, Resource, Role, Rule, System,
    UserId, VersionId, VersionStatus, WorkspaceId,
};
use stagegate_store::{Append, Layer, Row, Snapshot, SqliteStore, Store, StoreError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use uuid::Uuid;

/// What the next appends do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None = 0,
    /// Nothing is written.
    Full = 1,
    /// It is written, but the answer is that nobody knows; once.
    UnknownWritten = 2,
    /// It is not written, and the answer is that nobody knows; once.
    UnknownLost = 3,
}

/// The real store behind a switch.
pub struct FaultyStore {
    inner: SqliteStore,
    fault: AtomicU8,
    /// Whether logs cannot be read at present: whoever reads one waits.
    pub reads_stall: AtomicBool,
    pub commits: AtomicUsize,
}

impl FaultyStore {
    /// The latest snapshot of the only workspace.
    pub fn latest(&self) -> Option<Snapshot> {
        let workspace = *self.inner.workspaces().unwrap().first()?;
        self.inner
            .latest_snapshot(workspace, stagegate_engine::SNAPSHOT_SCHEMA)
            .unwrap()
    }

    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }
}

impl Layer for FaultyStore {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let detail = || "injected".to_owned();
        match self.fault.load(Ordering::SeqCst) {
            1 => Err(StoreError::Full { detail: detail() }),
            2 => {
                self.set(Fault::None);
                self.inner.append(batch)?;
                Err(StoreError::Unknown { detail: detail() })
            }
            3 => {
                self.set(Fault::None);
                Err(StoreError::Unknown { detail: detail() })
            }
            _ => {
                self.commits.fetch_add(1, Ordering::SeqCst);
                self.inner.append(batch)
            }
        }
    }

    fn read(
        &self,
        workspace: WorkspaceId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        while self.reads_stall.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.inner.read(workspace, after_seq, limit)
    }
}

fn id() -> Uuid {
    Uuid::now_v7()
}

/// Opens the store; a controller that was shut down a moment ago may still hold it until its tasks have ended.
pub async fn open_store(dir: &Path) -> SqliteStore {
    for _ in 0..1000 {
        match SqliteStore::open(dir) {
            Err(StoreError::Locked { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the store stays locked");
}

/// A running controller with one workspace.
pub struct World {
    pub controller: Controller,
    pub store: Arc<FaultyStore>,
    pub workspace: WorkspaceId,
    pub actor: Actor,
}

impl World {
    /// Opens what is in the directory, or makes a workspace with one person.
    pub async fn open(dir: &Path) -> Self {
        Self::open_with(dir, Options::default()).await
    }

    pub async fn open_with(dir: &Path, options: Options) -> Self {
        Self::open_at(dir, options, Arc::new(SystemClock)).await
    }

    pub async fn open_at(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Self {
        let inner = open_store(dir).await;
        let store = Arc::new(FaultyStore {
            inner,
            fault: AtomicU8::new(0),
            reads_stall: AtomicBool::new(false),
            commits: AtomicUsize::new(0),
        });
        let controller = Controller::start_with(store.clone(), clock, options).unwrap();
        if let Some(workspace) = controller.workspaces().first().copied() {
            let state = controller
                .read(workspace, |engine| engine.state().clone())
                .await
                .unwrap();
            let (key, stored) = state.keys().iter().next().unwrap();
            let actor = Actor::User {
                user: stored.owner,
                key: *key,
            };
            return Self {
                controller,
                store,
                workspace,
                actor,
            };
        }
        let workspace = WorkspaceId(id());
        controller
            .create_workspace(workspace, "default", "default")
            .await
            .unwrap();
        let (user, key) = (UserId(id()), KeyId(id()));
        let world = Self {
            controller,
            store,
            workspace,
            actor: Actor::User { user, key },
        };
        world
            .submit(Command::CreateUser {
                id: user,
                role: Role::Admin,
            })
            .await
            .unwrap();
        let command = Command::CreateKey {
            id: key,
            owner: user,
            role: Role::Admin,
            name: "test".to_owned(),
        };
        world.submit(command).await.unwrap();
        world
    }

    pub async fn submit(&self, command: Command) -> Result<Committed, SubmitError> {
        self.controller
            .submit(self.workspace, self.actor, command, Vec::new())
            .await
    }

    /// One system, `staging` and `production`, one resource in each, one deployment and its agent.
    pub async fn configure(
        &self,
        rules: impl Fn(&str) -> Vec<(&'static str, serde_json::Value)>,
    ) -> DeploymentId {
        let now = self.controller.now();
        let system = System {
            id: id().into(),
            name: "shop".to_owned(),
            slug: "shop".to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
        };
        let systems = BTreeSet::from([system.id]);
        let deployment = DeploymentId(id());
        let mut changes = vec![
            Change::PutSystem(system),
            Change::PutJobAgent(JobAgent {
                job_limits: Default::default(),
                id: id().into(),
                name: "local".to_owned(),
                kind: "exec".to_owned(),
                config: serde_json::json!({}),
                metadata: Metadata::new(),
            }),
            Change::PutDeployment(Deployment {
                redeploy_on_variable_change: false,
                job_limits: Default::default(),
                id: deployment,
                name: "api".to_owned(),
                slug: "api".to_owned(),
                description: String::new(),
                metadata: Metadata::new(),
                resource_selector: "true".to_owned(),
                job_agent_selector: "true".to_owned(),
                job_agent_config: serde_json::json!({"command": ["true", "{{ resource.config.host }}"]}),
                systems: systems.clone(),
                created_at: now,
            }),
        ];
        for name in ["staging", "production"] {
            changes.push(Change::PutResource(Resource {
                id: id().into(),
                name: name.to_owned(),
                identifier: name.to_owned(),
                kind: "ProcessHost".to_owned(),
                version: "v1".to_owned(),
                metadata: Metadata::from([("env".to_owned(), name.to_owned())]),
                config: serde_json::json!({"host": "127.0.0.1:1"}),
                created_at: now,
                updated_at: None,
            }));
            changes.push(Change::PutEnvironment(Environment {
                id: EnvironmentId(id()),
                name: name.to_owned(),
                description: String::new(),
                metadata: Metadata::new(),
                resource_selector: format!("resource.metadata[\"env\"] == \"{name}\""),
                systems: systems.clone(),
                created_at: now,
            }));
            let rules = rules(name).into_iter().map(|(kind, spec)| Rule {
                id: id().into(),
                kind: kind.to_owned(),
                spec,
                created_at: now,
            });
            changes.push(Change::PutPolicy(Policy {
                id: id().into(),
                name: format!("rules of {name}"),
                description: String::new(),
                metadata: Metadata::new(),
                enabled: true,
                priority: 0,
                selector: format!("environment.name == \"{name}\""),
                replaces: BTreeSet::new(),
                rules: rules.collect(),
                created_at: now,
            }));
        }
        self.submit(Command::Configure(changes)).await.unwrap();
        deployment
    }

    pub fn version(&self, deployment: DeploymentId, tag: &str) -> Command {
        Command::CreateVersion(NewVersion {
            job_limits: Default::default(),
            dependencies: Default::default(),
            id: VersionId(id()),
            deployment,
            tag: tag.to_owned(),
            name: String::new(),
            config: serde_json::json!({}),
            job_agent_config: serde_json::json!({}),
            status: VersionStatus::Ready,
            message: String::new(),
            metadata: Metadata::new(),
            created_at: None,
        })
    }

    pub async fn report(&self, job: JobId, status: JobStatus) -> Committed {
        let report = JobReport {
            epoch: None,
            exit: None,
            links: Default::default(),
            job,
            status,
            message: String::new(),
            runner: None,
            external_id: None,
            output_tail: None,
        };
        self.submit(Command::ReportJob(report)).await.unwrap()
    }

    /// Polls until what is looked for is there.
    pub async fn eventually<T: Send + 'static>(
        &self,
        look: impl Fn(&stagegate_engine::State) -> Option<T> + Send + Sync + Copy + 'static,
    ) -> T {
        for _ in 0..3000 {
            let found = self
                .controller
                .read(self.workspace, move |engine| look(engine.state()))
                .await;
            if let Ok(Some(found)) = found {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it never came about");
    }
}

/// The jobs created by these facts.
pub fn jobs(facts: &[Fact]) -> Vec<JobId> {
    let created = facts.iter().filter_map(|fact| match fact {
        Fact::JobsCreated { jobs, .. } => Some(jobs.iter().map(|job| job.job)),
        _ => None,
    });
    created.flatten().collect()
}
