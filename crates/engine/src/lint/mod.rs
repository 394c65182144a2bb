//! Configuration that is legal but unwise: one file for each finding, one line for each in [`LINTS`].
//!
//! A lint looks at a state and at what is compiled from it, and decides nothing. What it cannot know it does not
//! find: files without resources tell nothing about targets, and files never tell who is in a group.

mod approval_needs_creator;
mod approval_unsatisfiable;
mod approval_without_expiry;
mod calendar;
mod cooldown_zero;
mod duplicate_rule;
mod flow;
mod freeze_ended;
mod hotfix_without_replaces;
mod job_agent_not_single;
mod likeness;
mod production_without_gate;
mod progression_cycle;
mod progression_without_environment;
mod progression_without_targets;
mod replaces_disabled;
mod retry_never;
mod rollback_ignores_jobs;
mod rollback_without_verification;
mod rollout_without_pause;
mod rule_error;
mod seats;
mod selector_matches_nothing;
mod sight;
mod skip_expired;
mod unreachable_environment;
mod verification_cannot_fail;
mod verification_not_required;
mod weaker_rule;
mod window_never_opens;
mod windows_leave_no_time;
mod windows_never_overlap;

use crate::engine::Engine;
use serde::Serialize;
use sight::Sight;
use stagegate_model::{Policy, Timestamp};
use std::fmt;
use uuid::Uuid;

/// Every finding there is; what is worst comes first.
pub const LINTS: &[Lint] = &[
    rule_error::LINT,
    progression_cycle::LINT,
    progression_without_environment::LINT,
    progression_without_targets::LINT,
    unreachable_environment::LINT,
    approval_unsatisfiable::LINT,
    window_never_opens::LINT,
    windows_leave_no_time::LINT,
    job_agent_not_single::LINT,
    production_without_gate::LINT,
    hotfix_without_replaces::LINT,
    verification_cannot_fail::LINT,
    verification_not_required::LINT,
    approval_needs_creator::LINT,
    windows_never_overlap::LINT,
    selector_matches_nothing::LINT,
    duplicate_rule::LINT,
    weaker_rule::LINT,
    replaces_disabled::LINT,
    retry_never::LINT,
    cooldown_zero::LINT,
    rollout_without_pause::LINT,
    rollback_without_verification::LINT,
    rollback_ignores_jobs::LINT,
    approval_without_expiry::LINT,
    freeze_ended::LINT,
    skip_expired::LINT,
];

/// A kind of finding.
pub struct Lint {
    /// Stable; its page is `docs/lint/<code>.md`.
    pub code: &'static str,
    /// How bad it is at worst.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it.
    pub mend: &'static str,
    check: fn(&Sight<'_>, &mut Found),
}

/// How bad a finding is; a worse one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing, and often meant so.
    Note,
    /// Hardly what was meant.
    Warning,
    /// Something can never happen, or a gate cannot be evaluated.
    Error,
}

impl Severity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the state is known to hold whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A workspace: what is not there does not exist.
    Workspace,
    /// Files alone: persons, members of groups, versions and further resources are elsewhere. What only concerns what
    /// there is now is a note, and is left out where the files hold no resource at all.
    Files,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: &'static str,
    pub severity: Severity,
    pub object: Object,
    /// The field of the object: `rules[0].retry.maxRetries`; empty when it is the whole.
    pub field: String,
    /// What is the case.
    pub message: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it.
    pub mend: &'static str,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// As documents call it: `Policy`, `Environment`, `Deployment`; also `Freeze` and `Skip`.
    pub kind: &'static str,
    pub name: String,
    pub id: Uuid,
}

impl Object {
    pub(crate) fn policy(policy: &Policy) -> Self {
        Self {
            kind: "Policy",
            name: policy.name.clone(),
            id: policy.id.0,
        }
    }

    pub(crate) fn environment(environment: &stagegate_model::Environment) -> Self {
        Self {
            kind: "Environment",
            name: environment.name.clone(),
            id: environment.id.0,
        }
    }

    pub(crate) fn deployment(deployment: &stagegate_model::Deployment) -> Self {
        Self {
            kind: "Deployment",
            name: deployment.name.clone(),
            id: deployment.id.0,
        }
    }
}

/// Findings as they come, each once.
struct Found {
    lint: &'static Lint,
    findings: Vec<Finding>,
}

impl Found {
    /// As bad as the lint says.
    fn add(&mut self, object: Object, field: impl Into<String>, message: impl Into<String>) {
        self.add_as(self.lint.severity, object, field, message);
    }

    fn add_as(
        &mut self,
        severity: Severity,
        object: Object,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let Lint {
            code, why, mend, ..
        } = self.lint;
        let (field, message) = (field.into(), message.into());
        let known = self.findings.iter().any(|it| {
            it.code == *code && it.object == object && it.field == field && it.message == message
        });
        if known {
            return;
        }
        self.findings.push(Finding {
            code,
            severity,
            object,
            field,
            message,
            why,
            mend,
        });
    }
}

/// The lint of that code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.code == code)
}

impl Engine {
    /// What is unwise about the configuration, the worst first. Windows are looked at for a year from `now` on.
    ///
    /// The cost grows with lanes times policies and with targets; it is nothing to be done between two decisions.
    #[must_use]
    pub fn lint(&self, now: Timestamp, whole: Whole) -> Vec<Finding> {
        let sight = Sight::new(self, now, whole);
        let mut findings = Vec::new();
        for lint in LINTS {
            let mut found = Found {
                lint,
                findings: Vec::new(),
            };
            (lint.check)(&sight, &mut found);
            findings.extend(found.findings);
        }
        // Stable: within a severity the order of the registry, then that of the lint.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }
}
