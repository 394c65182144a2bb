//! The whole product in this process: a store on the disk, a controller with a fleet, and a server on loopback.

use crate::world::creation;
use anyhow::{Context as _, Result, bail};
use stagegate_controller::{Clock, Controller, Options, SideWrite};
use stagegate_model::{Actor, Command, KeyId, Role, Timestamp, UserId, WorkspaceId};
use stagegate_server::{ServerOptions, new_key, serve};
use stagegate_sim::fleet::Fleet;
use stagegate_store::{SqliteStore, Store, User};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The workspace of a fleet.
pub const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

const SETTLED_WITHIN_SECONDS: u64 = 600;
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How many entries are read at a time.
const PAGE: usize = 1_000;

/// A server that answers.
pub struct Served {
    pub controller: Controller,
    pub address: SocketAddr,
    /// A key's secret for each role.
    pub keys: BTreeMap<Role, String>,
    runtime: tokio::runtime::Runtime,
    stop: Option<oneshot::Sender<()>>,
    _folder: tempfile::TempDir,
}

impl Served {
    /// A server without a workspace, with as many threads as `stagegate serve` has.
    pub fn empty() -> Result<Self> {
        Self::empty_with(Options::default())
    }

    /// [`Self::empty`] with a controller that behaves otherwise.
    pub fn empty_with(behaviour: Options) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the database")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path())?);
        let (stop, stopped) = oneshot::channel();
        let (controller, address) = runtime.block_on(async {
            let controller =
                Controller::start_with(store, Arc::new(FromBeginning(Instant::now())), behaviour)?;
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let address = listener.local_addr()?;
            let served = serve(
                listener,
                controller.clone(),
                ServerOptions::default(),
                async move {
                    // Dropping the sender says the same.
                    let _ = stopped.await;
                },
            );
            tokio::spawn(served);
            anyhow::Ok((controller, address))
        })?;
        Ok(Self {
            controller,
            address,
            keys: BTreeMap::new(),
            runtime,
            stop: Some(stop),
            _folder: folder,
        })
    }

    /// A server with a fleet, and a key for each role.
    pub fn of(fleet: &Fleet) -> Result<Self> {
        let mut served = Self::empty()?;
        let commands = creation(fleet);
        let mut commands = commands.into_iter();
        let Some(Command::CreateWorkspace { id, name, slug }) = commands.next() else {
            bail!("a fleet begins with its workspace");
        };
        let made = served.controller.create_workspace(id, &name, &slug);
        served.runtime.block_on(made)?;
        for command in commands {
            served.submit(command)?;
        }
        for role in Role::ALL {
            let secret = served.key(id, *role)?;
            served.keys.insert(*role, secret);
        }
        Ok(served)
    }

    /// Carries out a command as nobody in particular.
    pub fn submit(&self, command: Command) -> Result<()> {
        self.submit_with(WORKSPACE, command, Vec::new())
    }

    fn submit_with(
        &self,
        workspace: WorkspaceId,
        command: Command,
        side: Vec<SideWrite>,
    ) -> Result<()> {
        let submitted = self
            .controller
            .submit(workspace, Actor::System, command, side);
        self.runtime.block_on(submitted)?;
        Ok(())
    }

    /// Makes a person with a key of that role; gives its secret.
    pub fn key(&self, workspace: WorkspaceId, role: Role) -> Result<String> {
        let user = UserId(Uuid::now_v7());
        let name = role.as_str();
        let named = SideWrite::PutUser(User {
            id: user,
            workspace,
            name: name.to_owned(),
            email: None,
        });
        self.submit_with(
            workspace,
            Command::CreateUser { id: user, role },
            vec![named],
        )?;
        let key = new_key(workspace, user, role, name, self.controller.now())?;
        let id: KeyId = key.stored.id;
        let command = Command::CreateKey {
            id,
            owner: user,
            role,
            name: name.to_owned(),
        };
        self.submit_with(workspace, command, vec![SideWrite::PutKey(key.stored)])?;
        Ok(key.secret)
    }

    /// Waits until that many jobs were made and nothing is left to decide.
    pub fn settled(&self, jobs: usize) -> Result<()> {
        let began = Instant::now();
        while began.elapsed().as_secs() < SETTLED_WITHIN_SECONDS {
            let read = self.controller.read(WORKSPACE, |engine| {
                (engine.state().jobs().len(), engine.is_dirty())
            });
            let (made, is_dirty) = self.runtime.block_on(read)?;
            if made >= jobs && !is_dirty {
                return Ok(());
            }
            std::thread::sleep(LOOKS_AGAIN_AFTER);
        }
        bail!("the fleet is not settled after {SETTLED_WITHIN_SECONDS} s")
    }

    /// The number of the last entry that is durable.
    pub fn durable_seq(&self) -> Result<u64> {
        let durable = self.controller.durable(WORKSPACE);
        let durable = durable.context("the workspace is gone")?;
        let seq = durable.borrow().seq;
        Ok(seq)
    }

    /// The bodies of the entries behind this one.
    pub fn bodies_after(&self, mut after: u64) -> Result<Vec<Vec<u8>>> {
        let mut bodies = Vec::new();
        loop {
            let rows = self.controller.store().read(WORKSPACE, after, PAGE)?;
            let Some(last) = rows.last() else {
                return Ok(bodies);
            };
            after = last.seq;
            bodies.extend(rows.into_iter().map(|row| row.body));
        }
    }

    pub fn secret(&self, role: Role) -> Result<&str> {
        self.keys
            .get(&role)
            .map(String::as_str)
            .context("no key has this role")
    }

    /// Does something on the server's own threads and waits for it.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Time goes on from when the fleet was made: its window is open then, whatever the hour is here.
struct FromBeginning(Instant);

impl Clock for FromBeginning {
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX);
        crate::world::BEGINNING.plus_millis(millis)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.runtime.block_on(self.controller.shutdown());
    }
}
