//! Why things stand as they do, in lines for a person.

use crate::check::About;
use crate::reader::spelled;
use crate::world::World;
use stagegate_engine::{Explanation, TargetState, Verdict};
use stagegate_model::VersionId;

/// Environments shown when a failure is not about one.
const LANES_MAX: usize = 6;
/// Targets shown for one environment.
const TARGETS_MAX: usize = 10;

/// What `why` says about what a failed expectation is about.
pub(crate) fn lines(world: &World, about: About) -> Vec<String> {
    let Some(deployment) = about.lane.map(|lane| lane.deployment).or(about.deployment) else {
        return Vec::new();
    };
    let version = match about.version {
        Some(version) => Some(version),
        None => world.version_or_newest(deployment, None).ok(),
    };
    let Some(version) = version else {
        return Vec::new();
    };
    let lanes = match about.lane {
        Some(lane) => vec![lane],
        None => world.lanes(deployment),
    };
    let mut lines = Vec::new();
    for lane in lanes.into_iter().take(LANES_MAX) {
        if let Some(explanation) = world.engine.explain(lane, version, world.now) {
            explain(world, &explanation, version, &mut lines);
        }
    }
    lines
}

fn explain(world: &World, it: &Explanation, version: VersionId, lines: &mut Vec<String>) {
    let place = world.ledger.name(it.lane.environment.0);
    let tag = world.ledger.name(version.0);
    let status = it.status.map_or_else(
        || "no promotion yet".to_owned(),
        |it| format!("promotion {it}"),
    );
    lines.push(format!("{tag} → {place} ({status}): {}", it.summary));
    for gate in &it.gates {
        let why = gate.verdict.why();
        let (sign, mut rest) = match &gate.verdict {
            Verdict::Allow { satisfied_at, .. } => (
                "✓",
                format!(
                    ", since {}",
                    spelled(satisfied_at.millis_since(world.start))
                ),
            ),
            Verdict::Wait { .. } => ("…", String::new()),
            Verdict::Deny { .. } => ("✗", String::new()),
        };
        if gate.latched && gate.verdict.is_allowed() {
            rest.push_str(", for good");
        }
        if let Some(at) = gate.verdict.changes_at() {
            rest.push_str(&format!(
                ", until {}",
                spelled(at.millis_since(world.start))
            ));
        }
        lines.push(format!(
            "  {sign} {} of `{}`: {}{rest}",
            gate.kind, gate.policy_name, why.message
        ));
        if !why.opens.is_empty() {
            lines.push(format!("      opens when {}", why.opens));
        }
    }
    let mut targets: Vec<_> = it
        .targets
        .iter()
        .filter(|target| !target.reason.is_empty() || target.state != TargetState::Waiting)
        .map(|target| {
            let reason = match target.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let name = world.ledger.name(target.resource.0);
            format!("  · {name} {}{reason}", target.state.as_str())
        })
        .collect();
    targets.sort_unstable();
    let more = targets.len().saturating_sub(TARGETS_MAX);
    targets.truncate(TARGETS_MAX);
    if more > 0 {
        targets.push(format!("  · and {more} more targets"));
    }
    lines.append(&mut targets);
}
