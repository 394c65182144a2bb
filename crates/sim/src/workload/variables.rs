//! Variables: declared at the start, edited beside what else is edited. The dice are of their own, so that what
//! seeds do besides is as it was.

use super::Ids;
use crate::auditor::{Ledger, PEER};
use crate::dice::Dice;
use serde_json::json;
use stagegate_model::*;
use std::collections::BTreeMap;

const SELECTORS: &[&str] = &[
    "",
    "true",
    "resource.metadata[\"zone\"] == \"eu\"",
    "environment.name == \"prod\"",
    "resource.kind != \"Function\"",
];

/// Adds variables to a workspace to begin with; some deployments redeploy when theirs change.
pub fn declare(seed: u64, changes: &mut Vec<Change>, ids: &mut Ids, now: Timestamp) {
    let mut dice = Dice::of(seed, "variables");
    if !dice.chance(70) {
        return;
    }
    let mut more = vec![Change::PutRelationshipRule(RelationshipRule {
        id: ids.next(now.0, 3).into(),
        name: "peers".to_owned(),
        description: String::new(),
        reference: "peer".to_owned(),
        cel: PEER.to_owned(),
        metadata: Metadata::new(),
    })];
    for change in changes.iter_mut() {
        let Change::PutDeployment(deployment) = change else {
            continue;
        };
        if !dice.chance(70) {
            continue;
        }
        deployment.redeploy_on_variable_change = dice.chance(40);
        deployment.job_agent_config = json!({
            "command": ["deploy", "{{ resource.config.host }}", "{{ variables.size }}"],
        });
        for key in ["size", "peer"] {
            let variable = DeploymentVariable {
                id: ids.next(now.0, 3).into(),
                deployment: deployment.id,
                key: key.to_owned(),
                description: String::new(),
                default: Some(VariableValue::Literal(json!(0))),
                values: values(&mut dice, ids, now, 3),
            };
            more.push(Change::PutVariable(variable));
        }
    }
    for name in ["one", "two"] {
        let set = VariableSet {
            id: ids.next(now.0, 3).into(),
            name: name.to_owned(),
            description: String::new(),
            selector: "true".to_owned(),
            priority: dice.between(0, 2),
            variables: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        more.push(Change::PutVariableSet(edited(&mut dice, set, now)));
    }
    changes.extend(more);
}

fn value(dice: &mut Dice) -> VariableValue {
    if dice.chance(40) {
        const PATHS: [&[&str]; 3] = [&["name"], &["config", "host"], &["config", "none"]];
        let path = *dice.pick(&PATHS);
        return VariableValue::Reference(ResourceReference {
            reference: "peer".to_owned(),
            path: path.iter().map(|step| (*step).to_owned()).collect(),
        });
    }
    VariableValue::Literal(json!(dice.between(1, 3)))
}

fn values(
    dice: &mut Dice,
    ids: &mut Ids,
    now: Timestamp,
    stream: u64,
) -> Vec<DeploymentVariableValue> {
    (0..dice.below(4))
        .map(|_| DeploymentVariableValue {
            id: ids.next(now.0, stream).into(),
            resource_selector: (*dice.pick(SELECTORS)).to_owned(),
            priority: dice.between(0, 2),
            value: value(dice),
        })
        .collect()
}

fn edited(dice: &mut Dice, set: VariableSet, now: Timestamp) -> VariableSet {
    let mut variables = BTreeMap::new();
    for key in ["size", "peer", "unasked"] {
        if dice.chance(50) {
            variables.insert(key.to_owned(), value(dice));
        }
    }
    VariableSet {
        selector: (*dice.pick(&SELECTORS[1..])).to_owned(),
        variables,
        updated_at: now,
        ..set
    }
}

/// What is edited beside a deployment: the values of a variable, or a set.
pub fn edit(stream: u64, ledger: &Ledger, ids: &mut Ids, now: Timestamp) -> Vec<Change> {
    let mut dice = Dice::new(stream ^ 0x005e_ed0f_7a1e_5000);
    let variable = dice.any(ledger.book.variables.values()).cloned();
    let set = dice.any(ledger.book.sets.values()).cloned();
    let mut changes = Vec::new();
    if let Some(mut variable) = variable.filter(|_| dice.chance(70)) {
        variable.values = values(&mut dice, ids, now, stream);
        changes.push(Change::PutVariable(variable));
    }
    if let Some(set) = set.filter(|_| dice.chance(50)) {
        changes.push(Change::PutVariableSet(edited(&mut dice, set, now)));
    }
    changes
}

/// What is edited beside a resource: its own variables.
pub fn edit_own(stream: u64, ledger: &Ledger, resource: ResourceId) -> Vec<Change> {
    let mut dice = Dice::new(stream ^ 0x0e5e_ed0f);
    if ledger.book.variables.is_empty() || !dice.chance(40) {
        return Vec::new();
    }
    let mut variables = BTreeMap::new();
    if dice.chance(70) {
        variables.insert("size".to_owned(), value(&mut dice));
    }
    vec![Change::PutResourceVariables {
        resource,
        variables,
    }]
}
