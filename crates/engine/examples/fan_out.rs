//! What one version costs that touches every target: `cargo run --release -p stagegate-engine --example fan_out [TARGETS]`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time and reads its argument"
)]

use stagegate_engine::{Context, Engine};
use stagegate_model::{
    Actor, Change, Command, Deployment, EntryId, Environment, Fact, JobAgent, Metadata, NewVersion,
    Resource, System, Timestamp, VersionStatus,
};
use std::collections::BTreeSet;
use std::time::Instant;
use uuid::Uuid;

fn main() {
    let targets: u128 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    let mut engine = Engine::default();
    let mut next = 0_u128;
    let mut id = || {
        next += 1;
        Uuid::from_u128(next)
    };
    let now = Timestamp(1_700_000_000_000);
    let text = String::new;
    let system = System {
        id: id().into(),
        name: "shop".into(),
        slug: "shop".into(),
        description: text(),
        metadata: Metadata::new(),
    };
    let systems = BTreeSet::from([system.id]);
    let deployment = Deployment {
        redeploy_on_variable_change: false,
        job_limits: Default::default(),
        id: id().into(),
        name: "api".into(),
        slug: "api".into(),
        description: text(),
        metadata: Metadata::new(),
        resource_selector: "resource.kind == \"Cluster\"".into(),
        job_agent_selector: "true".into(),
        job_agent_config: serde_json::json!({"command": ["deploy", "{{ resource.config.host }}"]}),
        systems: systems.clone(),
        created_at: now,
    };
    let api = deployment.id;
    let mut changes = vec![
        Change::PutSystem(system),
        Change::PutJobAgent(JobAgent {
            job_limits: Default::default(),
            id: id().into(),
            name: "local".into(),
            kind: "exec".into(),
            config: serde_json::json!({}),
            metadata: Metadata::new(),
        }),
        Change::PutDeployment(deployment),
        Change::PutEnvironment(Environment {
            id: id().into(),
            name: "production".into(),
            description: text(),
            metadata: Metadata::new(),
            resource_selector: "resource.metadata[\"env\"] == \"production\"".into(),
            systems,
            created_at: now,
        }),
    ];
    for n in 0..targets {
        changes.push(Change::PutResource(Resource {
            id: id().into(),
            name: format!("cluster-{n}"),
            identifier: format!("cluster-{n}"),
            kind: "Cluster".into(),
            version: "v1".into(),
            metadata: Metadata::from([("env".into(), "production".into())]),
            config: serde_json::json!({"host": format!("10.0.0.{n}")}),
            created_at: now,
            updated_at: None,
        }));
    }
    let mut run = |engine: &mut Engine, what: &str, command: Command| -> Vec<Fact> {
        let started = Instant::now();
        let context = |entry| Context {
            entry: EntryId(entry),
            now,
            actor: Actor::System,
        };
        let mut facts = engine.execute(command, context(id())).expect("accepted");
        let mut entries = 1;
        while engine.is_dirty() {
            facts.extend(engine.settle(context(id())));
            entries += 1;
        }
        let spent = started.elapsed();
        #[expect(clippy::cast_precision_loss)]
        let rate = targets as f64 / spent.as_secs_f64();
        println!(
            "{what:<28} {spent:>12.1?}  {entries} entries, {} facts, {rate:.0} targets/s",
            facts.len()
        );
        facts
    };
    run(&mut engine, "configuration", Command::Configure(changes));
    let version = Command::CreateVersion(NewVersion {
        job_limits: Default::default(),
        dependencies: Default::default(),
        id: Uuid::from_u128(u128::MAX).into(),
        deployment: api,
        tag: "v1".into(),
        name: text(),
        config: serde_json::json!({}),
        job_agent_config: serde_json::json!({}),
        status: VersionStatus::Ready,
        message: text(),
        metadata: Metadata::new(),
        created_at: None,
    });
    let facts = run(&mut engine, "version to every job", version);
    let jobs: usize = facts
        .iter()
        .map(|fact| {
            if let Fact::JobsCreated { jobs, .. } = fact {
                jobs.len()
            } else {
                0
            }
        })
        .sum();
    println!(
        "{jobs} jobs, {} bytes of facts",
        serde_json::to_vec(&facts).map_or(0, |bytes| bytes.len())
    );
}
