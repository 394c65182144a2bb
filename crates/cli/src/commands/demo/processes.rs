//! The demo's child processes: the server and the runner, from this very program.
//!
//! Each ends when its standard input closes, so that nothing is left behind even if the demo is killed.

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a process may take to come up, or to end when asked.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Processes {
    dir: PathBuf,
    children: Vec<(&'static str, Child)>,
}

/// A running server and a key for it.
pub(super) struct Server {
    pub url: String,
    pub key: String,
}

impl Processes {
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            children: Vec::new(),
        }
    }

    fn command(&self, log: &str) -> Result<Command> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let log = std::fs::File::create(self.dir.join(log))?;
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stderr(log).kill_on_drop(true);
        // Its own process group: Ctrl-C in the terminal reaches the demo alone, which then stops them in order.
        command.process_group(0);
        command
            .env_remove("STAGEGATE_URL")
            .env_remove("STAGEGATE_API_KEY")
            .env_remove("STAGEGATE_WORKSPACE");
        Ok(command)
    }

    pub async fn start_server(&mut self, listen: &str) -> Result<Server> {
        // Two ids of version 7: about 148 random bits.
        let key = format!(
            "sgk_{}{}",
            uuid::Uuid::now_v7().simple(),
            uuid::Uuid::now_v7().simple()
        );
        let mut command = self.command("server.log")?;
        command
            .arg("serve")
            .arg("--data")
            .arg(self.dir.join("server"))
            .args(["--listen", listen]);
        command
            .args(["--until-stdin-closes"])
            .env("STAGEGATE_BOOTSTRAP_API_KEY", &key)
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let output = child.stdout.take().context("the server has no output")?;
        self.children.push(("server", child));
        let mut lines = BufReader::new(output).lines();
        let url = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(url) = line
                    .split_whitespace()
                    .find(|word| word.starts_with("http://"))
                {
                    return Ok(url.trim_end_matches(['/', ',', '.']).to_owned());
                }
            }
            let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
            bail!("the server ended before it listened:\n{log}")
        };
        let url = tokio::time::timeout(PATIENCE, url)
            .await
            .context("the server does not come up")??;
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Server { url, key })
    }

    pub fn start_runner(&mut self, url: &str, key: &str, workspace: &str) -> Result<()> {
        let mut command = self.command("runner.log")?;
        command
            .args(["agent", "run", "--name", "local", "--data"])
            .arg(self.dir.join("runner"));
        command.args(["--stop-services-on-exit", "--until-stdin-closes"]);
        command
            .env("STAGEGATE_URL", url)
            .env("STAGEGATE_API_KEY", key)
            .env("STAGEGATE_WORKSPACE", workspace);
        command.stdout(Stdio::null());
        let child = command.spawn().context("cannot start the runner")?;
        self.children.push(("runner", child));
        Ok(())
    }

    /// Ends everything, the last started first: the runner stops its services while the server still answers.
    pub async fn stop(&mut self) {
        while let Some((_, mut child)) = self.children.pop() {
            drop(child.stdin.take());
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}
