//! A server with one workspace, one person and key for each role, and what the tests do with it.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use stagegate_controller::{Controller, SideWrite, SystemClock};
use stagegate_model::{Actor, Command, KeyId, Role, UserId, WorkspaceId};
use stagegate_server::{LoginCodes, ServerOptions, new_key, router};
use stagegate_store::{SqliteStore, Store, User};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;
use uuid::Uuid;

/// How long a test waits for something before it says that it never came.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Two stages, one behind the other; the second wants an approval.
pub const SHOP: &str = r#"
type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Resource
name: staging-1
identifier: staging-1
kind: Host
version: test/v1
metadata: { env: staging }
---
type: Resource
name: production-1
identifier: production-1
kind: Host
version: test/v1
metadata: { env: production }
---
type: Environment
name: Production
resourceSelector: resource.metadata["env"] == "production"
---
type: Environment
name: Staging
resourceSelector: resource.metadata["env"] == "staging"
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { steps: [{ run: "true" }] } }
---
type: Policy
name: Staging First
selector: environment.name == "Production"
rules:
  - environmentProgression: { waitFor: Staging }
  - anyApproval: { minApprovals: 1 }
"#;

pub struct World {
    pub router: Router,
    pub controller: Controller,
    pub workspace: WorkspaceId,
    pub codes: LoginCodes,
    pub keys: BTreeMap<Role, TestKey>,
    _dir: tempfile::TempDir,
}

#[derive(Clone)]
pub struct TestKey {
    pub secret: String,
    pub id: KeyId,
    pub user: UserId,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() {
            return Value::Null;
        }
        self.json()
    }

    /// A problem with this status and code; every refusal of the API is one.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let media_type = self
            .headers
            .get("content-type")
            .map(|it| it.to_str().unwrap());
        assert_eq!(
            media_type,
            Some("application/problem+json"),
            "{}",
            self.text
        );
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["error"], problem["detail"], "{problem}");
        problem
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path()).unwrap());
        let controller = Controller::start(store, Arc::new(SystemClock)).unwrap();
        let workspace = WorkspaceId(Uuid::now_v7());
        controller
            .create_workspace(workspace, "Acme", "acme")
            .await
            .unwrap();
        let codes = LoginCodes::default();
        let options = ServerOptions {
            login_codes: codes.clone(),
            ..ServerOptions::default()
        };
        let mut keys = BTreeMap::new();
        for &role in Role::ALL {
            keys.insert(
                role,
                person(&controller, workspace, role.as_str(), role).await,
            );
        }
        Self {
            router: router(controller.clone(), options),
            controller,
            workspace,
            codes,
            keys,
            _dir: dir,
        }
    }

    /// With the documents of [`SHOP`].
    pub async fn shop() -> Self {
        let world = Self::new().await;
        world.apply(SHOP).await.expect(200);
        world
    }

    pub fn key(&self, role: Role) -> &TestKey {
        &self.keys[&role]
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// The path of something in the workspace.
    pub fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}{path}", self.workspace)
    }

    /// Sends as the person of that role, below the workspace.
    pub async fn call(&self, role: Role, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(self.path(path))
            .header("X-API-Key", &self.key(role).secret);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Role::Viewer, "GET", path, None).await
    }

    pub async fn apply(&self, text: &str) -> Answer {
        let body = json!({"files": [{"name": "shop.yaml", "text": text}]});
        self.call(Role::Admin, "POST", "/apply", Some(body)).await
    }

    pub async fn id_of(&self, list: &str, name: &str) -> String {
        let items = self.get(list).await.expect(200)["items"].clone();
        let items = items.as_array().unwrap();
        let it = items
            .iter()
            .map(|it| it.get("deployment").unwrap_or(it))
            .find(|it| it["name"] == name);
        it.unwrap_or_else(|| panic!("no {name} in {items:?}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Creates a version of the deployment `API`.
    pub async fn version(&self, tag: &str) -> Value {
        let deployment = self.id_of("/deployments", "API").await;
        let body = json!({"tag": tag, "name": tag, "status": "ready"});
        let path = format!("/deployments/{deployment}/versions");
        self.call(Role::Ci, "POST", &path, Some(body))
            .await
            .expect(200)
    }

    pub async fn vote(&self, version: &str, environment: &str, vote: &str) -> Answer {
        let environment = self.id_of("/environments", environment).await;
        let body = json!({"environmentIds": [environment], "status": vote});
        let path = format!("/deployment-versions/{version}/user-approval-records");
        self.call(Role::Approver, "PUT", &path, Some(body)).await
    }

    /// Waits until the agent has a pending job, claims it and gives it.
    pub async fn claim(&self, runner: &str) -> Value {
        let agent = self.id_of("/job-agents", "local").await;
        let pending = format!("/job-agents/{agent}/jobs?status=pending&wait=20");
        let page = self
            .call(Role::Agent, "GET", &pending, None)
            .await
            .expect(200);
        let job = page["items"][0]["id"]
            .as_str()
            .expect("a pending job")
            .to_owned();
        let path = format!("/job-agents/{agent}/jobs/{job}/claim");
        let body = json!({ "runner": runner });
        self.call(Role::Agent, "POST", &path, Some(body))
            .await
            .expect(200)
    }

    pub async fn report(&self, job: &Value, status: &str) -> Answer {
        let path = format!("/jobs/{}/status", job["id"].as_str().unwrap());
        let body = json!({
            "status": status, "message": format!("said {status}"),
            "runner": job["runner"], "epoch": job["epoch"],
        });
        self.call(Role::Agent, "PUT", &path, Some(body)).await
    }

    /// Does the next job with success.
    pub async fn deploy(&self) -> Value {
        let job = self.claim("runner-1").await;
        self.report(&job, "successful").await.expect(202);
        job
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The threads end with the process; a test has nothing to wait for.
        let controller = self.controller.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { controller.shutdown().await });
        }
    }
}

/// A person with one key.
pub async fn person(
    controller: &Controller,
    workspace: WorkspaceId,
    name: &str,
    role: Role,
) -> TestKey {
    let user = UserId(Uuid::now_v7());
    let named = SideWrite::PutUser(User {
        id: user,
        workspace,
        name: name.to_owned(),
        email: None,
    });
    let command = Command::CreateUser { id: user, role };
    controller
        .submit(workspace, Actor::System, command, vec![named])
        .await
        .unwrap();
    let key = new_key(workspace, user, role, name, controller.now()).unwrap();
    let id = key.stored.id;
    let command = Command::CreateKey {
        id,
        owner: user,
        role,
        name: name.to_owned(),
    };
    controller
        .submit(
            workspace,
            Actor::System,
            command,
            vec![SideWrite::PutKey(key.stored)],
        )
        .await
        .unwrap();
    TestKey {
        secret: key.secret,
        id,
        user,
    }
}

/// Asks again until it holds.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
