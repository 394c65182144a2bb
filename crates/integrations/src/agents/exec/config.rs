//! What a job tells the `exec` agent to do.

use crate::agents::AgentConfig;
use crate::config::{self, ConfigError, is_template};
use crate::redact::{self, KeysOnly, Redactor};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const ARGUMENTS_MAX: usize = 1000;
const ARGUMENTS_SIZE_BYTES_MAX: usize = 128 * 1024;
const TIMEOUT_SECONDS_MAX: u64 = 24 * 3600;
const TIMEOUT_SECONDS_DEFAULT: u64 = 600;
const READY_TIMEOUT_SECONDS_MAX: u64 = 600;
const STOP_TIMEOUT_SECONDS_MAX: u64 = 300;
const MIN_UPTIME_MS_MAX: u64 = 60_000;
const NAME_LENGTH_MAX: usize = 200;

/// Configuration of `exec`: either a command to run to its end, or a service to keep running.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecConfig {
    command: Option<CommandLine>,
    working_directory: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    timeout_seconds: Option<u64>,
    service: Option<ServiceConfig>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceConfig {
    command: CommandLine,
    working_directory: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    name: Option<String>,
    ready_url: Option<String>,
    ready_port: Option<Port>,
    #[serde(default = "ready_timeout_default")]
    ready_timeout_seconds: u64,
    #[serde(default = "stop_timeout_default")]
    stop_timeout_seconds: u64,
    #[serde(default = "min_uptime_default")]
    min_uptime_ms: u64,
}

fn ready_timeout_default() -> u64 {
    10
}

fn stop_timeout_default() -> u64 {
    5
}

fn min_uptime_default() -> u64 {
    300
}

/// A program with its arguments, or a line for the shell.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a list of a program and its arguments, or one string for `/bin/sh -c`, was expected"
)]
enum CommandLine {
    Shell(String),
    Program(Vec<String>),
}

/// A port; as text when a template yielded it.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a port number was expected")]
enum Port {
    Number(u16),
    Text(String),
}

impl fmt::Debug for ExecConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service.as_ref();
        f.debug_struct("ExecConfig")
            .field("env", &KeysOnly(&self.env))
            .field("service", &service.map(|service| KeysOnly(&service.env)))
            .finish_non_exhaustive()
    }
}

/// What is started, in either mode.
#[derive(Clone)]
pub(super) struct Launch {
    /// Program and arguments, never empty.
    pub argv: Vec<String>,
    pub working_directory: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    /// Values that must not leave the machine, whatever they are called.
    pub secrets: Vec<String>,
}

/// A checked, rendered configuration.
pub(super) enum Plan {
    Command {
        launch: Launch,
        timeout: Duration,
    },
    Service {
        launch: Launch,
        name: Option<String>,
        ready: Readiness,
        ready_timeout: Duration,
        stop_timeout: Duration,
        min_uptime: Duration,
    },
}

/// What must answer before a service counts as up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Being alive is enough.
    Alive,
    /// The port accepts connections on this machine.
    Port(u16),
    /// The URL answers, whatever the status.
    Url(String),
}

impl AgentConfig for ExecConfig {
    const KIND: &'static str = "exec";

    fn check(&self) -> Result<(), ConfigError> {
        self.plan().map(|_| ())
    }
}

impl ExecConfig {
    /// What is to be done, now that templates are rendered.
    pub(super) fn rendered_plan(&self) -> Result<Plan, ConfigError> {
        let unrendered =
            |path| ConfigError::invalid(path, "holds a template that was not rendered", "");
        if let Some(service) = &self.service {
            // Readiness that cannot be looked at would be readiness taken for granted.
            if matches!(&service.ready_port, Some(Port::Text(text)) if is_template(text)) {
                return Err(unrendered("service.readyPort"));
            }
            if service.ready_url.as_deref().is_some_and(is_template) {
                return Err(unrendered("service.readyUrl"));
            }
        }
        self.plan()
    }

    /// What is to be done, as far as templates let it be known.
    fn plan(&self) -> Result<Plan, ConfigError> {
        match (&self.command, &self.service) {
            (Some(command), None) => {
                let timeout = self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS_DEFAULT);
                within("timeoutSeconds", timeout, 1, TIMEOUT_SECONDS_MAX)?;
                Ok(Plan::Command {
                    launch: launch(command, self.working_directory.as_deref(), &self.env)?,
                    timeout: Duration::from_secs(timeout),
                })
            }
            (None, Some(service)) => {
                let misplaced = [
                    ("workingDirectory", self.working_directory.is_some()),
                    ("env", !self.env.is_empty()),
                    ("timeoutSeconds", self.timeout_seconds.is_some()),
                ];
                if let Some((field, _)) = misplaced.iter().find(|(_, given)| *given) {
                    return Err(ConfigError::invalid(
                        *field,
                        "belongs to a command, and here a service is configured",
                        "move it into `service`, where a timeout is `readyTimeoutSeconds`",
                    ));
                }
                service.plan().map_err(|error| error.below("service"))
            }
            (None, None) => Err(ConfigError::invalid(
                "",
                "there is nothing to run",
                "give `command`, or `service` for a process that is to keep running",
            )),
            (Some(_), Some(_)) => Err(ConfigError::invalid(
                "",
                "both `command` and `service` are given",
                "give one of them",
            )),
        }
    }
}

impl ServiceConfig {
    fn plan(&self) -> Result<Plan, ConfigError> {
        within(
            "readyTimeoutSeconds",
            self.ready_timeout_seconds,
            1,
            READY_TIMEOUT_SECONDS_MAX,
        )?;
        within(
            "stopTimeoutSeconds",
            self.stop_timeout_seconds,
            0,
            STOP_TIMEOUT_SECONDS_MAX,
        )?;
        within("minUptimeMs", self.min_uptime_ms, 0, MIN_UPTIME_MS_MAX)?;
        if let Some(name) = &self.name {
            config::check_template("name", name)?;
            if name.trim().is_empty() || name.len() > NAME_LENGTH_MAX || name.contains('\0') {
                return Err(ConfigError::invalid(
                    "name",
                    "not a usable name",
                    format!("use 1 to {NAME_LENGTH_MAX} characters"),
                ));
            }
        }
        Ok(Plan::Service {
            launch: launch(&self.command, self.working_directory.as_deref(), &self.env)?,
            name: self.name.clone(),
            ready: self.readiness()?,
            ready_timeout: Duration::from_secs(self.ready_timeout_seconds),
            stop_timeout: Duration::from_secs(self.stop_timeout_seconds),
            min_uptime: Duration::from_millis(self.min_uptime_ms),
        })
    }

    fn readiness(&self) -> Result<Readiness, ConfigError> {
        match (&self.ready_url, &self.ready_port) {
            (None, None) => Ok(Readiness::Alive),
            (Some(url), None) => {
                config::check_url("readyUrl", url)?;
                Ok(Readiness::Url(url.clone()))
            }
            (None, Some(Port::Number(port))) if *port > 0 => Ok(Readiness::Port(*port)),
            (None, Some(Port::Text(text))) if is_template(text) => {
                config::check_template("readyPort", text)?;
                Ok(Readiness::Alive)
            }
            (None, Some(Port::Text(text))) if text.parse().is_ok_and(|port: u16| port > 0) => {
                Ok(Readiness::Port(text.parse().unwrap_or_default()))
            }
            (None, Some(_)) => Err(ConfigError::invalid(
                "readyPort",
                "not a port",
                "use 1 to 65535",
            )),
            (Some(_), Some(_)) => Err(ConfigError::invalid(
                "readyPort",
                "both `readyUrl` and `readyPort` are given",
                "give one of them",
            )),
        }
    }
}

impl Plan {
    /// The plan with values that must not turn up in the output.
    pub(super) fn keeping(mut self, secrets: &[String]) -> Self {
        let (Self::Command { launch, .. } | Self::Service { launch, .. }) = &mut self;
        launch.secrets = secrets.to_vec();
        self
    }
}

impl Launch {
    /// What must not turn up in the output that leaves the machine.
    pub(super) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        for (name, value) in &self.env {
            if redact::is_secret_name(name) {
                redactor.add(value);
            }
        }
        self.secrets.iter().for_each(|secret| redactor.add(secret));
        redactor
    }

    /// The program as a person would name it.
    pub(super) fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

fn within(path: &str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::invalid(
        path,
        format!("`{value}` is out of range"),
        format!("use {min} to {max}"),
    ))
}

fn launch(
    command: &CommandLine,
    working_directory: Option<&str>,
    env: &BTreeMap<String, String>,
) -> Result<Launch, ConfigError> {
    let argv = match command {
        CommandLine::Shell(line) if line.trim().is_empty() => Vec::new(),
        CommandLine::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        CommandLine::Program(argv) => argv.clone(),
    };
    if argv.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(ConfigError::invalid(
            "command",
            "names no program",
            "write it like `[\"deploy\", \"--fast\"]` or `\"deploy --fast\"`",
        ));
    }
    let size: usize = argv.iter().map(String::len).sum();
    if argv.len() > ARGUMENTS_MAX || size > ARGUMENTS_SIZE_BYTES_MAX {
        return Err(ConfigError::invalid(
            "command",
            format!("more than {ARGUMENTS_MAX} arguments or 128 KiB"),
            "put the work into a script and run that",
        ));
    }
    for argument in &argv {
        config::check_template("command", argument)?;
        no_nul("command", argument)?;
    }
    for (name, value) in env {
        variable(name, value)?;
    }
    if let Some(directory) = working_directory {
        config::check_template("workingDirectory", directory)?;
        no_nul("workingDirectory", directory)?;
    }
    Ok(Launch {
        secrets: Vec::new(),
        argv,
        working_directory: working_directory.map(PathBuf::from),
        env: env.clone(),
    })
}

fn variable(name: &str, value: &str) -> Result<(), ConfigError> {
    let path = format!("env.{name}");
    let mut characters = name.chars();
    // The launching shell passes on no other names.
    let is_name = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(ConfigError::invalid(
            path,
            format!("`{name}` is not a variable name"),
            "use letters, digits and `_`, and no digit first",
        ));
    }
    if name.starts_with("STAGEGATE_") || name == "TRACEPARENT" {
        return Err(ConfigError::invalid(
            path,
            format!("`{name}` is set by stagegate"),
            "choose another name",
        ));
    }
    config::check_template(&path, value)?;
    no_nul(&path, value)
}

fn no_nul(path: &str, text: &str) -> Result<(), ConfigError> {
    if text.contains('\0') {
        return Err(ConfigError::invalid(
            path,
            "holds a NUL character",
            "remove it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::agents::check;
    use serde_json::json;

    #[test]
    fn good_configurations_pass_with_and_without_templates() {
        for config in [
            json!({"command": "make deploy"}),
            json!({"command": ["make", "{{ version.tag }}"], "workingDirectory": "/srv", "env": {"A": "{{ x }}"}, "timeoutSeconds": 5}),
            json!({"service": {"command": ["serve"], "readyPort": 8080}}),
            json!({"service": {"command": "serve", "readyPort": "{{ resource.config.port }}", "name": "web"}}),
            json!({"service": {"command": "serve", "readyUrl": "http://127.0.0.1:{{ resource.config.port }}/", "minUptimeMs": 0}}),
        ] {
            assert_eq!(check("exec", &config), Ok(()), "{config}");
        }
    }

    #[test]
    fn bad_configurations_name_the_place() {
        for (config, path) in [
            (json!({}), ""),
            (json!({"command": "a", "service": {"command": "b"}}), ""),
            (json!({"comand": "a"}), "comand"),
            (json!({"command": []}), "command"),
            (json!({"command": " "}), "command"),
            (json!({"command": 7}), "command"),
            (
                json!({"command": "a", "timeoutSeconds": 0}),
                "timeoutSeconds",
            ),
            (json!({"command": "a", "env": {"A B": "x"}}), "env.A B"),
            (
                json!({"command": "a", "env": {"STAGEGATE_JOB_ID": "x"}}),
                "env.STAGEGATE_JOB_ID",
            ),
            (json!({"command": "a\u{0}b"}), "command"),
            (json!({"command": "echo {{ version.tag"}), "command"),
            (
                json!({"service": {"command": "b"}, "timeoutSeconds": 4}),
                "timeoutSeconds",
            ),
            (
                json!({"service": {"command": "b", "readyPort": 0}}),
                "service.readyPort",
            ),
            (
                json!({"service": {"command": "b", "readyPort": "http"}}),
                "service.readyPort",
            ),
            (
                json!({"service": {"command": "b", "readyPort": 1, "readyUrl": "http://x"}}),
                "service.readyPort",
            ),
            (
                json!({"service": {"command": "b", "readyUrl": "x"}}),
                "service.readyUrl",
            ),
            (
                json!({"service": {"command": "b", "stopTimeoutSeconds": 301}}),
                "service.stopTimeoutSeconds",
            ),
            (
                json!({"service": {"command": "b", "name": ""}}),
                "service.name",
            ),
        ] {
            let error = check("exec", &config).unwrap_err();
            assert_eq!(error.path, path, "{config}: {error}");
        }
    }

    #[test]
    fn debug_output_hides_the_environment() {
        let config: super::ExecConfig =
            serde_json::from_value(json!({"command": "a", "env": {"A": "hunter2"}})).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains('A'), "{shown}");
    }
}
