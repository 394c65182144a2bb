//! Job agents: what brings a target to a release.
//!
//! An agent's configuration type says its kind and what it accepts; types are erased only in
//! `REGISTRY`. How an agent runs is its own module's affair, because agents differ in where they run:
//! [`exec`] runs on a runner's machine.

pub mod exec;

use crate::config::{self, ConfigError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Every agent, one line each.
static REGISTRY: &[Agent] = &[Agent::of::<exec::ExecConfig>()];

/// The configuration a job hands its agent.
pub trait AgentConfig: DeserializeOwned {
    /// The agent's type, as a job agent names it.
    const KIND: &'static str;

    /// Checks what the types cannot say. Strings may still hold `{{ templates }}`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self) -> Result<(), ConfigError>;
}

/// An agent with its type erased.
struct Agent {
    kind: &'static str,
    check: fn(Value) -> Result<(), ConfigError>,
}

impl Agent {
    const fn of<A: AgentConfig>() -> Self {
        Self {
            kind: A::KIND,
            check: |config| config::read::<A>(config)?.check(),
        }
    }
}

/// The agents there are.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|agent| agent.kind)
}

/// Checks a job's configuration for the agent `kind` as it is written, when strings may still hold
/// `{{ templates }}`.
///
/// # Errors
/// The first thing that is wrong; an unknown kind lists the known ones.
pub fn check(kind: &str, config: &Value) -> Result<(), ConfigError> {
    let agent = REGISTRY
        .iter()
        .find(|agent| agent.kind == kind)
        .ok_or_else(|| {
            let names: Vec<String> = kinds().map(|kind| format!("`{kind}`")).collect();
            ConfigError::new(
                "unknown_job_agent",
                "type",
                format!("there is no job agent `{kind}`"),
                format!("use one of {}", names.join(", ")),
            )
        })?;
    (agent.check)(config.clone())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_agent_lists_the_known_ones() {
        let error = super::check("exce", &serde_json::json!({})).unwrap_err();
        assert_eq!(error.code, "unknown_job_agent");
        assert!(error.hint.contains("`exec`"), "{error}");
    }
}
