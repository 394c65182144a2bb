//! What only the integrations know of a command's content: refused here, before the engine sees it.

use serde_json::Value;
use stagegate_integrations::config::ConfigError;
use stagegate_integrations::{agents, metrics, notify};
use stagegate_model::{Change, Command, Notifier, Policy, Rejection};

/// Refuses configuration of integrations that could never work.
///
/// # Errors
/// The first change that is refused, with its index.
pub fn check(command: &Command) -> Result<(), Rejection> {
    let Command::Configure(changes) = command else {
        return Ok(());
    };
    for (index, change) in changes.iter().enumerate() {
        let checked = match change {
            Change::PutPolicy(policy) => check_policy(policy),
            Change::PutJobAgent(agent) => check_agent_kind(&agent.kind),
            Change::PutNotifier(notifier) => check_notifier(notifier),
            _ => Ok(()),
        };
        checked.map_err(|rejection| Rejection {
            change: Some(index),
            ..rejection
        })?;
    }
    Ok(())
}

fn check_agent_kind(kind: &str) -> Result<(), Rejection> {
    if agents::kinds().any(|known| known == kind) {
        return Ok(());
    }
    let known: Vec<_> = agents::kinds().collect();
    Err(Rejection::invalid(
        "unknown_job_agent",
        format!("there is no job agent type `{kind}`"),
    )
    .at("type")
    .hint(format!("the types are: {}", known.join(", "))))
}

fn check_notifier(notifier: &Notifier) -> Result<(), Rejection> {
    notify::check(&notifier.kind, &notifier.config).map_err(|error| {
        if error.code == "unknown_notifier" {
            return rejection(error);
        }
        rejection(error).at("config")
    })
}

/// Every metric's provider. What is not of a verification's shape is left to the engine, which refuses it.
fn check_policy(policy: &Policy) -> Result<(), Rejection> {
    for (rule_index, rule) in policy
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.kind == "verification")
    {
        let metrics = rule
            .spec
            .get("metrics")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for (index, metric) in metrics.enumerate() {
            let Some(provider) = metric
                .get("provider")
                .filter(|provider| provider.get("type").is_some())
            else {
                continue;
            };
            metrics::check(provider).map_err(|error| {
                let place = format!("rules[{rule_index}].verification.metrics[{index}].provider");
                rejection(error).at(place)
            })?;
        }
    }
    Ok(())
}

fn rejection(error: ConfigError) -> Rejection {
    let rejection = Rejection::invalid(error.code, error.message).hint(error.hint);
    if error.path.is_empty() {
        rejection
    } else {
        rejection.at(error.path)
    }
}
