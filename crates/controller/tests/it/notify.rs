//! Telling people, over a real store and a real receiver.

use crate::world::{World, open_store};
use stagegate_controller::{Controller, Options, Pace, Secrets, SystemClock};
use stagegate_model::{
    Change, Command, DeploymentId, Notifier, NotifierId, Timestamp, WorkspaceId,
};
use stagegate_store::{DeliveryRecord, SqliteStore, Store};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver that answers with a status that can be changed, and keeps the ids it was sent.
struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    ids: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Status 0: it takes the request and never answers.
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(status)),
            ids: Arc::default(),
        };
        let (status, ids) = (Arc::clone(&receiver.status), Arc::clone(&receiver.ids));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (status, ids) = (Arc::clone(&status), Arc::clone(&ids));
                tokio::spawn(async move {
                    let (mut request, mut buffer) = (String::new(), [0; 4096]);
                    while !request.ends_with('}') {
                        match stream.read(&mut buffer).await {
                            Ok(count) if count > 0 => {
                                request.push_str(&String::from_utf8_lossy(&buffer[..count]));
                            }
                            _ => return,
                        }
                    }
                    let id = request
                        .lines()
                        .find_map(|it| it.strip_prefix("webhook-id: "));
                    ids.lock().unwrap().push(id.unwrap().to_owned());
                    match status.load(Ordering::SeqCst) {
                        0 => std::future::pending::<()>().await,
                        status => {
                            let answer = format!(
                                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                            );
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                    }
                });
            }
        });
        receiver
    }

    fn ids(&self) -> Vec<String> {
        self.ids.lock().unwrap().clone()
    }
}

fn notifier(name: &str, receiver: &Receiver, number: u128) -> Notifier {
    Notifier {
        id: NotifierId(Uuid::from_u128(number)),
        name: name.to_owned(),
        kind: "webhook".to_owned(),
        config: serde_json::json!({"url": format!("http://127.0.0.1:{}/", receiver.port)}),
        events: BTreeSet::new(),
        environments: BTreeSet::new(),
        selector: String::new(),
        metadata: Default::default(),
        created_at: Timestamp(0),
    }
}

fn options() -> Options {
    Options {
        base_url: Some("http://gate.example".to_owned()),
        secrets: Secrets::from_fn(|_| None),
        pace: Pace {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(50),
            rest: Duration::from_millis(50),
            give_up_after: Duration::from_secs(3600),
        },
        ..Options::default()
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "never happened: {what}");
}

fn record(store: &dyn Store, workspace: WorkspaceId, number: u128) -> DeliveryRecord {
    let id = NotifierId(Uuid::from_u128(number));
    store
        .delivery_record(workspace, id)
        .unwrap()
        .unwrap_or_else(|| DeliveryRecord::new(workspace, id))
}

/// A world in which every version waits for an approval in production, which is told.
async fn start(dir: &Path, options: Options) -> (World, DeploymentId) {
    let world = World::open_with(dir, options).await;
    let deployment = world
        .configure(|environment| match environment {
            "production" => vec![("anyApproval", serde_json::json!({"minApprovals": 1}))],
            _ => Vec::new(),
        })
        .await;
    (world, deployment)
}

async fn ask(world: &World, deployment: DeploymentId, tag: &str) {
    world.submit(world.version(deployment, tag)).await.unwrap();
}

async fn put(world: &World, notifier: Notifier) {
    world
        .submit(Command::Configure(vec![Change::PutNotifier(notifier)]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_notifier_holds_up_no_other_and_nothing_is_told_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (world, deployment) = start(dir.path(), options()).await;
    let (slow, quick) = (Receiver::start(0).await, Receiver::start(204).await);
    put(&world, notifier("slow", &slow, 1)).await;
    put(&world, notifier("quick", &quick, 2)).await;
    ask(&world, deployment, "1").await;
    ask(&world, deployment, "2").await;
    until("both are told", || quick.ids().len() == 2).await;
    until("they are recorded", || {
        record(&*world.store, world.workspace, 2).delivered == 2
    })
    .await;
    let distinct: BTreeSet<_> = quick.ids().into_iter().collect();
    assert_eq!(distinct.len(), 2);
    assert_eq!(slow.ids().len(), 1);
    assert_eq!(record(&*world.store, world.workspace, 1).delivered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_receiver_is_tried_again_and_a_refusing_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (world, deployment) = start(dir.path(), options()).await;
    let (failing, refusing) = (Receiver::start(503).await, Receiver::start(410).await);
    put(&world, notifier("failing", &failing, 1)).await;
    put(&world, notifier("refusing", &refusing, 2)).await;
    ask(&world, deployment, "1").await;
    until("it was tried often", || failing.ids().len() >= 3).await;
    let of = |number| record(&*world.store, world.workspace, number);
    let error = of(1).error.unwrap();
    assert_eq!(error.code, "answered_with_error");
    failing.status.store(200, Ordering::SeqCst);
    until("it arrives", || of(1).delivered == 1).await;
    let id = NotifierId(Uuid::from_u128(1));
    assert_eq!(world.store.delivery_count(world.workspace, id).unwrap(), 0);
    // Every attempt carried the same id, so that the receiver can drop what it has.
    assert_eq!(failing.ids().into_iter().collect::<BTreeSet<_>>().len(), 1);

    until("it was given up", || of(2).given_up == 1).await;
    assert_eq!(refusing.ids().len(), 1);
    assert_eq!(of(2).last_given_up.unwrap().code, "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_delivered_is_given_up_with_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.pace.give_up_after = Duration::from_millis(1);
    let (world, deployment) = start(dir.path(), options).await;
    let failing = Receiver::start(503).await;
    put(&world, notifier("failing", &failing, 1)).await;
    ask(&world, deployment, "1").await;
    let of = || record(&*world.store, world.workspace, 1);
    until("it is given up", || of().given_up == 1).await;
    let last = of().last_given_up.unwrap();
    assert!(last.message.contains("503"), "{last:?}");
    assert!(last.seq > 0);
}

/// A receiver that fails keeps its notifier resting, and what waits for it in the order in which it came.
#[tokio::test(flavor = "multi_thread")]
async fn breaking_the_glass_overtakes_what_waits_and_a_rest() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    // Once two messages failed, nothing is tried for longer than the test runs.
    options.pace.rest = Duration::from_secs(3600);
    options.pace.longest = Duration::from_secs(3600);
    options.pace.first = Duration::from_secs(600);
    let (world, deployment) = start(dir.path(), options).await;
    let failing = Receiver::start(503).await;
    put(&world, notifier("failing", &failing, 1)).await;
    for tag in ["1", "2", "3"] {
        ask(&world, deployment, tag).await;
    }
    until("it rests", || failing.ids().len() == 2).await;
    let id = NotifierId(Uuid::from_u128(1));
    until("the third waits", || {
        let waiting = world.store.deliveries(world.workspace, id, 9).unwrap();
        waiting.iter().filter(|it| it.attempts == 1).count() == 2 && waiting.len() == 3
    })
    .await;
    failing.status.store(204, Ordering::SeqCst);
    let (version, target) = world
        .eventually(move |state| {
            let version = state.versions().values().find(|it| it.tag == "3")?.id;
            let environments = state.environments().values();
            let environment = environments
                .into_iter()
                .find(|it| it.name == "production")?;
            let lane = state
                .lanes()
                .iter()
                .find(|(key, _)| key.environment == environment.id)?;
            let resource = lane.1.targets.keys().next()?;
            Some((version, lane.0.target(*resource)))
        })
        .await;
    let command = Command::BreakGlass {
        version,
        targets: vec![target],
        reason: "incident 7".to_owned(),
    };
    world.submit(command).await.unwrap();
    until("it is told at once", || {
        record(&*world.store, world.workspace, 1).delivered >= 1
    })
    .await;
    // It went as the third request, and was not one of those that wait.
    let waiting = world.store.deliveries(world.workspace, id, 9).unwrap();
    let told = failing.ids()[2].clone();
    assert!(waiting.iter().all(|it| {
        let known = format!("msg_{}_{}", it.seq, it.subject.simple());
        known != told
    }));
    assert!(waiting.iter().filter(|it| it.attempts == 1).count() == 2);
}

/// The process ends between the receiver's taking the message and the record of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_recorded_is_told_again_after_a_crash_and_what_was_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(204).await;
    let workspace = {
        let (world, deployment) = start(dir.path(), options()).await;
        put(&world, notifier("ops", &receiver, 1)).await;
        ask(&world, deployment, "1").await;
        until("it is recorded", || {
            record(&*world.store, world.workspace, 1).delivered == 1
        })
        .await;
        // The next one is taken, but never answered.
        receiver.status.store(0, Ordering::SeqCst);
        ask(&world, deployment, "2").await;
        until("it was taken", || receiver.ids().len() == 2).await;
        world.workspace
    };
    // What a killed process leaves behind: the files as they are.
    let copy = tempfile::tempdir().unwrap();
    copy_files(dir.path(), copy.path());
    receiver.status.store(204, Ordering::SeqCst);
    let store = Arc::new(open_store(copy.path()).await);
    let again = Controller::start_with(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(SystemClock),
        options(),
    )
    .unwrap();
    until("it is told again", || {
        record(&*store, workspace, 1).delivered == 2
    })
    .await;
    let ids = receiver.ids();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2]);
    again.shutdown().await;
}

/// The process ended right after the notifier was made: there is no cursor yet.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_cursor_it_begins_where_the_notifier_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(204).await;
    let workspace = {
        let (world, deployment) = start(dir.path(), options()).await;
        ask(&world, deployment, "1").await;
        let mut late = notifier("ops", &receiver, 1);
        late.created_at = world.controller.now();
        put(&world, late).await;
        ask(&world, deployment, "2").await;
        until("it is recorded", || {
            record(&*world.store, world.workspace, 1).delivered == 1
        })
        .await;
        world.controller.shutdown().await;
        world.workspace
    };
    assert_eq!(receiver.ids().len(), 1, "the first version is no news");
    {
        let raw = without_deliveries(dir.path()).await;
        assert_eq!(raw.notify_cursor(workspace).unwrap(), None);
        let again =
            Controller::start_with(Arc::new(raw), Arc::new(SystemClock), options()).unwrap();
        until("it is told again", || receiver.ids().len() == 2).await;
        again.shutdown().await;
    }
    let ids = receiver.ids();
    assert_eq!(ids[0], ids[1]);
}

/// The same log in a store that knows of no delivery.
async fn without_deliveries(from: &Path) -> SqliteStore {
    let old = open_store(from).await;
    let fresh = SqliteStore::in_memory().unwrap();
    for workspace in old.workspaces().unwrap() {
        let mut after = 0;
        loop {
            let rows = old.read(workspace, after, 100).unwrap();
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                let seq = row.seq;
                let mut append = stagegate_store::Append::new(row, 0);
                let entity = stagegate_store::EntityRef::new("notifier", Uuid::from_u128(1));
                let touching = old.touching(workspace, &entity, None, 100).unwrap();
                if touching.contains(&seq) {
                    append.touches.push(entity);
                }
                fresh.append(&[append]).unwrap();
            }
        }
    }
    fresh
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "lock" {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}
