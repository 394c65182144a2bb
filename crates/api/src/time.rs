//! Rules set aside, freezes, and the calendar of deployment windows.

use crate::EnvironmentRef;
use serde::{Deserialize, Serialize};

/// One rule set aside, in a scope, until a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySkip {
    pub id: String,
    pub workspace_id: String,
    /// The rule's id, or a freeze's.
    pub rule_id: String,
    /// What it is: `approval`, `freeze`, …; empty when there is no such rule any more, and the skip does nothing.
    pub kind: String,
    /// The name of its policy, or of the freeze.
    pub policy_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether its time is over.
    pub expired: bool,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_name: Option<String>,
}

/// The body of `POST …/policy-skips`. What is left out is not limited: any version, environment, resource; for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePolicySkip {
    /// The rule's id, or a freeze's.
    pub rule_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    pub reason: String,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A time in which nothing new starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    pub id: String,
    pub workspace_id: String,
    pub name: String,
    /// CEL over `environment`, `deployment`, `system`, `resource` and `version`.
    pub selector: String,
    pub reason: String,
    pub starts_at: String,
    /// Until a person ends it, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    pub allow_rollback: bool,
    /// `ahead`, `inForce` or `over`.
    pub status: String,
    /// Environments that it may take; all of a kind's targets or some, as the selector says.
    pub environments: Vec<EnvironmentRef>,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_name: Option<String>,
}

/// The body of `POST …/freezes` and `PUT …/freezes/{freezeId}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertFreeze {
    pub name: String,
    /// `true`, everything, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    pub reason: String,
    /// RFC 3339. Absent: now; for a freeze that is there, as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// RFC 3339. Absent: until a person ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// True when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_rollback: Option<bool>,
}

/// The query of a deletion that says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasonQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The query of `GET …/windows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowsQuery {
    /// An environment's name or id: only windows that may hold deployments there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// RFC 3339; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// RFC 3339; four weeks after `from` when absent, a year at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The calendar of deployment windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Windows {
    pub now: String,
    pub from: String,
    pub to: String,
    pub windows: Vec<Window>,
    pub freezes: Vec<Freeze>,
}

/// One rule `deploymentWindow`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    pub policy_id: String,
    pub policy_name: String,
    pub rule_id: String,
    /// Whether deployments start inside it; otherwise they start outside.
    pub allow_window: bool,
    pub timezone: String,
    pub rrule: String,
    pub duration_minutes: i64,
    /// Whether it holds rollbacks too.
    pub holds_rollbacks: bool,
    /// Environments in which it may apply.
    pub environments: Vec<EnvironmentRef>,
    /// Whether it lets deployments start now, taken alone.
    pub open: bool,
    /// When that began; absent when it was so before all that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When it changes next; absent when it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The stretches inside the window that overlap the time asked for, the earliest first.
    pub spans: Vec<WindowSpan>,
    /// Whether there are more stretches than are listed.
    pub more: bool,
}

/// One stretch inside a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowSpan {
    pub from: String,
    pub to: String,
    /// The same on the window's own clock: `Mon 2026-01-05 09:00`.
    pub from_local: String,
    pub to_local: String,
}
