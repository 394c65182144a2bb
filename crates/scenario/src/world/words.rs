//! Facts in words, for the timeline.

use super::Ledger;
use crate::reader::spelled;
use stagegate_model::{Fact, GateRecord, GateState, JobStatus, StartKind, Timestamp};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A line for each fact worth telling, in their order; what is configured is counted.
pub(super) fn lines(ledger: &Ledger, facts: &[Fact], start: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let mut saved: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for fact in facts {
        if let Some((kind, name)) = configured(fact) {
            saved.entry(kind).or_default().push(name);
        } else if let Some(line) = line(ledger, fact, start) {
            lines.push(line);
        }
    }
    let mut all: Vec<String> = saved
        .into_iter()
        .map(|(kind, names)| format!("saved: {kind} {}", names.join(", ")))
        .collect();
    all.append(&mut lines);
    all
}

fn configured(fact: &Fact) -> Option<(&'static str, &str)> {
    Some(match fact {
        Fact::SystemPut { system } => ("system", &system.name),
        Fact::EnvironmentPut { environment } => ("environment", &environment.name),
        Fact::DeploymentPut { deployment } => ("deployment", &deployment.slug),
        Fact::ResourcePut { resource } => ("resource", &resource.identifier),
        Fact::JobAgentPut { agent } => ("job agent", &agent.name),
        Fact::PolicyPut { policy } => ("policy", &policy.name),
        Fact::NotifierPut { notifier } => ("notifier", &notifier.name),
        Fact::VariablePut { variable } => ("variable", &variable.key),
        Fact::VariableSetPut { set } => ("variable set", &set.name),
        Fact::RelationshipRulePut { rule } => ("relationship rule", &rule.name),
        _ => return None,
    })
}

fn line(ledger: &Ledger, fact: &Fact, start: Timestamp) -> Option<String> {
    let name = |id: Uuid| ledger.name(id);
    let names = |ids: &[stagegate_model::ResourceId]| {
        let mut names: Vec<&str> = ids.iter().map(|id| name(id.0)).collect();
        names.sort_unstable();
        names.join(", ")
    };
    let of_job = |id: &stagegate_model::JobId| {
        ledger.job(*id).map_or_else(
            || "?".to_owned(),
            |job| {
                format!(
                    "{} on {}/{}",
                    name(job.version.0),
                    name(job.target.environment.0),
                    name(job.target.resource.0)
                )
            },
        )
    };
    let of_promotion = |id: &stagegate_model::PromotionId| {
        ledger.promotion(*id).map_or_else(
            || ("?".to_owned(), "?".to_owned()),
            |it| {
                (
                    name(it.environment.0).to_owned(),
                    name(it.version.0).to_owned(),
                )
            },
        )
    };
    Some(match fact {
        Fact::WorkspaceCreated { .. } | Fact::UserCreated { .. } | Fact::KeyCreated { .. } => {
            return None;
        }
        Fact::VersionCreated { .. } | Fact::VoteCast { .. } | Fact::Measured { .. } => return None,
        Fact::GroupPut { .. }
        | Fact::GroupDeleted { .. }
        | Fact::SkipCreated { .. }
        | Fact::SkipDeleted { .. }
        | Fact::FreezePut { .. }
        | Fact::FreezeDeleted { .. } => return None,
        Fact::VersionChanged { id, status, .. } => match status {
            Some(status) => format!("{} is {status}", name(id.0)),
            None => format!("{} is changed", name(id.0)),
        },
        Fact::SystemDeleted { id } => format!("deleted: system {}", name(id.0)),
        Fact::EnvironmentDeleted { id } => format!("deleted: environment {}", name(id.0)),
        Fact::DeploymentDeleted { id } => format!("deleted: deployment {}", name(id.0)),
        Fact::ResourceDeleted { id } => format!("deleted: resource {}", name(id.0)),
        Fact::JobAgentDeleted { id } => format!("deleted: job agent {}", name(id.0)),
        Fact::PolicyDeleted { id } => format!("deleted: policy {}", name(id.0)),
        Fact::NotifierDeleted { id } => format!("deleted: notifier {}", name(id.0)),
        Fact::VariableDeleted { id } => format!("deleted: variable {}", name(id.0)),
        Fact::VariableSetDeleted { id } => format!("deleted: variable set {}", name(id.0)),
        Fact::RelationshipRuleDeleted { id } => {
            format!("deleted: relationship rule {}", name(id.0))
        }
        Fact::ResourceVariablesPut { resource, .. } => {
            format!("saved: variables of {}", name(resource.0))
        }
        Fact::TargetsJoined {
            environment,
            deployment,
            resources,
        } => format!(
            "{}: targets of {} join: {}",
            name(environment.0),
            name(deployment.0),
            names(resources)
        ),
        Fact::TargetsLeft {
            environment,
            deployment,
            resources,
        } => format!(
            "{}: targets of {} leave: {}",
            name(environment.0),
            name(deployment.0),
            names(resources)
        ),
        Fact::PromotionOpened {
            version,
            environment,
            attempt,
            ..
        } => {
            let again = match attempt {
                1 => String::new(),
                attempt => format!(" again (attempt {attempt})"),
            };
            format!(
                "{}: the promotion of {} opens{again}",
                name(environment.0),
                name(version.0)
            )
        }
        Fact::GateChanged { promotion, gate } => {
            let (environment, version) = of_promotion(promotion);
            format!("{environment}: {}", gate_line(&version, gate, start))
        }
        Fact::PromotionMoved { id, status } => {
            let (environment, version) = of_promotion(id);
            format!("{environment}: the promotion of {version} is {status}")
        }
        Fact::PromotionEnded {
            id, status, reason, ..
        } => {
            let (environment, version) = of_promotion(id);
            format!(
                "{environment}: the promotion of {version} ends {status}{}",
                because(reason)
            )
        }
        Fact::JobsCreated {
            version,
            environment,
            jobs,
            ..
        } => {
            let resources: Vec<_> = jobs.iter().map(|job| job.resource).collect();
            format!(
                "{}: {} gets a job on {}",
                name(environment.0),
                name(version.0),
                names(&resources)
            )
        }
        Fact::TargetBlocked { target, block } => {
            let place = format!("{}/{}", name(target.environment.0), name(target.resource.0));
            match block {
                Some(block) => format!(
                    "{place}: {} is blocked: {} ({})",
                    name(block.version.0),
                    block.message,
                    block.code
                ),
                None => format!("{place} is blocked no more"),
            }
        }
        Fact::JobClaimed { id, runner, .. } => format!("the job of {} is {runner}'s", of_job(id)),
        Fact::JobLost { id, .. } => format!("the runner of {} is lost", of_job(id)),
        Fact::JobFound { id, .. } => format!("the runner of {} is back", of_job(id)),
        Fact::JobRequeued { id, .. } => format!("the job of {} may be claimed anew", of_job(id)),
        Fact::JobCancelRequested { id, reason, .. } => {
            format!("the job of {} is to stop{}", of_job(id), because(reason))
        }
        Fact::JobChanged {
            id,
            status,
            message,
            ..
        } => match status {
            JobStatus::Successful | JobStatus::InProgress => return None,
            _ if message.is_empty() => return None,
            _ => format!("the job of {} is {status}: {message}", of_job(id)),
        },
        Fact::ReportIgnored {
            job,
            status,
            standing,
        } => format!(
            "the report {status} of {} is ignored; it is {standing}",
            of_job(job)
        ),
        Fact::ReleaseEnded {
            id,
            job,
            status,
            reason,
        } => {
            let number = ledger.release(*id).map_or(0, |it| it.number);
            format!(
                "release {number}, {}, ends {status}{}",
                of_job(job),
                because(reason)
            )
        }
        Fact::VerificationStarted {
            job,
            metrics,
            rerun_of,
            ..
        } => {
            let metrics: Vec<_> = metrics
                .iter()
                .map(|it| format!("`{}`", it.metric.name))
                .collect();
            let again = if rerun_of.is_some() { " again" } else { "" };
            format!("{} is verified{again}: {}", of_job(job), metrics.join(", "))
        }
        Fact::VerificationEnded {
            id,
            status,
            reason,
            decided_by,
        } => {
            let of = ledger
                .verification(*id)
                .map_or_else(|| "?".to_owned(), |it| of_job(&it.job));
            let by = decided_by.map_or_else(String::new, |user| format!(" by {}", name(user.0)));
            format!(
                "the verification of {of} ends {status}{by}{}",
                because(reason)
            )
        }
        other => departure(ledger, other, start).unwrap_or_else(|| kind(other)),
    })
}

/// What departs from the ordinary course. A kind without words of its own speaks for itself.
fn departure(ledger: &Ledger, fact: &Fact, start: Timestamp) -> Option<String> {
    let name = |id: Uuid| ledger.name(id);
    let place = |target: &stagegate_model::TargetKey| {
        format!("{}/{}", name(target.environment.0), name(target.resource.0))
    };
    let at = |at: Timestamp| spelled(at.millis_since(start));
    Some(match fact {
        Fact::RetryScheduled {
            release,
            attempt,
            at: due,
            ..
        } => {
            let release = ledger.release(*release)?;
            let tag = name(release.version.0);
            let place = place(&release.target);
            format!("{place}: attempt {attempt} of {tag} is due at {}", at(*due))
        }
        Fact::TargetOrdered { target, order } => {
            let tag = name(order.version.0);
            let what = match order.kind {
                StartKind::Rollback => format!("goes back to {tag}"),
                StartKind::BreakGlass => format!("gets {tag} past every gate"),
                _ => format!("gets {tag} once more"),
            };
            format!("{} {what}{}", place(target), because(&order.reason))
        }
        Fact::OrderDropped { target, reason } => {
            format!("{}: the order is dropped{}", place(target), because(reason))
        }
        Fact::HoldReleased { target, .. } => format!("{} is held no more", place(target)),
        Fact::Quarantined {
            version,
            environment,
            reason,
        } => format!(
            "{}: {} is quarantined{}",
            name(environment.0),
            name(version.0),
            because(reason)
        ),
        Fact::QuarantineCleared {
            version,
            environment,
            ..
        } => format!(
            "{}: {} is quarantined no more",
            name(environment.0),
            name(version.0)
        ),
        Fact::RolloutStarted {
            version,
            environment,
            started_at,
            waves,
            ..
        } => {
            let targets: usize = waves.iter().map(Vec::len).sum();
            format!(
                "{}: the rollout of {} over {targets} targets begins, counted from {}",
                name(environment.0),
                name(version.0),
                at(*started_at)
            )
        }
        Fact::RolloutWaveStarted {
            version,
            environment,
            wave,
            ..
        } => format!(
            "{}: wave {} of {} begins",
            name(environment.0),
            wave + 1,
            name(version.0)
        ),
        Fact::RolloutClock {
            version,
            environment,
            running,
            ..
        } => format!(
            "{}: the clock of {}'s rollout {}",
            name(environment.0),
            name(version.0),
            if *running { "runs" } else { "stands still" }
        ),
        Fact::RolloutPaused {
            version,
            environment,
            reason,
        } => format!(
            "{}: the rollout of {} is paused{}",
            name(environment.0),
            name(version.0),
            because(reason)
        ),
        _ => return None,
    })
}

fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

/// The kind of a fact, as it is in the log.
pub(crate) fn kind(fact: &Fact) -> String {
    serde_json::to_value(fact)
        .ok()
        .and_then(|json| json.get("type")?.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn gate_line(version: &str, gate: &GateRecord, start: Timestamp) -> String {
    let state = match gate.state {
        GateState::Allow => "is open for",
        GateState::Wait => "waits for",
        GateState::Deny => "is shut for",
        GateState::Gone => "no longer applies to",
    };
    let until = gate.until.map_or_else(String::new, |at| {
        format!(" (until {})", spelled(at.millis_since(start)))
    });
    format!("{} {state} {version}: {}{until}", gate.kind, gate.message)
}
