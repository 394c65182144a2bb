//! What every handler can reach.

use crate::admission::Admission;
use crate::answer::{Answer, Failure};
use crate::live_output::LiveOutputs;
use crate::login::LoginCodes;
use stagegate_controller::{Controller, ReadError};
use stagegate_model::{KeyId, WorkspaceId};
use stagegate_store::{Hash, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How the server behaves; the defaults are good for one machine.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// One-time codes that open a session without typing a key; kept by whoever mints them.
    pub login_codes: LoginCodes,
    /// Whether browsers send the session's cookie over HTTPS only. Set it behind TLS.
    pub secure_cookies: bool,
    /// How often a silent event stream shows that it is alive.
    pub heartbeat: Duration,
    /// How long open requests may take to end once the server stops.
    pub drain: Duration,
    /// How many connections may be open; one more is answered with 503 and closed. `None` for as many as the process
    /// can well hold.
    pub connections_max: Option<usize>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            login_codes: LoginCodes::default(),
            secure_cookies: false,
            heartbeat: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            connections_max: None,
        }
    }
}

/// Which key a secret belongs to. A secret never changes its key, so an answer once given stays right; whether
/// the key still counts is asked of the workspace's state each time.
pub(crate) type KnownKeys = HashMap<Hash, (WorkspaceId, KeyId)>;

#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

struct Inner {
    controller: Controller,
    options: ServerOptions,
    known_keys: Mutex<KnownKeys>,
    outputs: LiveOutputs,
    admission: Admission,
    /// Held while configuration is read, changed and written back, so that no change is lost in between.
    configuring: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
    stopping: watch::Sender<bool>,
}

impl App {
    pub fn new(controller: Controller, options: ServerOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                controller,
                options,
                known_keys: Mutex::default(),
                outputs: LiveOutputs::default(),
                admission: Admission::default(),
                configuring: Mutex::default(),
                stopping: watch::Sender::new(false),
            }),
        }
    }

    pub fn controller(&self) -> &Controller {
        &self.inner.controller
    }

    pub fn options(&self) -> &ServerOptions {
        &self.inner.options
    }

    /// What running jobs print.
    pub fn outputs(&self) -> &LiveOutputs {
        &self.inner.outputs
    }

    /// What there is room for.
    pub fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    /// With the keys whose secrets were seen.
    pub fn known_keys<T>(&self, with: impl FnOnce(&mut KnownKeys) -> T) -> T {
        let mut known = self
            .inner
            .known_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        with(&mut known)
    }

    /// The lock under which a workspace's configuration is read, changed and written back.
    pub fn configuring(&self, workspace: WorkspaceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self
            .inner
            .configuring
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(workspace).or_default())
    }

    /// Becomes true when the server stops; streams and long polls end then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    pub fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Asks the store, away from the threads that serve requests.
    pub async fn store<T, F>(&self, ask: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    {
        let store = Arc::clone(self.controller().store());
        Ok(self.beside(move || ask(&*store)).await??)
    }

    /// Does work that blocks, away from the threads that serve requests and in its turn.
    pub async fn beside<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match self.controller().beside(work).await {
            Ok(done) => Ok(done),
            Err(error @ ReadError::Overloaded) => Err(error.into()),
            Err(_) => Err(Failure::internal()),
        }
    }
}
