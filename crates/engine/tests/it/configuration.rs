//! What is refused on write: where, why, how to mend it; and nothing of it is written.

use crate::world::{World, approvals, metric, wait_for};
use serde_json::{Value, json};
use stagegate_model::*;

fn world() -> World {
    let mut world = World::new();
    world.environment("Staging");
    world
}

/// Puts a policy as the second of two changes and gives the refusal.
fn refused(world: &mut World, selector: &str, rules: Value) -> Rejection {
    let policy = world.new_policy("bad", selector, rules);
    let good = world.new_resource("good", &[]);
    let before = world.state().head();
    let changes = vec![Change::PutResource(good), Change::PutPolicy(policy)];
    let rejection = world.refused(Command::Configure(changes));
    assert_eq!(rejection.change, Some(1), "{rejection}");
    assert_eq!(world.state().head(), before);
    assert_eq!(
        world.state().resources().count(),
        0,
        "nothing is half-written"
    );
    rejection
}

#[test]
fn a_rule_is_refused_with_the_path_to_what_is_wrong() {
    let progression = |spec: Value| json!([approvals(1), { "environmentProgression": spec }]);
    let verification = |change: Value| {
        let mut metric = metric("m");
        let members = metric.as_object_mut().unwrap();
        for (key, value) in change.as_object().unwrap() {
            if value.is_null() {
                members.remove(key);
            } else {
                members.insert(key.clone(), value.clone());
            }
        }
        json!([{ "verification": { "metrics": [metric] } }])
    };
    let measured = "rules[0].verification.metrics[0]";
    let cases: Vec<(Value, &str, String)> = vec![
        (
            progression(json!({ "waitFor": "QA" })),
            "unknown_environment",
            "rules[1].environmentProgression.waitFor".into(),
        ),
        (
            progression(json!({})),
            "invalid_rule",
            "rules[1].environmentProgression".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "minimumSuccessPercentage": 101 })),
            "invalid_rule",
            "rules[1].environmentProgression.minimumSuccessPercentage".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "successStatuses": ["pending"] })),
            "invalid_rule",
            "rules[1].environmentProgression.successStatuses".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "successStatuses": [] })),
            "invalid_rule",
            "rules[1].environmentProgression.successStatuses".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "maximumAgeHours": 0 })),
            "invalid_rule",
            "rules[1].environmentProgression.maximumAgeHours".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "minimumSoakTimeMinutes": "long" })),
            "invalid_rule",
            "rules[1].environmentProgression.minimumSoakTimeMinutes".into(),
        ),
        (
            progression(json!({ "dependsOnEnvironmentSelector": "environment.nam == 'x'" })),
            "cel_unknown_field",
            "rules[1].environmentProgression.dependsOnEnvironmentSelector".into(),
        ),
        (
            progression(json!({ "waitFor": "Staging", "dependsOnEnvironmentSelector": "true" })),
            "invalid_rule",
            "rules[1].environmentProgression.waitFor".into(),
        ),
        (
            json!([approvals(0)]),
            "invalid_rule",
            "rules[0].anyApproval.minApprovals".into(),
        ),
        (
            json!([{ "gradualRolout": {} }]),
            "unknown_rule",
            "rules[0]".into(),
        ),
        (
            json!([{ "rolback": {} }]),
            "unknown_rule",
            "rules[0]".into(),
        ),
        (
            json!([{ "verification": { "metrics": [] } }]),
            "invalid_rule",
            "rules[0].verification.metrics".into(),
        ),
        (
            verification(json!({ "count": 0 })),
            "invalid_rule",
            format!("{measured}.count"),
        ),
        (
            verification(json!({ "count": 2 })),
            "invalid_rule",
            format!("{measured}.intervalSeconds"),
        ),
        (
            verification(json!({ "successCondition": null })),
            "invalid_rule",
            format!("{measured}.successCondition"),
        ),
        (
            verification(json!({ "successCondition": "result.x ==" })),
            "cel_syntax",
            format!("{measured}.successCondition"),
        ),
        (
            verification(json!({ "failureThreshold": 1 })),
            "invalid_rule",
            format!("{measured}.failureThreshold"),
        ),
        (
            verification(json!({ "successThreshold": 2 })),
            "invalid_rule",
            format!("{measured}.successThreshold"),
        ),
        (
            verification(json!({ "provider": {} })),
            "invalid_rule",
            format!("{measured}.provider.type"),
        ),
        (
            json!([{ "verification": { "metrics": [metric("m"), metric("m")] } }]),
            "invalid_rule",
            "rules[0].verification.metrics[1].name".into(),
        ),
    ];
    for (rules, code, field) in cases {
        let told = rules.to_string();
        let mut world = world();
        let rejection = refused(&mut world, "true", rules);
        assert_eq!(rejection.kind, RejectionKind::Invalid, "{told}");
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            (code, field.as_str()),
            "{told}"
        );
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_names_there_are() {
    let mut world = world();
    let rejection = refused(&mut world, "true", json!([wait_for("Stagin")]));
    assert!(rejection.hint.contains("Staging"));
    let rejection = refused(&mut world, "true", json!([{ "anyAproval": {} }]));
    assert!(rejection.hint.contains("anyApproval"));
}

#[test]
fn an_expression_that_does_not_compile_is_refused_with_its_place() {
    let mut world = world();
    for (selector, code) in [
        ("environment.name ==", "cel_syntax"),
        ("resource.knd == \"a\"", "cel_unknown_field"),
        ("cluster.name == \"a\"", "cel_unknown_root"),
        ("\"production\"", "cel_not_bool"),
    ] {
        let rejection = refused(&mut world, selector, json!([]));
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            (code, "selector")
        );
        assert!(rejection.message.contains("line 1, column"), "{rejection}");
    }
    let mut environment = world.new_environment("QA");
    environment.resource_selector = "resource.metadata[".into();
    let rejection = world.refused(Command::Configure(vec![Change::PutEnvironment(
        environment,
    )]));
    assert_eq!(rejection.field, "resourceSelector");
    let mut deployment = world.new_deployment("web");
    deployment.job_agent_selector = "resource.name == \"a\"".into();
    let rejection = world.refused(Command::Configure(vec![Change::PutDeployment(
        deployment.clone(),
    )]));
    assert_eq!(rejection.field, "jobAgentSelector");
    deployment.job_agent_selector = "true".into();
    deployment.job_agent_config = json!({ "url": "{{ resource.knd }}" });
    let rejection = world.refused(Command::Configure(vec![Change::PutDeployment(deployment)]));
    assert_eq!(rejection.field, "jobAgentConfig");
}

#[test]
fn a_policy_may_name_what_the_same_change_creates() {
    let mut world = world();
    let policy = world.new_policy("p", "true", json!([wait_for("QA")]));
    let environment = world.new_environment("QA");
    world.configure(vec![
        Change::PutPolicy(policy),
        Change::PutEnvironment(environment),
    ]);
    assert_eq!(world.state().policies().len(), 1);
}

#[test]
fn circles_of_replacing_are_refused() {
    let mut world = world();
    world.policy("a", "true", json!([]));
    world.policy_replacing("b", "true", &["a"], json!([]));
    world.policy_replacing("c", "true", &["b"], json!([]));
    let mut a = world.new_policy("a", "true", json!([]));
    for name in ["a", "b", "c"] {
        a.replaces = [world.policy_id(name)].into();
        let rejection = world.refused(Command::Configure(vec![Change::PutPolicy(a.clone())]));
        assert_eq!(rejection.code, "replaces_cycle", "a replaces {name}");
        assert_eq!(rejection.field, "replaces");
    }
    a.replaces = [world.id().into()].into();
    let rejection = world.refused(Command::Configure(vec![Change::PutPolicy(a)]));
    assert_eq!(rejection.code, "unknown_policy");
    // A circle within one change.
    let (mut d, mut e) = (
        world.new_policy("d", "true", json!([])),
        world.new_policy("e", "true", json!([])),
    );
    d.replaces = [e.id].into();
    e.replaces = [d.id].into();
    let rejection = world.refused(Command::Configure(vec![
        Change::PutPolicy(d.clone()),
        Change::PutPolicy(e.clone()),
    ]));
    assert_eq!(
        (rejection.code.as_str(), rejection.change),
        ("replaces_cycle", Some(1))
    );
    e.replaces.clear();
    world.configure(vec![Change::PutPolicy(d), Change::PutPolicy(e)]);
}

#[test]
fn a_replaced_policy_is_deleted_once_nothing_replaces_it_any_more() {
    let mut world = world();
    let a = world.policy("a", "true", json!([]));
    world.policy_replacing("b", "true", &["a"], json!([]));
    let delete = Change::DeletePolicy(a);
    let rejection = world.refused(Command::Configure(vec![delete.clone()]));
    assert_eq!(rejection.code, "in_use");
    let b = world.new_policy("b", "true", json!([]));
    world.configure(vec![Change::PutPolicy(b), delete]);
    assert_eq!(world.state().policies().len(), 1);
}

#[test]
fn names_are_taken_whatever_their_case() {
    let mut world = world();
    let environment = world.new_environment("STAGING");
    let policy = world.new_policy("Rule", "true", json!([]));
    world.configure(vec![Change::PutPolicy(policy.clone())]);
    let other = Policy {
        id: world.id().into(),
        name: "rULE".into(),
        rules: Vec::new(),
        ..policy
    };
    for change in [
        Change::PutEnvironment(environment),
        Change::PutPolicy(other),
    ] {
        let rejection = world.refused(Command::Configure(vec![change]));
        assert_eq!(rejection.code, "name_taken");
    }
    let long = world.new_environment(&"x".repeat(201));
    let rejection = world.refused(Command::Configure(vec![Change::PutEnvironment(long)]));
    assert_eq!(
        (rejection.code.as_str(), rejection.field.as_str()),
        ("invalid_name", "name")
    );
}

#[test]
fn what_is_equal_already_is_no_fact() {
    let mut world = world();
    let resource = world.new_resource("r", &[("env", "Staging")]);
    assert_eq!(
        world
            .configure(vec![Change::PutResource(resource.clone())])
            .len(),
        2
    );
    let again = Resource {
        updated_at: Some(world.now),
        ..resource
    };
    assert!(world.configure(vec![Change::PutResource(again)]).is_empty());
    let environments: Vec<_> = world.state().environments().values().cloned().collect();
    let changes = environments
        .iter()
        .map(|it| Change::PutEnvironment((**it).clone()));
    assert!(world.configure(changes.collect()).is_empty());
}

#[test]
fn deleting_what_is_not_there_is_refused() {
    let mut world = world();
    let nil = uuid::Uuid::nil();
    for (change, code) in [
        (Change::DeleteSystem(nil.into()), "system_not_found"),
        (
            Change::DeleteEnvironment(nil.into()),
            "environment_not_found",
        ),
        (Change::DeleteDeployment(nil.into()), "deployment_not_found"),
        (Change::DeleteResource(nil.into()), "resource_not_found"),
        (Change::DeleteJobAgent(nil.into()), "job_agent_not_found"),
        (Change::DeletePolicy(nil.into()), "policy_not_found"),
    ] {
        let rejection = world.refused(Command::Configure(vec![change]));
        assert_eq!((rejection.code.as_str(), rejection.change), (code, Some(0)));
    }
}

#[test]
fn people_and_keys_are_made_once() {
    let mut world = world();
    let ann = world.person("ann", Role::Viewer);
    let again = Command::CreateUser {
        id: ann,
        role: Role::Admin,
    };
    assert_eq!(world.refused(again).code, "name_taken");
    let nobody = Command::CreateKey {
        id: world.id().into(),
        owner: world.id().into(),
        role: Role::Admin,
        name: String::new(),
    };
    assert_eq!(world.refused(nobody).code, "user_not_found");
    let unknown = Command::RevokeKey {
        id: world.id().into(),
    };
    assert_eq!(world.refused(unknown).code, "key_not_found");
    let workspace = Command::CreateWorkspace {
        id: world.id().into(),
        name: "b".into(),
        slug: "b".into(),
    };
    assert_eq!(world.refused(workspace).kind, RejectionKind::Conflict);
}
