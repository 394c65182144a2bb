//! The whole way, on real processes: apply, a good version, a rejected approval, a failing version, a hotfix with two
//! approvals; told once for each gap between two steps, with the server killed (`kill -9`) and started again in it.

use stagegate_api::client::{Client, Workspace};
use stagegate_api::{Promotion, PromotionsQuery, Why, WhyQuery};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

const STAGEGATE: &str = env!("CARGO_BIN_EXE_stagegate");
const PATIENCE: Duration = Duration::from_secs(60);

/// What is killed, with `kill -9`, in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Runner,
}

/// A server, a runner and the people who use them.
struct World {
    dir: tempfile::TempDir,
    port: u16,
    services: BTreeMap<&'static str, u16>,
    server: Option<Child>,
    runner: Option<Child>,
    admin: String,
    keys: BTreeMap<&'static str, String>,
    runtime: tokio::runtime::Runtime,
}

/// A port that nobody has, below those that the system gives to whoever asks for any: what listens there comes late, and
/// must not find somebody else's server or connection in its place.
fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1000).unwrap() * 10;
    for _ in 0..10_000 {
        let port = 20_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("there is no free port");
}

impl World {
    fn new() -> Self {
        let services = BTreeMap::from([("staging", free_port()), ("production", free_port())]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            services,
            server: None,
            runner: None,
            admin: "sgk_story_bootstrap_key_0123456789".to_owned(),
            keys: BTreeMap::new(),
            runtime,
        };
        world.start_server();
        world
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, key: &str) -> Command {
        let mut command = Command::new(STAGEGATE);
        command
            .env("STAGEGATE_URL", self.url())
            .env("STAGEGATE_API_KEY", key)
            .env_remove("STAGEGATE_WORKSPACE");
        command
    }

    fn spawn(&self, mut command: Command, log: &str) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(log))
            .unwrap();
        let both = log.try_clone().unwrap();
        command
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(both)
            .spawn()
            .unwrap()
    }

    fn start_server(&mut self) {
        let mut command = self.command("");
        command.arg("serve").arg("--data").arg(self.path("data"));
        command.args([
            "--listen",
            &format!("127.0.0.1:{}", self.port),
            "--until-stdin-closes",
        ]);
        command.env("STAGEGATE_BOOTSTRAP_API_KEY", &self.admin);
        self.server = Some(self.spawn(command, "server.log"));
        self.eventually("the server answers", |world| {
            world.ask(|client| async move { client.me().await.ok() })
        });
    }

    fn start_runner(&mut self) {
        let mut command = self.command(&self.keys["runner"]);
        command
            .args(["agent", "run", "--name", "local", "--data"])
            .arg(self.path("runner"));
        // A killed runner leaves its services running for the next one; only the last one stops them.
        command.args(["--stop-services-on-exit", "--until-stdin-closes"]);
        self.runner = Some(self.spawn(command, "runner.log"));
    }

    fn kill(&mut self, victim: Victim) {
        let child = match victim {
            Victim::Server => &mut self.server,
            Victim::Runner => &mut self.runner,
        };
        let Some(mut child) = child.take() else {
            return;
        };
        child.kill().unwrap();
        child.wait().unwrap();
        match victim {
            Victim::Server => self.start_server(),
            Victim::Runner => self.start_runner(),
        }
    }

    /// Runs a command as a person and gives what it printed; it must succeed.
    fn run(&self, key: &str, args: &[&str]) -> String {
        let output = self.command(key).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "stagegate {args:?}: {text}{errors}\n{}",
            self.logs()
        );
        text
    }

    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        format!(
            "--- server\n{}\n--- runner\n{}",
            read("server.log"),
            read("runner.log")
        )
    }

    fn ask<T, F: Future<Output = T>>(&self, ask: impl FnOnce(Client) -> F) -> T {
        let client = Client::new(&self.url(), &self.admin).unwrap();
        self.runtime.block_on(ask(client))
    }

    fn in_workspace<T, F: Future<Output = T>>(&self, ask: impl FnOnce(Workspace) -> F) -> T {
        self.ask(|client| async move {
            let me = client.me().await.unwrap();
            ask(client.workspace(me.workspaces[0].id.clone())).await
        })
    }

    fn eventually<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "never: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    fn promotion(&self, tag: &str, environment: &str) -> Option<Promotion> {
        let query = PromotionsQuery {
            version: Some(tag.to_owned()),
            environment: Some(environment.to_owned()),
            ..PromotionsQuery::default()
        };
        // A version that nobody has created yet is no error here.
        self.in_workspace(
            |it| async move { it.promotions(&query).await.ok()?.items.into_iter().next() },
        )
    }

    fn ends(&self, tag: &str, environment: &str, status: &str) -> Promotion {
        let ended = self.eventually(&format!("{tag} ends in {environment}"), |world| {
            world.promotion(tag, environment).filter(|it| !it.is_open())
        });
        assert_eq!(
            ended.status,
            status,
            "{tag} in {environment}: {:?}\n{}",
            ended.reason,
            self.logs()
        );
        ended
    }

    fn why(&self, tag: &str) -> Why {
        let query = WhyQuery {
            deployment: "api".to_owned(),
            environment: "production".to_owned(),
            version: Some(tag.to_owned()),
            ..WhyQuery::default()
        };
        self.in_workspace(|it| async move { it.why(&query).await.unwrap() })
    }

    /// Waits until exactly these gates of the version are shut in production.
    fn shut(&self, tag: &str, codes: &[&str]) {
        self.eventually(
            &format!("{tag} is held by {codes:?}: {:?}", self.why(tag)),
            |world| {
                let why = world.why(tag);
                let mut shut: Vec<_> = why
                    .gates
                    .iter()
                    .filter(|gate| !gate.allowed)
                    .map(|gate| gate.code.clone())
                    .collect();
                shut.sort();
                (shut == codes).then_some(())
            },
        );
    }

    /// What the service in an environment says of itself.
    fn served(&self, environment: &str) -> Option<serde_json::Value> {
        use std::io::{Read as _, Write as _};
        let mut stream =
            std::net::TcpStream::connect(("127.0.0.1", self.services[environment])).ok()?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()
    }

    fn serves(&self, environment: &str, tag: &str) {
        let served = self.eventually(&format!("{environment} serves {tag}"), |world| {
            world.served(environment).filter(|it| it["version"] == tag)
        });
        let promotion = self.promotion(tag, environment).unwrap();
        assert_eq!(
            served["promotionId"],
            promotion.id.as_str(),
            "the promotion's id reaches the process"
        );
    }

    fn documents(&self) -> String {
        let runs = self.path("runs");
        include_str!("story.yaml")
            .replace("STAGING_PORT", &self.services["staging"].to_string())
            .replace("PRODUCTION_PORT", &self.services["production"].to_string())
            .replace("RUNS", runs.to_str().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Standard input closes: the runner stops its services, then the server ends.
        for child in [&mut self.runner, &mut self.server] {
            if let Some(mut child) = child.take() {
                drop(child.stdin.take());
                let _ = child.wait();
            }
        }
    }
}

type Step = (&'static str, fn(&mut World));

const STEPS: &[Step] = &[
    ("people and keys are made", |world| {
        for name in ["alice", "bob"] {
            world.run(
                &world.admin.clone(),
                &["user", "create", name, "--role", "approver"],
            );
            let key = world.run(
                &world.admin.clone(),
                &[
                    "key", "create", name, "--role", "approver", "--user", name, "--output", "json",
                ],
            );
            world.keys.insert(name, key_of(&key));
        }
        for role in ["ci", "agent"] {
            let name = if role == "agent" { "runner" } else { "ci" };
            let key = world.run(
                &world.admin.clone(),
                &["key", "create", name, "--role", role, "--output", "json"],
            );
            world.keys.insert(name, key_of(&key));
        }
    }),
    ("the documents are applied", |world| {
        let file = world.path("story.yaml");
        std::fs::write(&file, world.documents()).unwrap();
        world.run(
            &world.admin.clone(),
            &["apply", "-f", file.to_str().unwrap()],
        );
        let again = world.run(
            &world.admin.clone(),
            &["apply", "-f", file.to_str().unwrap()],
        );
        assert!(
            !again.contains("created") || again.contains("0 created"),
            "apply again changes nothing: {again}"
        );
    }),
    ("the runner starts", World::start_runner),
    ("CI creates v1.2.3", |world| create(world, "v1.2.3", &[])),
    ("staging has it", |world| world.serves("staging", "v1.2.3")),
    (
        "staging is verified and production waits for an approval",
        |world| {
            world.ends("v1.2.3", "staging", "succeeded");
            world.shut("v1.2.3", &["approval_pending"]);
        },
    ),
    ("alice rejects it", |world| {
        vote(world, "reject", "alice", "v1.2.3");
        world.shut("v1.2.3", &["approval_rejected"]);
        assert!(
            world.served("production").is_none(),
            "nothing is deployed to production"
        );
    }),
    ("alice approves it after all", |world| {
        vote(world, "approve", "alice", "v1.2.3")
    }),
    ("production has it, verified", |world| {
        world.ends("v1.2.3", "production", "succeeded");
        world.serves("production", "v1.2.3");
    }),
    ("CI creates v1.2.4, which is not well", |world| {
        create(world, "v1.2.4", &[])
    }),
    (
        "staging's verification fails and production never gets it",
        |world| {
            world.ends("v1.2.4", "staging", "failed");
            world.shut("v1.2.4", &["approval_pending", "dependency_failed"]);
            let why = world.run(
                &world.admin.clone(),
                &[
                    "why",
                    "production",
                    "--deployment",
                    "api",
                    "--version",
                    "v1.2.4",
                ],
            );
            assert!(why.contains("Staging Before Production"), "{why}");
            world.serves("production", "v1.2.3");
        },
    ),
    ("CI creates the hotfix v1.2.5", |world| {
        create(world, "v1.2.5", &["--metadata", "hotfix=true"]);
        // It waits for people alone, whatever staging does.
        let held = world.why("v1.2.5");
        assert!(
            !held
                .gates
                .iter()
                .any(|gate| gate.kind == "environmentProgression"),
            "{held:?}"
        );
    }),
    ("one approval is not enough for it", |world| {
        vote(world, "approve", "alice", "v1.2.5");
        vote(world, "approve", "alice", "v1.2.5");
        world.shut("v1.2.5", &["approval_pending"]);
        world.serves("production", "v1.2.3");
    }),
    ("the second is", |world| {
        vote(world, "approve", "bob", "v1.2.5");
        world.ends("v1.2.5", "production", "succeeded");
        world.serves("production", "v1.2.5");
    }),
    ("the log is whole and every job ran once", |world| {
        world.run(&world.admin.clone(), &["audit", "verify"]);
        let runs = std::fs::read_to_string(world.path("runs")).unwrap();
        let mut jobs: Vec<&str> = runs.lines().collect();
        let count = jobs.len();
        jobs.sort_unstable();
        jobs.dedup();
        assert_eq!(jobs.len(), count, "a job ran twice: {runs}");
        assert_eq!(
            count, 5,
            "three versions in staging, two in production: {runs}"
        );
    }),
];

fn key_of(json: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    json["key"].as_str().unwrap().to_owned()
}

fn create(world: &World, tag: &str, more: &[&str]) {
    let args = ["version", "create", "--deployment", "api", "--tag", tag];
    world.run(&world.keys["ci"], &[&args[..], more].concat());
}

fn vote(world: &World, verb: &str, who: &str, tag: &str) {
    let args = [
        verb,
        tag,
        "--deployment",
        "api",
        "--environment",
        "production",
        "--reason",
        "story",
    ];
    world.run(&world.keys[who], &args);
}

/// Tells the story, with `victim` killed in every gap for which `killed` says so.
fn tell(victim: Victim, killed: impl Fn(usize) -> bool) {
    let mut world = World::new();
    for (gap, (name, step)) in STEPS.iter().enumerate() {
        if killed(gap) {
            world.kill(victim);
        }
        eprintln!("{victim:?} {gap}: {name}");
        step(&mut world);
    }
}

/// A few stories at once: they mostly wait.
fn tell_all(stories: Vec<(Victim, usize)>) {
    let stories = std::sync::Mutex::new(stories);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = stories.lock().unwrap().pop();
                    let Some((victim, gap)) = next else { return };
                    tell(victim, |this| this == gap);
                }
            });
        }
    });
}

#[test]
fn undisturbed() {
    tell(Victim::Server, |_| false);
}

#[test]
fn with_the_server_killed_in_each_gap_in_turn() {
    tell_all((1..STEPS.len()).map(|gap| (Victim::Server, gap)).collect());
}

#[test]
fn with_the_runner_killed_in_each_gap_in_turn() {
    tell_all((3..STEPS.len()).map(|gap| (Victim::Runner, gap)).collect());
}

#[test]
fn with_the_server_killed_in_every_gap() {
    tell(Victim::Server, |gap| gap > 0);
}

#[test]
fn nothing_is_left_running() {
    let services = {
        let mut world = World::new();
        for (_, step) in &STEPS[..5] {
            step(&mut world);
        }
        world.services.clone()
    };
    for port in services.values() {
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", *port)).is_err(),
            "a service still listens on {port}"
        );
    }
}
