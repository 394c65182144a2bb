//! What is missing for a version to be in an environment, each thing once.

use crate::engine::Engine;
use crate::explain::{Explanation, Gate, Tally, TargetState};
use crate::rules::{Action, Verdict};
use stagegate_model::{EnvironmentId, Json, RuleId, Timestamp, Version};
use std::collections::BTreeMap;

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    pub kind: NeedKind,
    /// What it is, in words.
    pub text: String,
    /// The environments of which one must have the version first.
    pub environments: Vec<EnvironmentId>,
    /// What would do; empty where the text says it.
    pub opens: String,
    /// Who can do that; empty when nobody needs to.
    pub who: String,
    /// When time alone gives it.
    pub until: Option<Timestamp>,
    /// The rule that asks for it, if one does.
    pub rule: Option<RuleId>,
    /// Since when, where that is on record.
    pub since: Option<Timestamp>,
}

/// What has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// The version has to succeed in another environment.
    Environment,
    /// People have to approve.
    Approval,
    /// A moment has to come.
    Time,
    /// Something under way has to end, or a turn to come.
    Event,
    /// Someone has to change or decide something.
    Change,
}

impl NeedKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Approval => "approval",
            Self::Time => "time",
            Self::Event => "event",
            Self::Change => "change",
        }
    }
}

impl Need {
    fn new(kind: NeedKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            environments: Vec::new(),
            opens: String::new(),
            who: String::new(),
            until: None,
            rule: None,
            since: None,
        }
    }
}

pub(super) fn of(
    engine: &Engine,
    version: &Version,
    it: &Explanation,
    upstreams: &BTreeMap<RuleId, Vec<EnvironmentId>>,
) -> Vec<Need> {
    if it.tally.total() == 0 {
        let need = Need::new(NeedKind::Change, it.summary.clone());
        return vec![Need {
            opens: "a resource is matched by both selectors".to_owned(),
            who: "whoever may edit resources".to_owned(),
            ..need
        }];
    }
    if it.tally.all(&[TargetState::Succeeded, TargetState::Newer]) {
        return Vec::new();
    }
    let mut needs = Vec::new();
    let states = [
        TargetState::Running,
        TargetState::Verifying,
        TargetState::Retrying,
    ];
    needs.extend(
        states
            .iter()
            .filter_map(|state| on(engine, &it.tally, *state)),
    );
    let stopped = it.stopped.as_ref().map(|stopped| Need {
        opens: stopped.opens.clone(),
        who: stopped.who.clone(),
        ..Need::new(NeedKind::Change, stopped.message.clone())
    });
    if it.status.is_some_and(|status| !status.is_open()) {
        let ended = || Need::new(NeedKind::Change, it.summary.clone());
        needs.push(stopped.unwrap_or_else(ended));
        return needs;
    }
    needs.extend(stopped);
    let closed: Vec<&Gate> = it
        .gates
        .iter()
        .filter(|it| !it.verdict.is_allowed())
        .collect();
    // What follows from the others is nothing that is missing by itself.
    let follows = |gate: &&&Gate| gate.verdict.why().code == "rollout_not_begun";
    let alone = closed.iter().all(|gate| follows(&gate));
    let asking = closed.iter().filter(|gate| alone || !follows(gate));
    needs.extend(asking.map(|gate| of_gate(version, gate, upstreams)));
    let mut states = vec![
        TargetState::Busy,
        TargetState::Blocked,
        TargetState::Failed,
        TargetState::Held,
    ];
    if closed.is_empty() {
        states.push(TargetState::Waiting);
    }
    needs.extend(
        states
            .iter()
            .filter_map(|state| on(engine, &it.tally, *state)),
    );
    needs
}

fn of_gate(
    version: &Version,
    gate: &Gate,
    upstreams: &BTreeMap<RuleId, Vec<EnvironmentId>>,
) -> Need {
    let why = gate.verdict.why();
    let asked = Need {
        opens: why.opens.clone(),
        who: why.who.clone(),
        rule: Some(gate.rule),
        since: gate.since,
        ..Need::new(NeedKind::Change, why.message.clone())
    };
    if matches!(why.code, "dependency_pending" | "dependency_failed") {
        return Need {
            kind: NeedKind::Environment,
            environments: upstreams.get(&gate.rule).cloned().unwrap_or_default(),
            ..asked
        };
    }
    match &gate.verdict {
        Verdict::Wait { .. } if why.action == Action::Approval => Need {
            kind: NeedKind::Approval,
            text: approval(version, &why.details, &why.who),
            ..asked
        },
        Verdict::Wait { until, .. } => Need {
            kind: match until {
                Some(_) => NeedKind::Time,
                None => NeedKind::Event,
            },
            until: *until,
            ..asked
        },
        Verdict::Allow { .. } | Verdict::Deny { .. } => asked,
    }
}

/// Whose approval is missing: `approval by group:qa, then 2 approvals by group:sre or user:…`.
fn approval(version: &Version, details: &Json, who: &str) -> String {
    let by = |missing: u64, who: &str| {
        let who = who.replace(", ", " or ");
        match missing {
            0 | 1 => format!("approval by {who}"),
            missing => format!("{missing} approvals by {who}"),
        }
    };
    let Some(stages) = details["stages"].as_array() else {
        let needed = details["minApprovals"].as_u64().unwrap_or(1);
        let votes = details["votes"].as_array().into_iter().flatten();
        let given = votes.filter(|it| it["vote"] == "approved").count() as u64;
        return by(needed.saturating_sub(given), who);
    };
    let mut texts = Vec::new();
    for stage in stages {
        let given = stage["approvals"].as_array().map_or(0, Vec::len) as u64;
        let minimum = stage["minimum"].as_u64().unwrap_or(1);
        if given >= minimum {
            continue;
        }
        let approvers = stage["approvers"].as_array().into_iter().flatten();
        let approvers: Vec<&str> = approvers.filter_map(Json::as_str).collect();
        texts.push(by(minimum - given, &approvers.join(", ")));
    }
    match texts.len() {
        // A rule that counts differently than it tells is still told.
        0 => format!("approval of {} by {who}", version.tag),
        _ => texts.join(", then "),
    }
}

/// What is missing on the targets that stand so.
fn on(engine: &Engine, tally: &Tally, state: TargetState) -> Option<Need> {
    let first = tally.sample(state)?;
    if state == TargetState::Waiting && first.reason.is_empty() {
        return None;
    }
    let name = engine.state.resource(first.resource).map(|it| it.name());
    let name = name.unwrap_or_default();
    let more = match tally.reasoned(state).saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more like it"),
    };
    let what = match (state, first.reason.as_str()) {
        (TargetState::Failed, "") => "it failed".to_owned(),
        (TargetState::Failed, reason) => format!("it failed: {reason}"),
        (_, "") => state.as_str().to_owned(),
        (_, reason) => reason.to_owned(),
    };
    let undecided = state == TargetState::Verifying && tally.undecided;
    let kind = match state {
        TargetState::Blocked | TargetState::Failed | TargetState::Held => NeedKind::Change,
        _ if undecided => NeedKind::Change,
        _ => NeedKind::Event,
    };
    Some(Need::new(kind, format!("on {name} {what}{more}")))
}
