//! Gates, and what `why` says.

use super::{Comparison, Mismatch, mismatch, moment_or_none, unknown, when, when_or_none};
use crate::format::{GateExpect, StatesExpect, WhyExpect};
use crate::world::World;
use stagegate_engine::{Action, Explanation, Gate, LaneKey, Verdict};
use stagegate_model::VersionId;

/// The explanations an expectation is about: of one version, in one environment or in all.
fn explanations(
    world: &World,
    what: &str,
    deployment: Option<&str>,
    environment: Option<&str>,
    version: Option<&str>,
) -> Result<Vec<Explanation>, Mismatch> {
    let deployment = world
        .deployment(deployment)
        .map_err(|error| unknown(what, error))?;
    let version: VersionId = world
        .version_or_newest(deployment, version)
        .map_err(|error| unknown(what, error))?;
    let lanes = match environment {
        None => world.lanes(deployment),
        Some(name) => vec![LaneKey {
            deployment,
            environment: world
                .environment(name)
                .map_err(|error| unknown(what, error))?,
        }],
    };
    let found = lanes
        .into_iter()
        .filter_map(|lane| world.engine.explain(lane, version, world.now));
    Ok(found.collect())
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Approval => "approval",
        Action::Wait => "wait",
        Action::None => "none",
    }
}

pub(super) fn gate(
    world: &World,
    deployment: Option<&str>,
    expect: &GateExpect,
) -> Result<(), Mismatch> {
    let mut what = "gate".to_owned();
    if let Some(rule) = &expect.rule {
        what.push_str(&format!(" {rule}"));
    }
    if let Some(policy) = &expect.policy {
        what.push_str(&format!(" of `{policy}`"));
    }
    let explained = explanations(
        world,
        &what,
        deployment,
        expect.environment.as_deref(),
        expect.version.as_deref(),
    )?;
    let fits = |gate: &Gate| {
        expect.rule.as_deref().is_none_or(|rule| rule == gate.kind)
            && expect
                .policy
                .as_ref()
                .is_none_or(|name| name.to_lowercase() == gate.policy_name.to_lowercase())
    };
    let found: Vec<(&Explanation, &Gate)> = explained
        .iter()
        .flat_map(|it| it.gates.iter().map(move |gate| (it, gate)))
        .filter(|(_, gate)| fits(gate))
        .collect();
    let first = explained.first();
    let about = |mismatch: Mismatch| match (found.first(), first) {
        (Some((it, _)), _) => mismatch.about(Some(it.lane), Some(it.version)),
        (None, Some(it)) if explained.len() == 1 => mismatch.about(Some(it.lane), Some(it.version)),
        (None, it) => mismatch.about(None, it.map(|it| it.version)),
    };
    let place = |it: &Explanation| {
        format!(
            "{} in {}",
            world.ledger.name(it.version.0),
            world.ledger.name(it.lane.environment.0)
        )
    };
    if !expect.applies {
        return match found.first() {
            None => Ok(()),
            Some((it, gate)) => mismatch(
                format!("{what}: does not apply"),
                format!("it applies to {}: {}", place(it), standing(gate)),
            )
            .map_err(about),
        };
    }
    match found.as_slice() {
        [] => {
            let all: Vec<String> = explained
                .iter()
                .flat_map(|it| {
                    it.gates.iter().map(|gate| {
                        format!("{} of `{}` for {}", gate.kind, gate.policy_name, place(it))
                    })
                })
                .collect();
            let got = match all.len() {
                0 => "there is no gate".to_owned(),
                _ => format!("there is no such gate; there are: {}", all.join("; ")),
            };
            mismatch(what, got).map_err(about)
        }
        [(it, gate)] => {
            let what = format!("{what} for {}", place(it));
            compare(world, &what, gate, expect).map_err(about)
        }
        several => {
            let all: Vec<String> = several
                .iter()
                .map(|(it, gate)| format!("of `{}` for {}", gate.policy_name, place(it)))
                .collect();
            let got = format!(
                "there are several: {}; add `environment:` or `policy:`",
                all.join("; ")
            );
            mismatch(what, got).map_err(about)
        }
    }
}

fn standing(gate: &Gate) -> String {
    let word = match &gate.verdict {
        Verdict::Allow { .. } => "allowed",
        Verdict::Wait { .. } => "waiting",
        Verdict::Deny { .. } => "denied",
    };
    let why = gate.verdict.why();
    format!("{word}: {} [{}]", why.message, why.code)
}

fn compare(world: &World, what: &str, gate: &Gate, expect: &GateExpect) -> Result<(), Mismatch> {
    let why = gate.verdict.why();
    let satisfied_at = match &gate.verdict {
        Verdict::Allow { satisfied_at, .. } => Some(*satisfied_at),
        _ => None,
    };
    let mut differences = Comparison::default();
    let allowed = gate.verdict.is_allowed();
    differences.equal("allowed", expect.allowed, allowed, bool::to_string);
    let action = if allowed { Action::None } else { why.action };
    let required = action == Action::Approval;
    differences.equal(
        "actionRequired",
        expect.action_required,
        required,
        bool::to_string,
    );
    let action = action_word(action).to_owned();
    differences.equal(
        "actionType",
        expect.action_type.clone(),
        action,
        Clone::clone,
    );
    let message = world.with_names(&why.message);
    differences.contains("message", expect.message.as_ref(), &message);
    let opens = world.with_names(&why.opens);
    differences.contains("opens", expect.opens.as_ref(), &opens);
    let who = world.with_names(&why.who);
    differences.contains("who", expect.who.as_ref(), &who);
    differences.equal(
        "code",
        expect.code.clone(),
        why.code.to_owned(),
        Clone::clone,
    );
    let wanted = expect.satisfied_at.map(|at| Some(at.after(world.start)));
    let shown = |at: &Option<_>| when_or_none(world, *at);
    differences.equal("satisfiedAt", wanted, satisfied_at, shown);
    let wanted = expect.next.map(|next| moment_or_none(world, next));
    let next = gate.verdict.changes_at();
    differences.equal("nextEvaluationTime", wanted, next, shown);
    differences.equal("latched", expect.latched, gate.latched, bool::to_string);
    differences.judge(what, &standing(gate))
}

pub(super) fn why(
    world: &World,
    deployment: Option<&str>,
    expect: &WhyExpect,
) -> Result<(), Mismatch> {
    let explained = explanations(
        world,
        "why",
        deployment,
        expect.environment.as_deref(),
        expect.version.as_deref(),
    )?;
    let explanation = match explained.as_slice() {
        [one] => one,
        [] => return mismatch("why", "there is nothing to explain"),
        _ => {
            let got = "there are several environments; add `environment:`";
            return mismatch("why", got);
        }
    };
    let what = format!(
        "why {} in {}",
        world.ledger.name(explanation.version.0),
        world.ledger.name(explanation.lane.environment.0)
    );
    let mut differences = Comparison::default();
    let summary = world.with_names(&explanation.summary);
    differences.contains("summary", expect.summary.as_ref(), &summary);
    let stopped = explanation.stopped.as_ref().map(|it| it.code.to_owned());
    let shown = |code: &Option<String>| code.clone().unwrap_or_else(|| "none".to_owned());
    differences.equal("stopped", expect.stopped.clone(), stopped, shown);
    let wanted = expect.earliest.map(|at| moment_or_none(world, at));
    let shown = |at: &Option<_>| at.map_or_else(|| "none".to_owned(), |at| when(world, at));
    differences.equal("earliest", wanted, explanation.earliest, shown);
    let targets = || {
        explanation
            .targets
            .iter()
            .map(|it| (world.ledger.name(it.resource.0), it.state.as_str()))
    };
    let all = || {
        let mut all: Vec<String> = targets()
            .map(|(name, state)| format!("{name}: {state}"))
            .collect();
        all.sort_unstable();
        all.join(", ")
    };
    match &expect.targets {
        None => {}
        Some(StatesExpect::All(state))
            if explanation.targets.is_empty() || targets().any(|(_, it)| it != state) =>
        {
            differences.differs("targets", &format!("all {state}"), &all());
        }
        Some(StatesExpect::All(_)) => {}
        Some(StatesExpect::ByResource(states)) => {
            for (resource, state) in states {
                if !targets().any(|(name, it)| name == resource && it == state) {
                    differences.differs("targets", &format!("{resource}: {state}"), &all());
                }
            }
        }
    }
    if let Some(reason) = &expect.reason {
        let lower = reason.to_lowercase();
        let mut reasons = explanation.targets.iter().map(|it| it.reason.as_str());
        if !reasons.any(|it| it.to_lowercase().contains(&lower)) {
            let all: Vec<_> = explanation
                .targets
                .iter()
                .map(|it| format!("{}: `{}`", world.ledger.name(it.resource.0), it.reason))
                .collect();
            differences.differs("reason", &format!("… {reason} …"), &all.join(", "));
        }
    }
    let rest = match expect.summary {
        Some(_) => "",
        None => explanation.summary.as_str(),
    };
    differences
        .judge(&what, rest)
        .map_err(|it| it.about(Some(explanation.lane), Some(explanation.version)))
}
