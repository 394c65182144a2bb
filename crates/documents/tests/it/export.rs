//! Whatever a workspace holds, its export changes nothing.

use crate::workspace::Workspace;
use proptest::prelude::*;
use serde_json::{Value, json};
use stagegate_documents::export;
use stagegate_model::{
    Deployment, Environment, JobAgent, JobLimitsSpec, OnLostLease, Policy, Resource, Rule, System,
    Timestamp,
};
use std::collections::BTreeSet;
use uuid::Uuid;

#[test]
fn an_empty_workspace_is_an_empty_text() {
    assert_eq!(export(&Workspace::default()), "");
}

#[test]
fn text_of_several_lines_stands_in_lines() {
    let mut workspace = Workspace::default();
    workspace.apply("type: JobAgent\nname: A\nagentType: e\nconfig: {script: \"a\\n  b\\n\", last: \"x\\ny\"}\n");
    let text = export(&workspace);
    assert!(
        text.contains("  last: |-\n    x\n    y\n  script: |\n    a\n      b\n"),
        "{text}"
    );
    assert!(workspace.plan(&text).unwrap().is_empty());
}

#[test]
fn what_other_parsers_would_misread_is_quoted() {
    let mut workspace = Workspace::default();
    let odd = [
        "no",
        "On",
        "y",
        "2026-01-31",
        "1:30",
        "0x1",
        "null",
        "~",
        "-",
        "? a",
        "a: b",
        "a #b",
        "!x",
        "*x",
        "&x",
        "{",
        "[",
        "%",
        "@",
        "`",
        "",
        " ",
        "a:",
        "=",
        "<<",
        "---",
        "...",
        "012",
    ];
    let metadata: Vec<_> = odd
        .iter()
        .enumerate()
        .map(|(index, text)| format!("k{index}: {}", json!(text)))
        .collect();
    workspace.apply(&format!(
        "type: System\nname: A\nmetadata: {{{}}}\n",
        metadata.join(", ")
    ));
    let text = export(&workspace);
    for word in odd {
        assert!(
            text.contains(&format!(": {}\n", json!(word))),
            "{word}\n{text}"
        );
    }
    assert!(workspace.plan(&text).unwrap().is_empty());
}

#[test]
fn an_agent_that_is_gone_is_still_selected() {
    let mut workspace = Workspace::default();
    workspace.apply(
        "type: JobAgent\nname: A\nagentType: e\n---\ntype: Deployment\nname: D\njobAgent: A\n",
    );
    workspace.agents.clear();
    let text = export(&workspace);
    assert!(
        text.contains("jobAgentSelector: jobAgent.name == \"A\""),
        "{text}"
    );
    assert!(workspace.plan(&text).unwrap().is_empty());
}

#[test]
fn several_systems_or_none_are_written_as_such() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: B\n---\ntype: System\nname: A\n---\ntype: Environment\nname: E\nsystems: [A, B]\n---\ntype: Environment\nname: F\nsystems: []\n");
    let text = export(&workspace);
    assert!(text.contains("systems:\n  - A\n  - B\n"), "{text}");
    assert!(text.contains("systems: []\n"), "{text}");
    assert!(workspace.plan(&text).unwrap().is_empty());
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~\n\t]{0,20}",
        "[a-c:#\\-?|>&*!%@`'\"{}\\[\\], \n]{0,12}",
        "(y|no|true|null|1|1e3|0x1f|~|<<|---|\\.\\.\\.)( |\n|:)?",
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            objects(inner),
        ]
    })
}

fn objects(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let keys = prop_oneof![9 => texts(), 1 => "[a-z ]{600,1500}"];
    prop::collection::btree_map(keys, value, 0..5).prop_map(|map| map.into_iter().collect())
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9 ]{0,9}[a-z]",
        "[!-~]{1,12}",
        "\\PC{1,12}"
    ]
    .prop_filter("a name", |name| {
        !name.trim().is_empty() && name.trim() == name
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_in_a_workspace_its_export_changes_nothing(
        name in names(),
        text in texts(),
        metadata in prop::collection::btree_map(texts(), texts(), 0..4),
        config in objects(values()),
        specs in prop::collection::vec(objects(values()), 0..3),
        by_name in any::<bool>(),
    ) {
        let mut workspace = Workspace::default();
        let id = Uuid::from_u128;
        let created_at = Timestamp(5);
        workspace.systems.push(System {
            id: id(101).into(), name: name.clone(), slug: "s".into(),
            description: text.clone(), metadata: metadata.clone(),
        });
        workspace.agents.push(JobAgent { job_limits: JobLimitsSpec {
                lease_seconds: Some(9), on_lost_lease: Some(OnLostLease::Requeue), ..Default::default()
            },
            id: id(102).into(), name: name.clone(), kind: name.clone(),
            config: config.clone(), metadata: metadata.clone(),
        });
        workspace.resources.push(Resource {
            id: id(103).into(), name: name.clone(), identifier: name.clone(), kind: "K".into(),
            version: "v".into(), metadata: metadata.clone(), config: config.clone(), created_at,
            updated_at: None,
        });
        let selector = match text.trim() {
            "" => "true".to_owned(),
            text => text.to_owned(),
        };
        workspace.environments.push(Environment {
            id: id(104).into(), name: name.clone(), description: text.clone(),
            metadata: metadata.clone(), resource_selector: selector.clone(),
            systems: [id(101).into()].into(), created_at,
        });
        workspace.deployments.push(Deployment { job_limits: JobLimitsSpec { run_timeout_seconds: Some(7), ..Default::default() },
            redeploy_on_variable_change: false,
            id: id(105).into(), name: name.clone(), slug: "d".into(), description: text.clone(),
            metadata: metadata.clone(), resource_selector: selector.clone(),
            job_agent_selector: match by_name {
                true => format!("jobAgent.name == {}", json!(name)),
                false => selector.clone(),
            },
            job_agent_config: config, systems: BTreeSet::new(), created_at,
        });
        for (number, replaces) in [(106, BTreeSet::new()), (107, [id(106).into()].into())] {
            let rules = specs.iter().enumerate().map(|(index, spec)| Rule {
                id: id(number * 1000 + index as u128).into(), kind: "k".into(), spec: spec.clone(),
                created_at,
            });
            workspace.policies.push(Policy {
                id: id(number).into(), name: format!("{number}{name}"), description: text.clone(),
                metadata: metadata.clone(), enabled: false, priority: 7, selector: selector.clone(),
                replaces, rules: rules.collect(), created_at,
            });
        }
        let yaml = export(&workspace);
        match workspace.plan(&yaml) {
            Ok(plan) => prop_assert!(plan.is_empty(), "{}\n{:#?}", yaml, plan.documents),
            Err(errors) => prop_assert!(false, "{}\n{:#?}", yaml, errors),
        }
    }
}
