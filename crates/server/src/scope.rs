//! What a handler may touch: one workspace, as one caller. There is no other way in.

use crate::access::Caller;
use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::people::People;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use stagegate_controller::{Committed, Looking, SideWrite, SubmitError};
use stagegate_engine::{Engine, State};
use stagegate_model::{Change, Command, Timestamp, WorkspaceId};
use stagegate_store::{Store, StoreError};
use std::str::FromStr;

/// What the guard found out; only it makes one.
#[derive(Clone)]
pub(crate) struct Granted {
    pub caller: Caller,
    pub params: Vec<(String, String)>,
}

/// One workspace, as one caller.
pub(crate) struct Scope {
    pub app: App,
    pub caller: Caller,
    params: Vec<(String, String)>,
}

impl FromRequestParts<App> for Scope {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        // INVARIANT: without the guard there is nothing to take, so a route that forgot it answers nobody.
        let granted = parts.extensions.remove::<Granted>();
        let Granted { caller, params } = granted.ok_or_else(Failure::internal)?;
        Ok(Self {
            app: app.clone(),
            caller,
            params,
        })
    }
}

impl Scope {
    /// A scope for a page, whose session was checked.
    pub fn of_session(app: App, caller: Caller) -> Self {
        Self {
            app,
            caller,
            params: Vec::new(),
        }
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.caller.workspace
    }

    pub fn now(&self) -> Timestamp {
        self.app.controller().now()
    }

    /// A path parameter.
    pub fn text(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// A path parameter that is an id.
    pub fn id<T: FromStr>(&self, name: &str) -> Answer<T> {
        parse_id(self.text(name), name)
    }

    /// Looks at the state; everything seen is durable.
    pub async fn read<T, F>(&self, look: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Engine) -> T + Send + Sync + 'static,
    {
        Ok(self.app.controller().read(self.workspace(), look).await?)
    }

    /// Looks at the state for something that may not be there.
    pub async fn ask<T, F>(&self, look: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Engine) -> Answer<T> + Send + Sync + 'static,
    {
        self.read(look).await?
    }

    /// Looks at the state and at what is stored, in one turn.
    pub async fn look<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Looking<'_>) -> Answer<T> + Send + Sync + 'static,
    {
        self.app.controller().look(self.workspace(), work).await?
    }

    /// Carries out a command as the caller.
    pub async fn submit(&self, command: Command, side: Vec<SideWrite>) -> Answer<Committed> {
        let controller = self.app.controller();
        let submitted = controller.submit(self.workspace(), self.caller.actor(), command, side);
        match submitted.await {
            Ok(committed) => Ok(committed),
            // The engine knows persons by their ids alone.
            Err(SubmitError::Rejected(rejection)) => {
                let people = People::of(self).await?;
                Err(people.failure(rejection.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes configuration that depends on what is there: `plan` sees the state that the changes will meet.
    pub async fn configure<T, F>(&self, plan: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&State) -> Answer<(T, Vec<Change>)> + Send + Sync + 'static,
    {
        let lock = self.app.configuring(self.workspace());
        let _held = lock.lock().await;
        let (given, changes) = self.ask(move |engine| plan(engine.state())).await?;
        if !changes.is_empty() {
            self.submit(Command::Configure(changes), Vec::new()).await?;
        }
        Ok(given)
    }

    /// Asks the store about this workspace.
    pub async fn store<T, F>(&self, ask: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store, WorkspaceId) -> Result<T, StoreError> + Send + 'static,
    {
        let workspace = self.workspace();
        self.app.store(move |store| ask(store, workspace)).await
    }
}

/// An id as text, with the name under which the caller sent it.
pub(crate) fn parse_id<T: FromStr>(text: &str, name: &str) -> Answer<T> {
    text.parse().map_err(|_| {
        Failure::new("invalid_id", format!("`{text}` is not an id"))
            .at(name)
            .hint("an id looks like 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
    })
}
