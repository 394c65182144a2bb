//! What the log takes it can give back: how deep a value may be nested, and keys that mean something to others.

use crate::world::{World, health_check};
use serde_json::{Value, json};
use stagegate_model::*;
use std::collections::BTreeMap;

/// An object with so many levels, itself included.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |below, level| match level % 2 {
        0 => json!([below]),
        _ => json!({ "below": below }),
    })
}

/// An object of so many levels.
fn object(levels: usize) -> Value {
    json!({ "it": nested(levels - 1) })
}

/// A way for a value into the log, with the field that is told.
type Way = (&'static str, Box<dyn Fn(Value) -> Command>);

/// Every one.
fn ways(world: &mut World) -> Vec<Way> {
    let deployment = world.new_deployment("Deep");
    let resource = world.new_resource("deep", &[]);
    let policy = world.new_policy("Deep", "true", json!([{"verification": {"metrics": []}}]));
    let version = world.new_version("v9");
    let agent = JobAgent {
        id: world.id().into(),
        name: "deep".to_owned(),
        kind: "exec".to_owned(),
        config: json!({}),
        metadata: Metadata::new(),
        job_limits: JobLimitsSpec::default(),
    };
    let notifier = Notifier {
        id: world.id().into(),
        name: "deep".to_owned(),
        kind: "webhook".to_owned(),
        config: json!({}),
        events: Default::default(),
        environments: Default::default(),
        selector: String::new(),
        metadata: Metadata::new(),
        created_at: Timestamp(0),
    };
    let set = VariableSet {
        id: world.id().into(),
        name: "deep".to_owned(),
        description: String::new(),
        selector: "true".to_owned(),
        priority: 0,
        variables: BTreeMap::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let variable = DeploymentVariable {
        id: world.id().into(),
        deployment: deployment.id,
        key: "deep".to_owned(),
        description: String::new(),
        default: None,
        values: Vec::new(),
    };
    let value_id = world.id().into();
    let configure = |change: Change| Command::Configure(vec![change]);
    let (of_deployment, of_resource) = (deployment.clone(), resource.clone());
    let (with_default, with_value) = (variable.clone(), variable);
    let with_job_config = world.new_version("v10");
    vec![
        (
            "jobAgentConfig",
            Box::new(move |it| {
                configure(Change::PutDeployment(Deployment {
                    job_agent_config: it,
                    ..deployment.clone()
                }))
            }),
        ),
        (
            "config",
            Box::new(move |it| {
                configure(Change::PutResource(Resource {
                    config: it,
                    ..resource.clone()
                }))
            }),
        ),
        (
            "config",
            Box::new(move |it| {
                configure(Change::PutJobAgent(JobAgent {
                    config: it,
                    ..agent.clone()
                }))
            }),
        ),
        (
            "config",
            Box::new(move |it| {
                configure(Change::PutNotifier(Notifier {
                    config: it,
                    ..notifier.clone()
                }))
            }),
        ),
        (
            "rules[0]",
            Box::new(move |it| {
                let mut policy = policy.clone();
                policy.rules[0].spec = json!({ "metrics": [{
                    "name": "deep",
                    "intervalSeconds": 1,
                    "count": 1,
                    "successCondition": "true",
                    "provider": { "type": "http", "url": "http://localhost", "body": it },
                }] });
                configure(Change::PutPolicy(policy))
            }),
        ),
        (
            "variables.deep",
            Box::new(move |it| {
                let mut set = set.clone();
                let value = VariableValue::Literal(it);
                set.variables.insert("deep".to_owned(), value);
                configure(Change::PutVariableSet(set))
            }),
        ),
        (
            "default",
            Box::new(move |it| {
                let mut variable = with_default.clone();
                variable.default = Some(VariableValue::Literal(it));
                Command::Configure(vec![
                    Change::PutDeployment(of_deployment.clone()),
                    Change::PutVariable(variable),
                ])
            }),
        ),
        (
            "values[0]",
            Box::new(move |it| {
                let mut variable = with_value.clone();
                variable.values.push(DeploymentVariableValue {
                    id: value_id,
                    resource_selector: String::new(),
                    priority: 0,
                    value: VariableValue::Literal(it),
                });
                configure(Change::PutVariable(variable))
            }),
        ),
        (
            "variables.deep",
            Box::new(move |it| {
                let value = VariableValue::Literal(it);
                let resource = of_resource.id;
                let variables = BTreeMap::from([("deep".to_owned(), value)]);
                configure(Change::PutResourceVariables {
                    resource,
                    variables,
                })
            }),
        ),
        (
            "config",
            Box::new(move |it| {
                Command::CreateVersion(NewVersion {
                    config: it,
                    ..version.clone()
                })
            }),
        ),
        (
            "jobAgentConfig",
            Box::new(move |it| {
                Command::CreateVersion(NewVersion {
                    job_agent_config: it,
                    ..with_job_config.clone()
                })
            }),
        ),
    ]
}

#[test]
fn what_is_nested_deeper_than_a_log_is_read_is_refused() {
    let mut world = World::new();
    let ways = ways(&mut world);
    for (field, command) in &ways {
        let rejection = world.refused(command(object(101)));
        assert_eq!(
            (rejection.code.as_str(), rejection.field.as_str()),
            ("too_large", *field)
        );
        assert_eq!(rejection.message, "it is nested deeper than 100 levels");
    }
    // What is below that is taken, and the entry is read back as it was.
    for (field, command) in &ways {
        let levels = if *field == "rules[0]" { 90 } else { 100 };
        world.run(command(object(levels)));
    }
}

#[test]
fn keys_that_mean_something_to_who_reads_a_log_are_refused() {
    let mut world = World::new();
    for (field, command) in &ways(&mut world) {
        for key in [
            "$serde_json::private::RawValue",
            "$serde_json::private::Number",
        ] {
            for value in [json!({ key: "1" }), json!({ "a": [{ "b": 1, key: "1" }] })] {
                let rejection = world.refused(command(value));
                let told = (rejection.code.as_str(), rejection.field.as_str());
                assert_eq!(told, ("invalid_name", *field));
            }
        }
    }
}

#[test]
fn what_was_measured_and_could_not_be_read_back_is_not_kept() {
    let mut world = World::new();
    world.environment("Staging");
    world.resource("s1", "Staging");
    world.policy_on("Staging", json!([health_check()]));
    world.version("v1");
    world.succeed("v1", "Staging");
    let verification = world.running("v1", "Staging")[0];
    let mut measured = object(101);
    measured["statusCode"] = json!(200);
    // The entry is read back here; what was measured counts all the same.
    let facts = world.run(Command::RecordMeasurement {
        verification,
        metric: 0,
        ordinal: 0,
        outcome: Ok(measured),
    });
    let [Fact::Measured { status, data, .. }, ..] = facts.as_slice() else {
        panic!("{facts:?}");
    };
    assert_eq!(*status, MeasurementStatus::Passed);
    assert_eq!(*data, json!({ "cut": true }));
}
