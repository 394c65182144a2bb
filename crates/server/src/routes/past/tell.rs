//! What the log says of a job's beginning, in words.

use super::Found;
use crate::people::People;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::{Job, PastGate, Release, Stamp, State};
use stagegate_model::{
    Actor, Cause, Entry, GateState, JobId, Order, OrderCause, StartKind, Timestamp, Vote,
};

pub(super) struct Subject<'a> {
    pub state: &'a State,
    pub people: &'a People,
    pub job: &'a Job,
    pub release: Option<&'a Release>,
    /// The try before, if it is still known.
    pub before: Option<(JobId, Option<&'a Job>)>,
    pub found: &'a Found,
}

impl Subject<'_> {
    pub fn tell(&self) -> api::JobWhy {
        let (state, job, found) = (self.state, self.job, self.found);
        let beginning = &found.beginning;
        let asked = !matches!(beginning.kind, StartKind::Rollback | StartKind::BreakGlass);
        let turns = beginning.turns.iter().map(|turn| api::PastTurn {
            rule_id: turn.rule.to_string(),
            wave: turn.wave,
            waves: turn.waves,
            position: turn.position,
            size: turn.size,
            started_at: turn.started_at.to_string(),
        });
        let votes = beginning.votes.iter().map(|vote| api::PastVote {
            user_id: vote.user.to_string(),
            user_name: self.people.name(vote.user),
            vote: voted(vote.vote).to_owned(),
            reason: vote.reason.clone(),
            at: vote.at.time.to_string(),
            seq: vote.at.seq,
        });
        let mut told = api::JobWhy {
            job: job.id.to_string(),
            deployment: wire::deployment_ref(state, job.target.deployment),
            environment: wire::environment_ref(state, job.target.environment),
            version: wire::version_ref(state, job.version),
            resource: wire::resource_name(state, job.target.resource),
            promotion: job.promotion.to_string(),
            release: job.release.to_string(),
            number: beginning.number,
            kind: beginning.kind.as_str().to_owned(),
            attempt: beginning.attempt,
            status: job.status.to_string(),
            summary: String::new(),
            started: self.entry(beginning.at, &beginning.actor, &beginning.cause),
            set_in_motion: found.set_in_motion.as_ref().map(|it| self.stored(it)),
            order: self.order(),
            tried_before: self.before.map(|(id, job)| api::PastTry {
                job: id.to_string(),
                status: job.map(|it| it.status.to_string()),
                message: job.map_or_else(String::new, |it| it.message.clone()),
            }),
            gates_asked: asked,
            gates: beginning.gates.iter().map(|it| self.gate(it)).collect(),
            votes: votes.collect(),
            rollouts: turns.collect(),
            complete: found.complete,
        };
        told.summary = self.summary(&told);
        told
    }

    fn stored(&self, entry: &Entry) -> api::PastEntry {
        let stamp = Stamp {
            seq: entry.seq,
            entry: entry.id,
            time: entry.time,
        };
        self.entry(stamp, &entry.actor, &entry.cause)
    }

    fn entry(&self, at: Stamp, actor: &Actor, cause: &Cause) -> api::PastEntry {
        let (cause, command) = match cause {
            Cause::Command { name } => ("command", Some(name.clone())),
            Cause::Timer => ("timer", None),
            Cause::Continued { .. } => ("continued", None),
        };
        api::PastEntry {
            seq: at.seq,
            at: at.time.to_string(),
            actor: self.people.actor(actor),
            cause: cause.to_owned(),
            command,
        }
    }

    /// The order as it was given; where its entry was not found, as the release has it.
    fn order(&self) -> Option<api::PastOrder> {
        let told = |order: &Order| api::PastOrder {
            cause: word(order.cause).to_owned(),
            reason: self.people.tell(&order.reason),
            by: order.by.map(|user| self.people.name(user)),
            ..api::PastOrder::default()
        };
        if let Some((at, order)) = &self.found.beginning.order {
            return Some(api::PastOrder {
                seq: at.seq,
                at: at.time.to_string(),
                ..told(order)
            });
        }
        let release = self.release?;
        let ordered = release.ordered.as_ref()?;
        Some(api::PastOrder {
            seq: self.found.beginning.at.seq,
            at: release.created_at.to_string(),
            cause: word(ordered.cause).to_owned(),
            reason: self.people.tell(&ordered.reason),
            by: ordered.by.map(|user| self.people.name(user)),
        })
    }

    fn gate(&self, gate: &PastGate) -> api::PastGate {
        let record = &gate.record;
        let policy = self.found.policies.get(&record.policy);
        let rule = policy.and_then(|policy| policy.rule(record.rule));
        let who = self.people.tell(&record.who);
        let text = |at: Timestamp| at.to_string();
        api::PastGate {
            rule_id: record.rule.to_string(),
            policy_id: record.policy.to_string(),
            policy_name: policy.map_or_else(String::new, |it| it.name.clone()),
            kind: record.kind.clone(),
            state: match record.state {
                GateState::Allow => "allow",
                GateState::Wait => "wait",
                GateState::Deny | GateState::Gone => "deny",
            }
            .to_owned(),
            code: record.code.clone(),
            message: self.people.tell(&record.message),
            who: Some(who).filter(|it| !it.is_empty()).into_iter().collect(),
            since: gate.since.to_string(),
            satisfied_at: record.satisfied_at.map(text),
            until: record.until.map(text),
            seq: gate.recorded.seq,
            latched: gate.latched,
            opened_last: record.state == GateState::Allow
                && gate.recorded == self.found.beginning.at,
            spec: rule.map(|rule| self.people.persons().shown(&rule.kind, &rule.spec)),
        }
    }

    /// `v2 went to p1 in Production: a vote by ann; with that opened anyApproval of `Guard``.
    fn summary(&self, told: &api::JobWhy) -> String {
        let (tag, place) = (&told.version.tag, &told.environment.name);
        let what = match self.found.beginning.kind {
            StartKind::Forward => format!("{tag} went to {} in {place}", told.resource),
            StartKind::Retry => format!(
                "{tag} was tried again on {} in {place}, for the {} time",
                told.resource,
                nth(told.attempt)
            ),
            StartKind::Redeploy => format!("{tag} went to {} in {place} once more", told.resource),
            StartKind::Rollback => format!("{} in {place} went back to {tag}", told.resource),
            StartKind::BreakGlass => format!(
                "BREAK-GLASS: {tag} was put on {} in {place} past every gate",
                told.resource
            ),
        };
        let mut text = format!("{what}: {}", self.reason(told));
        let opened: Vec<String> = told
            .gates
            .iter()
            .filter(|gate| gate.opened_last && told.gates_asked)
            .map(|gate| match gate.policy_name.as_str() {
                "" => gate.kind.clone(),
                name => format!("{} of `{name}`", gate.kind),
            })
            .collect();
        if !opened.is_empty() {
            text.push_str(&format!("; with that opened {}", opened.join(" and ")));
        }
        text
    }

    /// Who or what gave rise to it.
    fn reason(&self, told: &api::JobWhy) -> String {
        if let Some(order) = &told.order {
            let because = match order.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            return match (&order.by, order.cause.as_str()) {
                (Some(by), _) => format!("{by} asked for it{because}"),
                (None, "jobFailed") => format!("the job before failed{because}"),
                (None, "verificationFailed") => format!("its verification failed{because}"),
                (None, "versionRejected") => format!("the version was rejected{because}"),
                (None, "failureBudget") => format!("too many targets failed{because}"),
                (None, "configurationChanged") => format!("its configuration changed{because}"),
                (None, _) => format!("a person asked for it{because}"),
            };
        }
        if let Some(before) = &told.tried_before {
            return match (&before.status, before.message.as_str()) {
                (Some(status), "") => format!("the try before ended {status}"),
                (Some(status), why) => format!("the try before ended {status}: {why}"),
                (None, _) => "the try before ended in a way that is tried again".to_owned(),
            };
        }
        let entry = told.set_in_motion.as_ref().unwrap_or(&told.started);
        match &entry.command {
            Some(command) if command != "wake" => {
                format!("{} by {}", sentence(command), entry.actor)
            }
            _ if entry.cause != "continued" => "its time had come".to_owned(),
            _ => "it followed from what was decided before".to_owned(),
        }
    }
}

fn voted(vote: Vote) -> &'static str {
    match vote {
        Vote::Approved => "approved",
        Vote::Rejected => "rejected",
        Vote::Withdrawn => "withdrawn",
    }
}

fn word(cause: OrderCause) -> &'static str {
    match cause {
        OrderCause::JobFailed => "jobFailed",
        OrderCause::VerificationFailed => "verificationFailed",
        OrderCause::VersionRejected => "versionRejected",
        OrderCause::FailureBudget => "failureBudget",
        OrderCause::Person => "person",
        OrderCause::ConfigurationChanged => "configurationChanged",
    }
}

fn nth(number: u32) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        more => format!("{more}th"),
    }
}

/// What a command did, in words; its name where there is nothing better to say.
fn sentence(command: &str) -> String {
    match command {
        "castVote" => "a vote".to_owned(),
        "createVersion" => "the creation of the version".to_owned(),
        "updateVersion" => "a change of the version".to_owned(),
        "configure" => "a change of the configuration".to_owned(),
        "reportJob" => "a job's report".to_owned(),
        "recordMeasurement" => "a measurement".to_owned(),
        other => format!("the command `{other}`"),
    }
}
