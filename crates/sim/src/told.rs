//! Entries, as a person reads them in a trace.

use crate::auditor::Ledger;
use stagegate_model::*;
use std::fmt::Write as _;

/// An entry in one line.
pub fn entry(entry: &Entry, ledger: &Ledger) -> String {
    let mut line = match &entry.cause {
        Cause::Command { name } => name.clone(),
        Cause::Timer => "timer".to_owned(),
        Cause::Continued { .. } => "continued".to_owned(),
    };
    let _ = write!(line, " @{}", entry.time);
    for fact in &entry.facts {
        line.push_str("; ");
        line.push_str(&self::fact(fact, ledger));
    }
    line
}

fn fact(fact: &Fact, ledger: &Ledger) -> String {
    let version = |id: &VersionId| ledger.tag(*id).to_owned();
    let place = |id: &EnvironmentId| {
        let environment = ledger.environments.get(id);
        environment.map_or("?", |it| it.name.as_str()).to_owned()
    };
    let on = |id: &JobId| {
        let job = ledger.jobs.get(id);
        job.map_or_else(String::new, |job| ledger.name(job.target))
    };
    let promotion = |id: &PromotionId| {
        let it = ledger.promotions.get(id);
        it.map_or_else(String::new, |it| {
            format!("{} in {}", version(&it.version), place(&it.environment))
        })
    };
    match fact {
        Fact::EnvironmentPut { environment } => {
            format!(
                "environment {} takes {}",
                environment.name, environment.resource_selector
            )
        }
        Fact::PolicyPut { policy } => {
            let rules: Vec<String> = policy
                .rules
                .iter()
                .map(|rule| format!("{}={}", rule.kind, rule.spec))
                .collect();
            format!(
                "policy `{}` {} where {} replaces {} rules {}",
                policy.name,
                if policy.enabled { "on" } else { "off" },
                policy.selector,
                policy.replaces.len(),
                rules.join(" ")
            )
        }
        Fact::ResourcePut { resource } => {
            format!("resource {} {:?}", resource.identifier, resource.metadata)
        }
        Fact::VersionCreated { version } => format!(
            "version {} {} of {} {:?}",
            version.tag, version.status, version.created_at, version.metadata
        ),
        Fact::VersionChanged { id, status, .. } => {
            format!("version {} now {status:?}", version(id))
        }
        Fact::VoteCast {
            version: id,
            environment,
            vote,
            ..
        } => format!("{vote} {} in {}", version(id), place(environment)),
        Fact::TargetsJoined {
            environment,
            resources,
            ..
        } => format!("{} joined {}", resources.len(), place(environment)),
        Fact::TargetsLeft {
            environment,
            resources,
            ..
        } => format!("{} left {}", resources.len(), place(environment)),
        Fact::PromotionOpened {
            version: id,
            environment,
            attempt,
            ..
        } => format!("open {} in {} #{attempt}", version(id), place(environment)),
        Fact::GateChanged {
            promotion: id,
            gate,
        } => format!(
            "gate of {}: {} {:?} {} until {:?}",
            promotion(id),
            gate.kind,
            gate.state,
            gate.code,
            gate.until
        ),
        Fact::PromotionMoved { id, status } => format!("{} {status}", promotion(id)),
        Fact::PromotionEnded { id, status, .. } => format!("{} ended {status}", promotion(id)),
        Fact::JobsCreated {
            version: id,
            environment,
            jobs,
            ..
        } => {
            let names: Vec<String> = jobs.iter().map(|job| on(&job.job)).collect();
            format!(
                "start {} in {}: {}",
                version(id),
                place(environment),
                names.join(" ")
            )
        }
        Fact::TargetBlocked { target, block } => {
            let why = block.as_ref().map_or_else(
                || "no more".to_owned(),
                |it| format!("{} ({})", version(&it.version), it.code),
            );
            format!("{} blocked: {why}", ledger.name(*target))
        }
        Fact::RolloutStarted {
            version: id,
            environment,
            waves,
            ..
        } => {
            let sizes: Vec<usize> = waves.iter().map(Vec::len).collect();
            let (tag, place) = (version(id), place(environment));
            format!("rollout of {tag} in {place} begins, waves of {sizes:?}")
        }
        Fact::RolloutWaveStarted {
            version: id,
            environment,
            wave,
            ..
        } => format!("wave {wave} of {} in {}", version(id), place(environment)),
        Fact::RolloutClock {
            version: id,
            environment,
            running,
            until,
            ..
        } => {
            let turns = if *running { "runs" } else { "stands" };
            let (tag, place) = (version(id), place(environment));
            format!("clock of {tag} in {place} {turns} until {until:?}")
        }
        Fact::FreezePut { freeze } => {
            let (from, to) = (freeze.starts_at, freeze.ends_at);
            format!("freeze of {} from {from} to {to:?}", freeze.selector)
        }
        Fact::SkipCreated { skip } => format!(
            "skip of {} for {} in {} on {:?} until {:?}",
            skip.rule,
            skip.version.as_ref().map_or("any".to_owned(), version),
            skip.environment.as_ref().map_or("any".to_owned(), place),
            skip.resource,
            skip.expires_at
        ),
        Fact::JobClaimed { id, runner, .. } => format!("{} claimed by {runner}", on(id)),
        Fact::JobChanged { id, status, .. } => format!("{} {status}", on(id)),
        Fact::JobLost { id, .. } => format!("{} lost", on(id)),
        Fact::JobFound { id, .. } => format!("{} found", on(id)),
        Fact::JobRequeued { id, .. } => format!("{} requeued", on(id)),
        Fact::JobCancelRequested { id, cause, .. } => format!("{} to stop ({cause})", on(id)),
        Fact::ReportIgnored { job, status, .. } => format!("{} {status} ignored", on(job)),
        Fact::ReleaseEnded { job, status, .. } => format!("release on {} {status}", on(job)),
        Fact::VerificationStarted { job, trigger, .. } => format!("verify {} {trigger}", on(job)),
        Fact::Measured { status, .. } => format!("measured {status}"),
        Fact::VerificationEnded { status, .. } => format!("verification {status}"),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}
