//! What variables came out as: with a release, or now.

use super::{Comparison, Mismatch};
use crate::world::World;
use serde_json::{Map, Value as Json, json};
use stagegate_model::{ResolvedValue, ResolvedVariable, TargetKey, Variables};

/// By key, as scenarios write it.
pub(super) fn told(variables: &Variables) -> Map<String, Json> {
    let variables = variables.iter();
    variables
        .map(|(key, resolved)| (key.clone(), one(resolved)))
        .collect()
}

fn one(resolved: &ResolvedVariable) -> Json {
    let mut told = match &resolved.value {
        ResolvedValue::Value(json) => json!({ "value": json }),
        ResolvedValue::Secret(name) => json!({ "secret": name }),
    };
    // A value's id is made anew in every run.
    let source = resolved.source.to_string();
    let source = match source.split_once(" priority ") {
        Some((_, priority)) => format!("priority {priority}"),
        None => source,
    };
    told["from"] = source.into();
    told["note"] = resolved.note.clone().into();
    told
}

/// What the variables of a target come out as now.
pub(super) fn now(
    world: &World,
    what: &str,
    target: TargetKey,
    wanted: &Json,
) -> Result<(), Mismatch> {
    let resolution = world.engine.resolve_variables(target).unwrap_or_default();
    let told = resolution.iter().map(|(key, resolved)| {
        let told = match resolved {
            Ok(resolved) => one(resolved),
            Err(error) => json!({ "error": error }),
        };
        (key.clone(), told)
    });
    let told: Map<String, Json> = told.collect();
    let mut differences = Comparison::default();
    compare(&mut differences, wanted, &told);
    differences.judge(what, "")
}

/// Each wanted variable must be there with what is wanted of it; `none` for a key: it is not there.
pub(super) fn compare(differences: &mut Comparison, wanted: &Json, told: &Map<String, Json>) {
    for (key, wanted) in wanted.as_object().into_iter().flatten() {
        let got = told.get(key).cloned().unwrap_or_else(|| json!("none"));
        if !fits(wanted, &got) {
            differences.differs(key, &wanted.to_string(), &got.to_string());
        }
    }
}

fn fits(wanted: &Json, got: &Json) -> bool {
    let (Json::Object(wanted), Json::Object(got)) = (wanted, got) else {
        return wanted == got;
    };
    wanted.iter().all(
        |(member, wanted)| match (member.as_str(), got.get(member)) {
            (_, None) => false,
            ("note" | "error", Some(got)) => {
                let (wanted, got) = (wanted.as_str(), got.as_str());
                wanted
                    .zip(got)
                    .is_some_and(|(wanted, got)| got.contains(wanted))
            }
            (_, Some(got)) => wanted == got,
        },
    )
}
