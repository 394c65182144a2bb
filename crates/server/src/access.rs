//! Who is asking, and whether they may.

use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::scope::Granted;
use crate::secret;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stagegate_api::KEY_HEADER;
use stagegate_model::{Actor, KeyId, Role, UserId, WorkspaceId};
use stagegate_store::Hash;

/// How many keys are remembered before the memory starts anew.
const KNOWN_KEYS_MAX: usize = 10_000;
/// The path parameter that names the tenant.
const WORKSPACE: &str = "workspaceId";

/// Whose key it is and what it may do, as the workspace's state says now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub workspace: WorkspaceId,
    pub user: UserId,
    pub key: KeyId,
    pub role: Role,
}

impl Caller {
    pub fn actor(&self) -> Actor {
        Actor::User {
            user: self.user,
            key: self.key,
        }
    }
}

/// What stands before a route.
#[derive(Clone)]
pub(crate) struct Guard {
    pub app: App,
    pub role: Role,
}

/// Lets a request through to its handler, or answers why not.
pub(crate) async fn guard(
    State(guard): State<Guard>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match guard.app.caller(request.headers()).await {
        Ok(caller) => caller,
        Err(failure) => return failure.into_response(),
    };
    let Ok(params) = params else {
        return Failure::new("invalid_id", "the path is not readable as text").into_response();
    };
    let params: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if let Err(failure) = allow(&caller, guard.role, &params) {
        return failure.into_response();
    }
    // Held until it is answered.
    let _place = match guard.app.admission().body(request.headers()) {
        Ok(place) => place,
        Err(failure) => return failure.into_response(),
    };
    request.extensions_mut().insert(Granted { caller, params });
    next.run(request).await
}

/// One's own workspace first: of another one even its existence is not told.
fn allow(caller: &Caller, needed: Role, params: &[(String, String)]) -> Answer<()> {
    let workspace = params.iter().find(|(name, _)| name == WORKSPACE);
    if let Some((_, workspace)) = workspace
        && workspace.parse() != Ok(caller.workspace)
    {
        return Err(Failure::workspace_not_found(workspace));
    }
    if !caller.role.allows(needed) {
        let message = format!(
            "this needs a key with the role {needed}; yours has {}",
            caller.role
        );
        return Err(Failure::new("forbidden", message)
            .hint(format!("ask an admin for a key with the role {needed}")));
    }
    Ok(())
}

impl App {
    /// Who sent these headers.
    pub async fn caller(&self, headers: &HeaderMap) -> Answer<Caller> {
        let Some(secret) = sent_key(headers) else {
            return Err(Failure::new("unauthorized", "no API key was sent")
                .hint("send it as `X-API-Key: sgk_…` or `Authorization: Bearer sgk_…`"));
        };
        self.caller_with(secret).await?.ok_or_else(|| {
            Failure::new("unauthorized", "the API key is unknown or was revoked")
                .hint("check that it was copied whole, or ask an admin for a new one")
        })
    }

    /// Whose key this is; `None` when it is nobody's or was revoked.
    pub async fn caller_with(&self, secret: &str) -> Answer<Option<Caller>> {
        let hash = secret::hash(secret);
        match self.key_of(hash).await? {
            Some((workspace, key)) => self.caller_of(workspace, key).await,
            None => Ok(None),
        }
    }

    async fn key_of(&self, hash: Hash) -> Answer<Option<(WorkspaceId, KeyId)>> {
        if let Some(known) = self.known_keys(|known| known.get(&hash).copied()) {
            return Ok(Some(known));
        }
        let stored = self.store(move |store| store.key_by_hash(&hash)).await?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let key = (stored.workspace, stored.id);
        self.known_keys(|known| {
            if known.len() >= KNOWN_KEYS_MAX {
                known.clear();
            }
            known.insert(hash, key);
        });
        Ok(Some(key))
    }

    /// What a key counts for now: the log alone says whether it was revoked.
    pub async fn caller_of(&self, workspace: WorkspaceId, key: KeyId) -> Answer<Option<Caller>> {
        let known = match self.controller().key(workspace, key).await {
            Err(stagegate_controller::ReadError::NoWorkspace) => None,
            other => other?,
        };
        Ok(known.filter(|key| !key.revoked).map(|known| Caller {
            workspace,
            user: known.owner,
            key,
            role: known.role,
        }))
    }
}

fn sent_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(KEY_HEADER) {
        return key.to_str().ok().map(str::trim);
    }
    let bearer = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = bearer.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
