//! Who approves, checked and compiled.

use crate::catalog::Draft;
use crate::expressions::{approval_schema, check_cel};
use crate::state::{State, same_name};
use serde::Deserialize;
use stagegate_expressions::cel::Program;
use stagegate_model::{GroupId, Rejection, Role, UserId};
use std::collections::BTreeSet;
use std::fmt;

const STAGES_MAX: usize = 20;
const APPROVERS_MAX: usize = 100;
const HOURS_MAX: u32 = 365 * 24;
const MINUTES_MAX: u32 = 365 * 24 * 60;

/// The rule as users write it; persons are ids by the time it comes here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    stages: Vec<StageSpec>,
    #[serde(default)]
    requester_may_approve: bool,
    expires_after_hours: Option<u32>,
    valid_for_hours: Option<u32>,
    auto_approve_when: Option<String>,
    #[serde(default)]
    bind_metadata: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StageSpec {
    name: String,
    approvers: Vec<String>,
    #[serde(default = "one")]
    minimum: u32,
    escalate_after_minutes: Option<u32>,
    #[serde(default)]
    escalate_to: Vec<String>,
}

fn one() -> u32 {
    1
}

/// The rule, ready to be asked.
pub(crate) struct Approval {
    pub stages: Vec<Stage>,
    pub requester_may_approve: bool,
    pub expires_after_hours: Option<u32>,
    pub valid_for_hours: Option<u32>,
    pub auto_approve_when: Option<Program>,
    pub bind_metadata: bool,
}

pub(crate) struct Stage {
    pub name: String,
    pub approvers: Vec<Approver>,
    pub minimum: u32,
    pub escalation: Option<(u32, Vec<Approver>)>,
}

/// Who may approve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Approver {
    User(UserId),
    /// By name, whatever the case of its letters.
    Group(String),
    Role(Role),
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}

impl Approver {
    fn read(text: &str) -> Result<Self, Rejection> {
        let invalid = |message: String| {
            Rejection::invalid("invalid_rule", message)
                .hint("write `user:NAME`, `group:NAME`, `role:approver` or `role:admin`")
        };
        let Some((kind, name)) = text.split_once(':') else {
            return Err(invalid(format!("`{text}` names nobody")));
        };
        let name = name.trim();
        match kind {
            "user" => match name.parse() {
                Ok(id) => Ok(Self::User(id)),
                Err(_) => Err(Rejection::invalid(
                    "unknown_user",
                    format!("there is no user `{name}`"),
                )),
            },
            "group" if !name.is_empty() => Ok(Self::Group(name.to_owned())),
            "role" => match Role::parse(name) {
                Some(role @ (Role::Approver | Role::Admin)) => Ok(Self::Role(role)),
                _ => Err(invalid(format!(
                    "nobody with the role `{name}` may approve"
                ))),
            },
            _ => Err(invalid(format!("`{text}` names nobody"))),
        }
    }

    /// Whether it means a person who was in these groups.
    pub fn means(&self, state: &State, user: UserId, groups: &[GroupId]) -> bool {
        match self {
            Self::User(id) => *id == user,
            Self::Group(name) => groups.iter().any(|id| {
                let group = state.groups.get(id);
                group.is_some_and(|group| same_name(&group.name, name))
            }),
            Self::Role(role) => state.users.get(&user).is_some_and(|it| it.allows(*role)),
        }
    }
}

impl Approval {
    pub(super) fn new(spec: Spec) -> Result<Self, Rejection> {
        let invalid = |message: &str| Rejection::invalid("invalid_rule", message);
        if spec.stages.is_empty() {
            return Err(invalid("there must be at least one stage").at("stages"));
        }
        if spec.stages.len() > STAGES_MAX {
            return Err(invalid("there are more than 20 stages").at("stages"));
        }
        for (field, hours) in [
            ("expiresAfterHours", spec.expires_after_hours),
            ("validForHours", spec.valid_for_hours),
        ] {
            if hours.is_some_and(|hours| hours == 0 || hours > HOURS_MAX) {
                return Err(invalid("it must be from 1 hour to 365 days").at(field));
            }
        }
        let auto_approve_when = spec
            .auto_approve_when
            .map(|text| check_cel(&text, approval_schema(), "autoApproveWhen"))
            .transpose()?;
        let mut stages: Vec<Stage> = Vec::new();
        for (index, stage) in spec.stages.into_iter().enumerate() {
            let at = |rejection: Rejection| rejection.at(format!("stages[{index}]"));
            if stages
                .iter()
                .any(|other| same_name(&other.name, &stage.name))
            {
                return Err(at(invalid("there are two stages of that name").at("name")));
            }
            stages.push(Stage::new(stage).map_err(at)?);
        }
        Ok(Self {
            stages,
            requester_may_approve: spec.requester_may_approve,
            expires_after_hours: spec.expires_after_hours,
            valid_for_hours: spec.valid_for_hours,
            auto_approve_when,
            bind_metadata: spec.bind_metadata,
        })
    }

    /// Refuses names of nobody.
    pub(super) fn check_people(&self, draft: &Draft<'_>) -> Result<(), Rejection> {
        let state = draft.state();
        for (index, stage) in self.stages.iter().enumerate() {
            let escalation = stage.escalation.iter().flat_map(|(_, to)| to);
            let named = stage.approvers.iter().map(|it| ("approvers", it));
            for (field, approver) in named.chain(escalation.map(|it| ("escalateTo", it))) {
                let (known, code) = match approver {
                    Approver::User(id) => (state.users.contains_key(id), "unknown_user"),
                    Approver::Group(name) => (state.group_by_name(name).is_some(), "unknown_group"),
                    Approver::Role(_) => (true, ""),
                };
                if !known {
                    let what = approver.to_string();
                    let (kind, name) = what.split_once(':').unwrap_or(("", &what));
                    let message = format!("there is no {kind} `{name}`");
                    return Err(Rejection::invalid(code, message)
                        .at(format!("stages[{index}].{field}"))
                        .hint("create it first"));
                }
            }
        }
        Ok(())
    }
}

impl Stage {
    fn new(spec: StageSpec) -> Result<Self, Rejection> {
        let invalid = |message: &str| Rejection::invalid("invalid_rule", message);
        if spec.name.trim().is_empty() || spec.name.chars().count() > 200 {
            return Err(invalid("a stage has a name of at most 200 characters").at("name"));
        }
        if spec.minimum == 0 {
            return Err(invalid("`minimum` must be at least 1")
                .at("minimum")
                .hint("leave the stage out when nobody has to approve"));
        }
        if spec.approvers.is_empty() {
            return Err(invalid("nobody could approve the stage").at("approvers"));
        }
        if spec.approvers.len() + spec.escalate_to.len() > APPROVERS_MAX {
            return Err(invalid("at most 100 approvers may be named").at("approvers"));
        }
        let escalation = match (spec.escalate_after_minutes, spec.escalate_to) {
            (None, to) if to.is_empty() => None,
            (Some(minutes), to) if !to.is_empty() => {
                if minutes == 0 || minutes > MINUTES_MAX {
                    return Err(
                        invalid("it must be from 1 minute to 365 days").at("escalateAfterMinutes")
                    );
                }
                Some((minutes, read_all(&to, "escalateTo")?))
            }
            (Some(_), _) => {
                return Err(invalid("it says when to escalate, but not to whom").at("escalateTo"));
            }
            (None, _) => {
                return Err(
                    invalid("it says to whom to escalate, but not when").at("escalateAfterMinutes")
                );
            }
        };
        let approvers = read_all(&spec.approvers, "approvers")?;
        let escalate_to = escalation.iter().flat_map(|(_, to)| to);
        if let Some(persons) = persons(approvers.iter().chain(escalate_to))
            && persons < spec.minimum as usize
        {
            let message = format!(
                "{} approvals are asked for, and the people named are {persons}",
                spec.minimum
            );
            return Err(invalid(&message).at("minimum"));
        }
        Ok(Self {
            approvers,
            name: spec.name,
            minimum: spec.minimum,
            escalation,
        })
    }
}

/// How many people these are, when they are named one by one.
fn persons<'a>(approvers: impl Iterator<Item = &'a Approver>) -> Option<usize> {
    let user = |approver: &Approver| match approver {
        Approver::User(id) => Some(*id),
        Approver::Group(_) | Approver::Role(_) => None,
    };
    let users: Option<BTreeSet<UserId>> = approvers.map(user).collect();
    users.map(|users| users.len())
}

fn read_all(texts: &[String], field: &str) -> Result<Vec<Approver>, Rejection> {
    let read = |(index, text): (usize, &String)| {
        Approver::read(text).map_err(|it| it.at(format!("{field}[{index}]")))
    };
    texts.iter().enumerate().map(read).collect()
}
