//! What the fields of each type become, and what re-applying changes.

use crate::workspace::Workspace;
use serde_json::json;
use stagegate_documents::Action;
use stagegate_model::Timestamp;

#[test]
fn defaults() {
    let mut workspace = Workspace::default();
    workspace.apply("type: Environment\nname: E\n---\ntype: Deployment\nname: My API\n---\ntype: Policy\nname: P\n---\ntype: Resource\nname: R 1\nkind: K\nversion: v\n");
    // An environment takes nothing unless told; a deployment takes all of its environments.
    assert_eq!(workspace.environments[0].resource_selector, "false");
    assert_eq!(workspace.deployments[0].resource_selector, "true");
    assert_eq!(workspace.deployments[0].slug, "my-api");
    assert_eq!(workspace.resources[0].identifier, "R 1");
    assert_eq!(workspace.resources[0].config, json!({}));
    let policy = &workspace.policies[0];
    assert!(policy.enabled);
    assert_eq!(
        (
            policy.priority,
            policy.selector.as_str(),
            policy.rules.len()
        ),
        (0, "true", 0)
    );
}

#[test]
fn all_fields_arrive() {
    let mut workspace = Workspace::default();
    workspace.apply(
        "type: System\nname: S\nslug: s-1\ndescription: d\nmetadata: {a: b}\n---\n\
         type: JobAgent\nname: J\nagentType: exec\nconfig: {c: 1}\nmetadata: {a: b}\n---\n\
         type: Environment\nname: E\ndescription: d\nmetadata: {a: b}\nresourceSelector: true\n---\n\
         type: Deployment\nname: D\nslug: d\ndescription: d\nmetadata: {a: b}\nresourceSelector: x == 1\n---\n\
         type: Policy\nname: P\ndescription: d\nmetadata: {a: b}\nenabled: false\npriority: -3\n",
    );
    let map = [("a".to_owned(), "b".to_owned())].into();
    let system = &workspace.systems[0];
    assert_eq!(
        (
            system.slug.as_str(),
            system.description.as_str(),
            &system.metadata
        ),
        ("s-1", "d", &map)
    );
    let agent = &workspace.agents[0];
    assert_eq!((&agent.config, &agent.metadata), (&json!({"c": 1}), &map));
    let environment = &workspace.environments[0];
    assert_eq!(
        (
            environment.description.as_str(),
            &environment.metadata,
            environment.resource_selector.as_str()
        ),
        ("d", &map, "true")
    );
    let deployment = &workspace.deployments[0];
    assert_eq!(
        (
            deployment.description.as_str(),
            &deployment.metadata,
            deployment.resource_selector.as_str()
        ),
        ("d", &map, "x == 1")
    );
    let policy = &workspace.policies[0];
    assert_eq!((policy.description.as_str(), &policy.metadata), ("d", &map));
    assert_eq!((policy.enabled, policy.priority), (false, -3));
}

#[test]
fn an_entity_keeps_its_id_and_its_beginning() {
    let mut workspace = Workspace::default();
    let text = "type: Resource\nname: R\nidentifier: r\nkind: K\nversion: v1\nmetadata: {env: a, x.y: b}\n";
    workspace.apply(text);
    let before = workspace.resources[0].clone();
    assert_eq!(
        (before.created_at, before.updated_at),
        (Timestamp(1000), None)
    );

    let planned = workspace.apply(
        &text
            .replace("env: a, x.y: b", "env: c")
            .replace("name: R", "name: Q"),
    );
    let after = &workspace.resources[0];
    assert_eq!((after.id, after.created_at), (before.id, before.created_at));
    assert_eq!(after.updated_at, Some(Timestamp(2000)));
    assert_eq!(planned[0].action, Action::Changed);
    let fields: Vec<_> = planned[0]
        .fields
        .iter()
        .map(|it| (it.path.as_str(), it.from.clone(), it.to.clone()))
        .collect();
    assert_eq!(
        fields,
        [
            ("name", Some(json!("R")), Some(json!("Q"))),
            ("metadata.env", Some(json!("a")), Some(json!("c"))),
            ("metadata[\"x.y\"]", Some(json!("b")), None),
        ]
    );
}

#[test]
fn what_is_created_shows_all_it_starts_with() {
    let planned = Workspace::default().apply("type: System\nname: S\ndescription: d\n");
    let fields: Vec<_> = planned[0]
        .fields
        .iter()
        .map(|it| (it.path.as_str(), it.from.is_none()))
        .collect();
    assert_eq!(fields, [("name", true), ("description", true)]);
}

#[test]
fn names_are_found_whatever_their_case_and_take_the_new_spelling() {
    let mut workspace = Workspace::default();
    workspace.apply("type: System\nname: Shop\n---\ntype: Environment\nname: Staging\n---\ntype: Policy\nname: P\n---\ntype: JobAgent\nname: local\nagentType: e\n");
    let planned = workspace.apply("type: System\nname: SHOP\n---\ntype: Environment\nname: STAGING\n---\ntype: Policy\nname: p\n---\ntype: JobAgent\nname: LOCAL\nagentType: e\n");
    assert!(
        planned
            .iter()
            .all(|it| it.action == Action::Changed && it.fields.len() == 1),
        "{planned:#?}"
    );
    assert_eq!(
        (workspace.systems.len(), workspace.environments.len()),
        (1, 1)
    );
    assert_eq!(workspace.environments[0].name, "STAGING");
}

#[test]
fn what_the_text_leaves_out_goes_back_to_its_default() {
    let mut workspace = Workspace::default();
    workspace.apply("type: Policy\nname: P\ndescription: d\nselector: a\nenabled: false\n");
    workspace.apply("type: Policy\nname: P\n");
    let policy = &workspace.policies[0];
    assert_eq!(
        (
            policy.description.as_str(),
            policy.selector.as_str(),
            policy.enabled
        ),
        ("", "true", true)
    );
}

#[test]
fn an_empty_mapping_is_no_change_from_nothing() {
    let mut workspace = Workspace::default();
    let text = "type: JobAgent\nname: J\nagentType: exec\n---\ntype: Deployment\nname: D\njobAgent: J\n---\ntype: Policy\nname: P\nrules: [{rollback: {}}]\n";
    workspace.apply(text);
    workspace.agents[0].config = serde_json::Value::Null;
    workspace.deployments[0].job_agent_config = serde_json::Value::Null;
    workspace.policies[0].rules[0].spec = serde_json::Value::Null;
    assert!(workspace.plan(text).unwrap().is_empty());
}
