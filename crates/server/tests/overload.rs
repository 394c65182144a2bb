//! Ten times as much as can be served: whoever cannot be served is told so at once and when to come again, memory stays
//! within bounds, and what was acknowledged is in the log. In a process of its own, since it measures memory.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use stagegate_controller::{Controller, SideWrite, SystemClock};
use stagegate_model::{Actor, Command, Entry, Fact, Role, UserId, WorkspaceId};
use stagegate_server::{ServerOptions, new_key, router, serve};
use stagegate_store::{Append, Layer, SqliteStore, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;
use uuid::Uuid;

/// Requests at the same time: several times what is let wait.
const REQUESTS: usize = 20_000;
/// What serving all of them may add to the memory in use.
const MEMORY_MAX: u64 = 512 << 20;
/// How long a test waits for something before it says that it never came.
const DEADLINE: Duration = Duration::from_secs(120);

/// The real store, in which nothing is committed while it stands still.
struct SlowStore {
    inner: SqliteStore,
    stands_still: Mutex<bool>,
    goes_on: Condvar,
}

impl SlowStore {
    fn stand_still(&self, still: bool) {
        *self.stands_still.lock().unwrap() = still;
        self.goes_on.notify_all();
    }
}

impl Layer for SlowStore {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    fn append(&self, batch: &[Append]) -> Result<(), StoreError> {
        let still = self.stands_still.lock().unwrap();
        drop(self.goes_on.wait_while(still, |still| *still).unwrap());
        self.inner.append(batch)
    }
}

struct World {
    router: Router,
    controller: Controller,
    store: Arc<SlowStore>,
    workspace: WorkspaceId,
    key: String,
    deployment: String,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SlowStore {
            inner: SqliteStore::open(dir.path()).unwrap(),
            stands_still: Mutex::new(false),
            goes_on: Condvar::new(),
        });
        let controller = Controller::start(store.clone(), Arc::new(SystemClock)).unwrap();
        let workspace = WorkspaceId(Uuid::now_v7());
        controller
            .create_workspace(workspace, "Acme", "acme")
            .await
            .unwrap();
        let (owner, role) = (UserId(Uuid::now_v7()), Role::Admin);
        let key = new_key(workspace, owner, role, "it", controller.now()).unwrap();
        let submit = |command, side| controller.submit(workspace, Actor::System, command, side);
        submit(Command::CreateUser { id: owner, role }, Vec::new())
            .await
            .unwrap();
        let command = Command::CreateKey {
            id: key.stored.id,
            owner,
            role,
            name: "it".to_owned(),
        };
        submit(command, vec![SideWrite::PutKey(key.stored)])
            .await
            .unwrap();
        let mut world = Self {
            router: router(controller.clone(), ServerOptions::default()),
            controller,
            store,
            workspace,
            key: key.secret,
            deployment: String::new(),
            _dir: dir,
        };
        let text = "type: System\nname: Shop\n---\ntype: Deployment\nname: API\nslug: api\n";
        let body = json!({"files": [{"name": "shop.yaml", "text": text}]}).to_string();
        let (status, _, text) = world.send("POST", "/apply", body).await;
        assert_eq!(status, 200, "{text}");
        let (_, _, text) = world.send("GET", "/deployments", String::new()).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        let item = &page["items"][0];
        let item = item.get("deployment").unwrap_or(item);
        world.deployment = item["id"].as_str().unwrap().to_owned();
        world
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}{path}", self.workspace)
    }

    async fn send(&self, method: &str, path: &str, body: String) -> (u16, bool, String) {
        let request = Request::builder()
            .method(method)
            .uri(self.path(path))
            .header("X-API-Key", &self.key)
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            retry_after,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The tags of all versions in the log.
    fn logged(&self) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        let mut after = 0;
        loop {
            let rows = self.store.inner.read(self.workspace, after, 1000).unwrap();
            let Some(last) = rows.last() else { return tags };
            after = last.seq;
            for row in &rows {
                let entry = Entry::from_bytes(&row.body).unwrap();
                for fact in entry.facts {
                    if let Fact::VersionCreated { version } = fact {
                        tags.insert(version.tag.clone());
                    }
                }
            }
        }
    }
}

/// Resident memory of this process, in bytes; 0 where that cannot be read.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_served_is_refused_and_what_was_acknowledged_is_kept() {
    let world = Arc::new(World::new().await);
    let refused = Arc::new(AtomicUsize::new(0));
    world.store.stand_still(true);
    let before = resident();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|index| {
            let (world, refused) = (Arc::clone(&world), Arc::clone(&refused));
            let count = move |status: u16| {
                if status != 200 {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            };
            tokio::spawn(async move {
                if index % 4 == 0 {
                    let (status, retry_after, text) =
                        world.send("GET", "/status", String::new()).await;
                    count(status);
                    return (None, status, retry_after, text);
                }
                let tag = format!("v{index}");
                let path = format!("/deployments/{}/versions", world.deployment);
                let metadata = json!({"notes": "x".repeat(4000)});
                let body = json!({"tag": tag, "status": "building", "metadata": metadata});
                let (status, retry_after, text) = world.send("POST", &path, body.to_string()).await;
                count(status);
                (Some(tag), status, retry_after, text)
            })
        })
        .collect();
    // Until then nobody but those who were refused has an answer.
    tokio::time::timeout(DEADLINE, async {
        while refused.load(Ordering::Relaxed) < REQUESTS / 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("nobody is refused");
    let mut most = resident();
    world.store.stand_still(false);
    let mut acknowledged = BTreeSet::new();
    let mut served = 0;
    for request in requests {
        let answer = tokio::time::timeout(DEADLINE, request).await;
        let (tag, status, retry_after, text) = answer.expect("it was never answered").unwrap();
        match status {
            200 => {
                served += 1;
                acknowledged.extend(tag);
            }
            503 | 429 => {
                assert!(retry_after, "{text}");
                assert!(text.contains("\"overloaded\""), "{text}");
            }
            _ => panic!("{status} {text}"),
        }
        most = most.max(resident());
    }
    assert!(served > 0 && !acknowledged.is_empty());
    let grown = most.saturating_sub(before);
    assert!(grown < MEMORY_MAX, "{} MiB more", grown >> 20);

    let logged = world.logged();
    let missing: Vec<_> = acknowledged.difference(&logged).collect();
    assert!(
        missing.is_empty(),
        "acknowledged, but not in the log: {missing:?}"
    );
    // And it goes on as before.
    let body = json!({"tag": "after", "status": "building"}).to_string();
    let path = format!("/deployments/{}/versions", world.deployment);
    let (status, _, text) = world.send("POST", &path, body).await;
    assert_eq!(status, 200, "{text}");
    world.controller.verify(world.workspace).await.unwrap();
    world.controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_told_to_come_again() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServerOptions {
        connections_max: Some(2),
        ..ServerOptions::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, world.controller.clone(), options, async {
        let _ = stopped.await;
    }));
    let ask = async |connection: &mut TcpStream| {
        let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let count = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..count]).to_lowercase()
    };
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut connection).await.starts_with("http/1.1 200"));
        inside.push(connection);
    }
    let mut outside = TcpStream::connect(address).await.unwrap();
    let told = ask(&mut outside).await;
    assert!(told.starts_with("http/1.1 503"), "{told}");
    assert!(told.contains("retry-after: 1"), "{told}");
    assert!(told.contains("\"code\":\"overloaded\""), "{told}");
    assert!(ask(&mut inside[0]).await.starts_with("http/1.1 200"));
    // A place that is given up can be taken.
    inside.pop();
    tokio::time::timeout(DEADLINE, async {
        loop {
            let mut connection = TcpStream::connect(address).await.unwrap();
            if ask(&mut connection).await.starts_with("http/1.1 200") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the place is never free again");
    stop.send(()).unwrap();
    drop((inside, outside));
    tokio::time::timeout(DEADLINE, served)
        .await
        .expect("the server did not stop")
        .unwrap()
        .unwrap();
    world.controller.shutdown().await;
}
