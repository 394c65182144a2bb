//! Processes: starting them so that none runs unrecorded, knowing them again, ending whole groups.
//!
//! Every process starts behind a gate: a small shell script that waits for a line on its standard input.
//! The agent writes down who it is and only then opens the gate. If the agent dies in between, the
//! input closes and the script ends without having run anything.

use super::config::Launch;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Waits at the gate, runs the command, leaves its exit code in a file, takes what the command left running
/// with it. Survives SIGTERM so that a command which ends by it still leaves its code. Needs no program
/// but the shell, whatever `PATH` says; a code counts only with its line end, so half of one is none.
/// What the shell itself has to say ("Terminated") does not belong into the command's output.
const RUN_TO_END: &str = r#"trap : TERM INT HUP
read -r stagegate_go || exit 125
[ "$stagegate_go" = go ] || exit 125
stagegate_dir=$1
shift
: >"$stagegate_dir/launched" || exit 126
exec 3>&2 2>/dev/null
"$@" </dev/null 2>&3 3>&-
stagegate_code=$?
trap '' TERM INT HUP
echo "$stagegate_code" >"$stagegate_dir/exit"
kill -KILL 0"#;

/// Waits at the gate, then becomes the service, keeping process id and start time.
const BECOME: &str = r#"read -r stagegate_go || exit 125
[ "$stagegate_go" = go ] || exit 125
exec "$@" </dev/null"#;

const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const POLL: Duration = Duration::from_millis(20);
/// How long the kernel may take to make an end of killed processes (uninterruptible I/O can hold them).
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A process, not merely its id: ids are reused, but not with the same start time in the same boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub pid: i32,
    /// Clock ticks from boot to the process's start.
    pub start_ticks: u64,
    pub boot_id: String,
}

/// One line of `/proc/<pid>/stat`.
struct Stat {
    state: char,
    group: i32,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name, second, may hold spaces and parentheses; what follows its last `)` does not.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            state: fields.next()?.chars().next()?,
            group: fields.nth(1)?.parse().ok()?,
            start_ticks: fields.nth(16)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// This boot of this machine.
pub(super) fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

impl Identity {
    fn of(pid: i32) -> io::Result<Self> {
        let stat = Stat::read(pid).ok_or_else(|| {
            io::Error::other(format!("`/proc/{pid}/stat` tells nothing of process {pid}"))
        })?;
        Ok(Self {
            pid,
            start_ticks: stat.start_ticks,
            boot_id: boot_id()?,
        })
    }

    pub(super) fn is_this_boot(&self) -> bool {
        boot_id().is_ok_and(|id| id == self.boot_id)
    }

    /// Whether this very process runs.
    pub(super) fn is_alive(&self) -> bool {
        self.is_this_boot()
            && Stat::read(self.pid)
                .is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }

    /// Whether anything of this process's group runs: the process, or others it left behind. `job_id`
    /// marks them in their environment, so that a group whose number was reused is never taken for ours.
    fn group_is_alive(&self, job_id: &str) -> bool {
        if !self.is_this_boot() {
            return false;
        }
        let ours = match Stat::read(self.pid) {
            Some(stat) if stat.start_ticks != self.start_ticks => return false,
            Some(stat) if !stat.is_dead() => return true,
            // A zombie still holds the number: whoever is in the group belongs to it.
            Some(_) => true,
            None => false,
        };
        let Ok(entries) = fs::read_dir("/proc") else {
            return false;
        };
        entries.filter_map(Result::ok).any(|entry| {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            pid.is_some_and(|pid: i32| {
                Stat::read(pid).is_some_and(|stat| stat.group == self.pid && !stat.is_dead())
                    && (ours || is_of_job(pid, job_id))
            })
        })
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            // The group may have ended since it was looked at; then there is nothing to do.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Ends the whole group: SIGTERM, and after `grace` SIGKILL. Returns whether all of it is gone.
    pub(super) async fn end_group(&self, job_id: &str, grace: Duration) -> bool {
        for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, KILL_PATIENCE)] {
            if !self.group_is_alive(job_id) {
                return true;
            }
            self.signal_group(signal);
            let until = Instant::now() + patience;
            while Instant::now() < until {
                if !self.group_is_alive(job_id) {
                    return true;
                }
                sleep(POLL).await;
            }
        }
        !self.group_is_alive(job_id)
    }
}

fn is_of_job(pid: i32, job_id: &str) -> bool {
    let mark = format!("STAGEGATE_JOB_ID={job_id}");
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
}

/// A process that waits at its gate.
pub(super) struct Gated {
    child: Child,
    pub identity: Identity,
}

/// Whose process it is: our child, or one that an earlier runner started.
pub(super) enum Held {
    Own(Child),
    Adopted(Identity),
}

impl Held {
    /// Waits until the process is gone; its status when it was our child. May be dropped and called again.
    pub(super) async fn gone(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Own(child) => child.wait().await.ok(),
            Self::Adopted(identity) => {
                while identity.is_alive() {
                    sleep(POLL * 5).await;
                }
                None
            }
        }
    }
}

/// Where a command's output goes, both streams in the order in which it writes them.
pub(super) const OUTPUT_FILE: &str = "output.log";

/// Puts a command that runs to its end behind a gate; its files go to `directory`.
pub(super) fn gate_command(
    launch: &Launch,
    facts: &BTreeMap<String, String>,
    directory: &Path,
) -> io::Result<Gated> {
    let mut command = shell(RUN_TO_END, launch, facts, Some(directory));
    let output = append(&directory.join(OUTPUT_FILE))?;
    command.stdout(output.try_clone()?).stderr(output);
    Gated::spawn(command)
}

/// Puts a service behind a gate; all its output goes to `log`.
pub(super) fn gate_service(
    launch: &Launch,
    facts: &BTreeMap<String, String>,
    log: &Path,
) -> io::Result<Gated> {
    let file = append(log)?;
    let mut command = shell(BECOME, launch, facts, None);
    command.stdout(file.try_clone()?).stderr(file);
    Gated::spawn(command)
}

impl Gated {
    fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| io::Error::other("the process ended before it began"))?;
        Ok(Self {
            identity: Identity::of(pid)?,
            child,
        })
    }

    /// Opens the gate. INVARIANT: `identity` is on disk.
    pub(super) async fn open(mut self) -> io::Result<Held> {
        if let Some(mut gate) = self.child.stdin.take() {
            gate.write_all(b"go\n").await?;
            gate.flush().await?;
        }
        Ok(Held::Own(self.child))
    }
}

fn shell(
    script: &str,
    launch: &Launch,
    facts: &BTreeMap<String, String>,
    directory: Option<&Path>,
) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).arg("stagegate-exec");
    if let Some(directory) = directory {
        command.arg(directory);
    }
    command.args(&launch.argv).env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if std::env::var_os("PATH").is_none() {
        command.env("PATH", PATH_DEFAULT);
    }
    command
        .envs(&launch.env)
        .envs(facts)
        .stdin(Stdio::piped())
        .process_group(0);
    if let Some(directory) = &launch.working_directory {
        command.current_dir(directory);
    }
    command
}

/// Opens a log for appending: a process that does so goes on at the new end when the file is cut.
fn append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_any_program_name() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.group, stat.start_ticks), ('S', 42, 98765));
        assert!(Stat::parse("42 (a").is_none());
    }

    fn touch(mark: &Path) -> Launch {
        Launch {
            secrets: Vec::new(),
            argv: vec!["touch".to_owned(), mark.to_string_lossy().into_owned()],
            working_directory: None,
            env: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn nothing_runs_unless_the_gate_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let mark = root.path().join("mark");
        let (launch, facts) = (touch(&mark), BTreeMap::new());
        let log = root.path().join("service.log");
        for gated in [
            gate_command(&launch, &facts, root.path()).unwrap(),
            gate_service(&launch, &facts, &log).unwrap(),
        ] {
            let mut waiting = Held::Adopted(gated.identity.clone());
            assert!(gated.identity.is_alive());
            // The agent dies here.
            drop(gated);
            waiting.gone().await;
            assert!(!mark.exists() && !root.path().join("launched").exists());
        }
        let gated = gate_service(&launch, &facts, &log).unwrap();
        let mut held = gated.open().await.unwrap();
        assert!(held.gone().await.unwrap().success());
        assert!(mark.exists());
    }

    #[test]
    fn a_process_is_known_by_more_than_its_number() {
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let reused = Identity {
            start_ticks: me.start_ticks + 1,
            ..me.clone()
        };
        assert!(!reused.is_alive() && !reused.group_is_alive("any"));
        let earlier_boot = Identity {
            boot_id: "another".to_owned(),
            ..me
        };
        assert!(!earlier_boot.is_alive() && !earlier_boot.group_is_alive("any"));
    }
}
