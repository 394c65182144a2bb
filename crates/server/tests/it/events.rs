//! The log as a stream.

use crate::world::{DEADLINE, World};
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use stagegate_model::{Actor, Command, Role};
use tower::ServiceExt as _;

/// An open stream, read event by event.
struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    async fn open(world: &World, query: &str, last: Option<u64>) -> Self {
        let mut request = Request::get(world.path(&format!("/events{query}")))
            .header("X-API-Key", &world.key(Role::Viewer).secret);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next event's id and entry; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                let parsed = field("id:").map(|id| {
                    assert_eq!(field("event:"), Some("entry"));
                    let entry = serde_json::from_str(field("data:").unwrap()).unwrap();
                    (id.parse().unwrap(), entry)
                });
                self.text = rest.to_owned();
                if parsed.is_some() {
                    return parsed;
                }
                continue;
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame())
                .await
                .expect("the stream is silent")?;
            let data = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_entry_and_goes_on_where_it_was() {
    let world = World::shop().await;
    let mut stream = Stream::open(&world, "?after=0", None).await;
    let (first, entry) = stream.next().await.unwrap();
    assert_eq!(
        (first, &entry["facts"][0]["type"]),
        (1, &"workspaceCreated".into())
    );
    let head = world.get("/audit?limit=1").await.expect(200)["total"]
        .as_u64()
        .unwrap();
    for seq in 2..=head {
        assert_eq!(stream.next().await.unwrap().0, seq);
    }
    let version = world.version("v1").await;
    let (seq, entry) = stream.next().await.unwrap();
    assert_eq!(seq, head + 1);
    assert_eq!(entry["facts"][0]["version"]["id"], version["id"], "{entry}");
    assert!(entry["hash"].is_string() && entry["prevHash"].is_string());

    // What the client last saw beats the address it first asked.
    let mut resumed = Stream::open(&world, "?after=0", Some(head)).await;
    assert_eq!(resumed.next().await.unwrap().0, head + 1);
    let wrong = Request::get(world.path("/events"))
        .header("X-API-Key", &world.key(Role::Viewer).secret)
        .header("Last-Event-ID", "yesterday")
        .body(Body::empty())
        .unwrap();
    world.send(wrong).await.refused(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key() {
    let world = World::new().await;
    let head = world.get("/audit?limit=1").await.expect(200)["total"]
        .as_u64()
        .unwrap();
    let mut stream = Stream::open(&world, &format!("?after={head}"), None).await;
    let revoke = Command::RevokeKey {
        id: world.key(Role::Viewer).id,
    };
    let submitted = world
        .controller
        .submit(world.workspace, Actor::System, revoke, Vec::new());
    submitted.await.unwrap();
    assert!(stream.next().await.is_none());
}
