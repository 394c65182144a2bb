//! Starting servers and asking them.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a machine under load; nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with nothing of the caller's own settings.
pub fn stagegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagegate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STAGEGATE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

/// What a command said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, given that it went well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// What it said of the error, given that it ended with `code`.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.stderr
    }

    /// What it printed as JSON, given that it went well.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

pub fn run(args: &[&str]) -> Ran {
    Ran::of(stagegate().args(args))
}

/// A server that ends with the value.
pub struct Server {
    child: Child,
    pub lines: Vec<String>,
    rest: Receiver<String>,
    pub url: String,
    pub key: String,
    pub data: PathBuf,
}

impl Server {
    /// A server on `data`, once it is ready.
    #[track_caller]
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    #[track_caller]
    pub fn start_with(data: &Path, set: impl FnOnce(&mut Command)) -> Self {
        let mut command = stagegate();
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, rest) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut lines = Vec::new();
        let url = loop {
            match rest.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let url = line.strip_prefix("ready: ").map(str::to_owned);
                    lines.push(line);
                    if let Some(url) = url {
                        break url;
                    }
                }
                Err(_) => {
                    let _ = child.kill();
                    let mut said = String::new();
                    let _ = child.stderr.take().unwrap().read_to_string(&mut said);
                    panic!("no server: {lines:?} {said}");
                }
            }
        };
        let key = lines.iter().find_map(|line| line.strip_prefix("key: sgk_"));
        let key = key.map_or(String::new(), |key| format!("sgk_{key}"));
        Self {
            child,
            lines,
            rest,
            url,
            key,
            data: data.to_owned(),
        }
    }

    /// Tells it to stop and gives what it printed since, given that it stopped well.
    #[track_caller]
    pub fn stop(mut self) -> Vec<String> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = within_patience(|| self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
        self.rest.iter().collect()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The binary as a client of this server, with its first key.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_as(&self.key, args)
    }

    pub fn command_as(&self, key: &str, args: &[&str]) -> Command {
        let mut command = stagegate();
        command
            .env("STAGEGATE_URL", &self.url)
            .env("STAGEGATE_API_KEY", key)
            .args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    pub fn run_as(&self, key: &str, args: &[&str]) -> Ran {
        Ran::of(&mut self.command_as(key, args))
    }

    /// With something on its standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A new user's key.
    pub fn user(&self, name: &str, role: &str) -> String {
        self.run(&["user", "create", name, "--role", role]).ok();
        let args = ["key", "create", name, "--user", name, "--role", role];
        self.run(&args).ok().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server with an empty workspace, and the folder that goes with it.
pub fn server() -> (TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    (dir, server)
}

/// Asks until there is an answer.
#[track_caller]
pub fn within_patience<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it did not come to that");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Two environments with a target each, production behind staging and two approvals.
pub const SHOP: &str = r#"type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Staging
resourceSelector: resource.metadata["env"] == "staging"
---
type: Environment
name: Production
resourceSelector: resource.metadata["env"] == "production"
---
type: Resource
name: staging-1
identifier: staging-1
kind: ProcessHost
version: stagegate/v1
metadata: { env: staging }
---
type: Resource
name: production-1
identifier: production-1
kind: ProcessHost
version: stagegate/v1
metadata: { env: production }
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: { command: "true" } }
---
type: Policy
name: Four Eyes
selector: environment.name == "Production"
rules:
  - anyApproval: { minApprovals: 2 }
"#;

impl Server {
    /// Applies [`SHOP`].
    pub fn with_shop(self) -> Self {
        self.run_with_input(&["apply", "-f", "-"], SHOP).ok();
        self
    }
}
