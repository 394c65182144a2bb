//! The whole of a small workspace in one file.

use crate::workspace::Workspace;
use serde_json::json;
use stagegate_documents::{Action, Kind, export};
use stagegate_model::{Change, Timestamp};

const EXAMPLE: &str = include_str!("example.yaml");

#[test]
fn becomes_entities() {
    let mut workspace = Workspace::default();
    workspace.apply(EXAMPLE);

    let [system] = &workspace.systems[..] else {
        panic!("{:?}", workspace.systems)
    };
    assert_eq!(
        (system.name.as_str(), system.slug.as_str()),
        ("Shop", "shop")
    );

    let [resource] = &workspace.resources[..] else {
        panic!("{:?}", workspace.resources)
    };
    assert_eq!(resource.identifier, "staging-1");
    assert_eq!(resource.kind, "ProcessHost");
    assert_eq!(resource.version, "stagegate/v1");
    assert_eq!(resource.config, json!({"host": "127.0.0.1:18081"}));
    let metadata: Vec<_> = resource
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    // Numbers and booleans become the text they were written as.
    assert_eq!(
        metadata,
        [
            ("canary", "true"),
            ("env", "staging"),
            ("release", "1.10"),
            ("shard", "1")
        ]
    );

    assert_eq!(workspace.agents[0].kind, "exec");
    assert_eq!(workspace.agents[0].config, json!({}));

    let staging = &workspace.environments[0];
    assert_eq!(staging.name, "Staging");
    assert_eq!(
        staging.resource_selector,
        r#"resource.metadata["env"] == "staging""#
    );
    assert!(
        workspace
            .environments
            .iter()
            .all(|it| it.systems == [system.id].into())
    );

    let api = &workspace.deployments[0];
    assert_eq!(api.slug, "api");
    assert_eq!(api.resource_selector, "true");
    assert_eq!(api.job_agent_selector, r#"jobAgent.name == "local""#);
    assert_eq!(
        api.job_agent_config,
        json!({"service": {"command": "./api --port 80"}})
    );
    assert_eq!(api.systems, [system.id].into());
    assert_eq!(api.created_at, Timestamp(1000));

    let [staged, hotfix] = &workspace.policies[..] else {
        panic!("{:?}", workspace.policies)
    };
    assert_eq!(staged.name, "Staging Before Production");
    assert_eq!(hotfix.replaces, [staged.id].into());
    assert_eq!(
        hotfix.selector,
        r#"(environment.name == "Production") && (version.metadata["hotfix"] == "true")"#
    );
    assert!(hotfix.enabled);
    assert_eq!(staged.rules[0].kind, "environmentProgression");
    assert_eq!(staged.rules[0].spec, json!({"waitFor": "Staging"}));
    assert_eq!(
        staged.rules[1].spec,
        json!({"metrics": [{
            "name": "health-check",
            "provider": {"type": "http", "url": "http://{{.resource.config.host}}/health"},
            "successCondition": "result.statusCode == 200",
            "intervalSeconds": 1,
            "count": 5,
        }]})
    );
}

#[test]
fn changes_come_in_an_order_that_can_be_applied() {
    let plan = Workspace::default().plan(EXAMPLE).unwrap();
    let order: Vec<_> = plan
        .changes
        .iter()
        .map(|change| match change {
            Change::PutSystem(it) => format!("System {}", it.name),
            Change::PutJobAgent(it) => format!("JobAgent {}", it.name),
            Change::PutResource(it) => format!("Resource {}", it.name),
            Change::PutEnvironment(it) => format!("Environment {}", it.name),
            Change::PutDeployment(it) => format!("Deployment {}", it.name),
            Change::PutPolicy(it) => format!("Policy {}", it.name),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        order,
        [
            "System Shop",
            "JobAgent local",
            "Resource staging-1",
            "Environment Staging",
            "Environment Production",
            "Deployment API",
            "Policy Staging Before Production",
            "Policy Hotfix Direct to Prod",
        ]
    );
    // The report keeps the order of the text.
    let documents: Vec<_> = plan
        .documents
        .iter()
        .map(|it| (it.document, it.line, it.kind, it.action))
        .collect();
    assert_eq!(documents[0], (1, 3, Kind::Policy, Action::Created));
    assert_eq!(documents[7], (8, 49, Kind::System, Action::Created));
}

#[test]
fn applying_it_again_changes_nothing() {
    let mut workspace = Workspace::default();
    workspace.apply(EXAMPLE);
    let plan = workspace.plan(EXAMPLE).unwrap();
    assert!(plan.is_empty(), "{:#?}", plan.changes);
    assert_eq!(plan.documents.len(), 8);
    assert!(
        plan.documents
            .iter()
            .all(|it| it.action == Action::Unchanged && it.fields.is_empty())
    );
}

#[test]
fn its_export_changes_nothing_and_makes_the_same_elsewhere() {
    let mut workspace = Workspace::default();
    workspace.apply(EXAMPLE);
    let text = export(&workspace);
    let plan = workspace.plan(&text).unwrap();
    assert!(plan.is_empty(), "{text}\n{:#?}", plan.documents);

    let mut elsewhere = Workspace::default();
    elsewhere.apply(&text);
    assert_eq!(export(&elsewhere), text);
}

#[test]
fn its_export_reads_well() {
    let mut workspace = Workspace::default();
    workspace.apply(EXAMPLE);
    assert_eq!(export(&workspace), include_str!("example.export.yaml"));
}

#[test]
fn json_is_yaml() {
    let mut workspace = Workspace::default();
    workspace.apply(
        "{\n\t\"type\": \"Resource\",\n\t\"name\": \"a\\u00e9 \\ud83d\\ude00\",\n\t\"kind\": \"K\", \"version\":\"v1\",\n\t\"config\":{\"on\":true,\"list\":[1,2.5,null]}\n}\n",
    );
    assert_eq!(workspace.resources[0].name, "aé 😀");
    assert_eq!(
        workspace.resources[0].config,
        json!({"on": true, "list": [1, 2.5, null]})
    );
}
