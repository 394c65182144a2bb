//! Jobs on real processes: server and runners killed, stopped and started again at every step.

mod killed;
mod live;
mod lost;
mod proxy;

use crate::harness::{PATIENCE, Ran, stagegate};
use proxy::Proxy;
use stagegate_api::Job;
use stagegate_api::client::{Client, Workspace};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ADMIN: &str = "sgk_jobs_bootstrap_key_01234567890";

/// A server, runners for its one agent, and a deployment of one command to one target.
struct Site {
    dir: tempfile::TempDir,
    port: u16,
    proxy: Proxy,
    server: Option<Child>,
    runners: Vec<(String, Child)>,
    agent_key: String,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// With these limits for the agent's jobs, and these further documents.
    fn new(limits: &str, more: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut site = Self {
            dir: tempfile::tempdir().unwrap(),
            port,
            proxy: Proxy::to(port),
            server: None,
            runners: Vec::new(),
            agent_key: String::new(),
            runtime,
        };
        site.start_server();
        let documents = format!(
            r#"
type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
jobLimits: {limits}
---
type: Environment
name: Staging
resourceSelector: "true"
---
type: Resource
name: host-1
identifier: host-1
kind: ProcessHost
version: stagegate/v1
---
type: Deployment
name: API
slug: api
jobAgent: {{ name: local, config: {{ command: "sh {script}" }} }}
{more}"#,
            script = site.path("job.sh").display()
        );
        std::fs::write(site.path("job.sh"), site.script()).unwrap();
        let file = site.path("site.yaml");
        std::fs::write(&file, documents).unwrap();
        site.run(&["apply", "-f", file.to_str().unwrap()]).ok();
        let args = ["key", "create", "runner", "--role", "agent"];
        site.agent_key = site.run(&args).ok().trim().to_owned();
        site
    }

    /// Says that it has begun, waits for the file `go`, says that it is done. It ends with the folder, so that a
    /// failed test leaves nothing running.
    fn script(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "echo $$ >> {dir}/pids\necho \"$STAGEGATE_JOB_ID\" >> {dir}/runs\necho begun\n\
             while [ -d {dir} ] && [ ! -e {dir}/go ]; do sleep 0.05; done\n\
             echo done\n[ ! -e {dir}/fail ]\n"
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
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
        let mut command = stagegate();
        command
            .args(["serve", "--until-stdin-closes", "--data"])
            .arg(self.path("data"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .env("STAGEGATE_BOOTSTRAP_API_KEY", ADMIN);
        self.server = Some(self.spawn(command, "server.log"));
        self.eventually("the server answers", |site| {
            site.ask(|client| async move { client.me().await.ok() })
        });
    }

    fn start_runner(&mut self, name: &str) {
        let mut command = stagegate();
        command
            .args(["agent", "run", "--until-stdin-closes", "--name", "local"])
            .args(["--runner", name, "--data"])
            .arg(self.path(name))
            .env(
                "STAGEGATE_URL",
                format!("http://127.0.0.1:{}", self.proxy.port),
            )
            .env("STAGEGATE_API_KEY", &self.agent_key);
        let child = self.spawn(command, &format!("{name}.log"));
        self.runners.push((name.to_owned(), child));
    }

    fn kill_server(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    fn kill_runner(&mut self, name: &str) {
        let place = self.runners.iter().position(|(it, _)| it == name).unwrap();
        let (_, mut child) = self.runners.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a runner a signal, such as `STOP`.
    fn signal(&self, name: &str, signal: &str) {
        let (_, child) = self.runners.iter().find(|(it, _)| it == name).unwrap();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = stagegate();
        command
            .env("STAGEGATE_URL", format!("http://127.0.0.1:{}", self.port))
            .env("STAGEGATE_API_KEY", ADMIN)
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    fn create(&self, tag: &str) {
        self.run(&["version", "create", "--deployment", "api", "--tag", tag])
            .ok();
    }

    fn ask<T, F: Future<Output = T>>(&self, ask: impl FnOnce(Client) -> F) -> T {
        let client = Client::new(&format!("http://127.0.0.1:{}", self.port), ADMIN).unwrap();
        self.runtime.block_on(ask(client))
    }

    fn in_workspace<T, F: Future<Output = T>>(&self, ask: impl FnOnce(Workspace) -> F) -> T {
        self.ask(|client| async move {
            let me = client.me().await.unwrap();
            ask(client.workspace(me.workspaces[0].id.clone())).await
        })
    }

    fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "log") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                logs += &format!("--- {}\n{text}\n", path.display());
            }
        }
        logs
    }

    #[track_caller]
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

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.eventually(what, |site| holds(site).then_some(()));
    }

    /// Every job there is, oldest first.
    fn jobs(&self) -> Vec<Job> {
        let jobs = self.in_workspace(|it| async move { it.jobs().all().await.unwrap() });
        let mut jobs: Vec<Job> = jobs.into_iter().map(|it| it.job).collect();
        jobs.sort_by(|a, b| a.created_at.cmp(&b.created_at));
        jobs
    }

    /// The one job there is, once it is as it should be.
    #[track_caller]
    fn job(&self, what: &str, fits: impl Fn(&Job) -> bool) -> Job {
        let job = self.eventually(what, |site| {
            let job = site.jobs().into_iter().next()?;
            (fits(&job) || job.has_ended()).then_some(job)
        });
        assert!(fits(&job), "not {what}: {job:?}\n{}", self.logs());
        job
    }

    #[track_caller]
    fn job_runs(&self) -> Job {
        self.until("the command has begun", |site| {
            site.lines("runs").len() == 1
        });
        self.job("in progress", |job| job.status == "inProgress")
    }

    /// Command lines of processes that mention the folder.
    fn processes(dir: &Path) -> Vec<String> {
        let name = dir.to_str().unwrap();
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries
            .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(name))
            .collect()
    }

    /// Whether a process of that number is the job's script.
    fn script_runs(&self, pid: &str) -> bool {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(self.path("job.sh").to_str().unwrap())
    }

    /// Ends the runners and the server, and checks that nothing of theirs is left.
    #[track_caller]
    fn leaves_nothing_running(mut self) {
        self.close();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = Self::processes(self.dir.path());
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left: {left:?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    fn close(&mut self) {
        for (name, _) in &self.runners {
            // One that is stopped does not see its input close.
            self.signal(name, "CONT");
        }
        let runners = self.runners.drain(..).map(|(_, child)| child);
        for mut child in runners.chain(self.server.take()) {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that failed leaves its command waiting for this.
        let _ = std::fs::write(self.path("go"), "");
        self.close();
    }
}
