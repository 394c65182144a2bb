//! A fleet to measure with: many resources with skewed metadata, a deployment that is everywhere, some that are not,
//! and the policies that a team would write for them. Everything follows from the number of resources.

use crate::dice::Dice;
use serde_json::{Value, json};
use stagegate_model::*;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Environments, with how many of a hundred resources are in each.
pub const ENVIRONMENTS: &[(&str, u32)] = &[("development", 2), ("staging", 8), ("production", 90)];
/// Teams, with their share of the resources in percent.
pub const TEAMS: &[(&str, u32)] = &[
    ("payments", 30),
    ("search", 20),
    ("catalog", 15),
    ("checkout", 10),
    ("media", 10),
    ("identity", 8),
    ("ads", 5),
    ("billing", 2),
];
const REGIONS: &[(u32, &str)] = &[
    (40, "eu-west-1"),
    (30, "us-east-1"),
    (15, "us-west-2"),
    (10, "ap-south-1"),
    (5, "sa-east-1"),
];

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Everything but the resources, in the order in which it can be created.
    pub configuration: Vec<Change>,
    pub resources: Vec<Resource>,
    /// Deployed on every resource; its gates are open and each target is retried, verified and rolled back.
    pub everywhere: DeploymentId,
    /// One deployment for each of [`TEAMS`], on that team's resources; production follows staging.
    pub by_team: Vec<DeploymentId>,
    /// In the order of [`ENVIRONMENTS`].
    pub environments: Vec<EnvironmentId>,
    /// The policy that makes production follow staging.
    pub progression: Policy,
    /// The policy of [`Self::everywhere`].
    pub upkeep: Policy,
}

/// Ids that follow from what they are of.
struct Ids(u128);

impl Ids {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// A fleet of so many resources, with `teams` deployments besides the one that is everywhere; all of it created at `now`.
#[must_use]
pub fn fleet(resources: usize, teams: usize, now: Timestamp) -> Fleet {
    let mut dice = Dice::of(resources as u64, "fleet");
    let mut ids = Ids(0x0193_0000_0000_7000_8000_0000_0000_0000);
    let system = System {
        id: ids.next().into(),
        name: "fleet".to_owned(),
        slug: "fleet".to_owned(),
        description: String::new(),
        metadata: Metadata::new(),
    };
    let systems = BTreeSet::from([system.id]);
    let mut configuration = vec![
        Change::PutSystem(system),
        Change::PutJobAgent(JobAgent {
            id: ids.next().into(),
            name: "local".to_owned(),
            kind: "exec".to_owned(),
            config: json!({"timeout": "10m"}),
            metadata: Metadata::new(),
            job_limits: JobLimitsSpec::default(),
        }),
    ];
    let mut environments = Vec::new();
    for (name, _) in ENVIRONMENTS {
        let id = EnvironmentId(ids.next());
        environments.push(id);
        configuration.push(Change::PutEnvironment(environment(id, name, &systems, now)));
    }
    let mut deployment = |slug: &str, selector: String| {
        let id = DeploymentId(ids.next());
        configuration.push(Change::PutDeployment(Deployment {
            id,
            name: slug.to_owned(),
            slug: slug.to_owned(),
            description: String::new(),
            metadata: Metadata::new(),
            resource_selector: selector,
            job_agent_selector: "jobAgent.name == \"local\"".to_owned(),
            job_agent_config: json!({
                "command": ["deploy", "{{ resource.config.host }}", "--tag", "{{ version.tag }}"],
            }),
            job_limits: JobLimitsSpec::default(),
            redeploy_on_variable_change: false,
            systems: systems.clone(),
            created_at: now,
        }));
        id
    };
    let everywhere = deployment("node-agent", "resource.kind == \"Host\"".to_owned());
    let by_team = TEAMS
        .iter()
        .take(teams)
        .map(|(team, _)| {
            let selector = format!("resource.metadata[\"team\"] == \"{team}\"");
            deployment(team, selector)
        })
        .collect();
    let rules = vec![
        rule(&mut ids, "deploymentWindow", mostly_open(), now),
        rule(
            &mut ids,
            "retry",
            json!({"maxRetries": 2, "backoffSeconds": 10}),
            now,
        ),
        rule(
            &mut ids,
            "rollback",
            json!({"onJobStatuses": ["failure"]}),
            now,
        ),
    ];
    let upkeep = policy(
        &mut ids,
        "upkeep",
        "deployment.slug == \"node-agent\"",
        rules,
        now,
    );
    let rules = vec![
        rule(
            &mut ids,
            "environmentProgression",
            json!({"waitFor": "staging"}),
            now,
        ),
        rule(&mut ids, "retry", json!({"maxRetries": 1}), now),
    ];
    let selector = "environment.name == \"production\" && deployment.slug != \"node-agent\"";
    let progression = policy(&mut ids, "staging first", selector, rules, now);
    configuration.push(Change::PutPolicy(upkeep.clone()));
    configuration.push(Change::PutPolicy(progression.clone()));
    let resources = (0..resources)
        .map(|index| resource(ResourceId(ids.next()), index, &mut dice, now))
        .collect();
    Fleet {
        configuration,
        resources,
        everywhere,
        by_team,
        environments,
        progression,
        upkeep,
    }
}

/// An environment that takes the resources whose metadata say so.
#[must_use]
pub fn environment(
    id: EnvironmentId,
    name: &str,
    systems: &BTreeSet<SystemId>,
    now: Timestamp,
) -> Environment {
    Environment {
        id,
        name: name.to_owned(),
        description: String::new(),
        metadata: Metadata::new(),
        resource_selector: format!("resource.metadata[\"env\"] == \"{name}\""),
        systems: systems.clone(),
        created_at: now,
    }
}

/// A window that is open but for an hour each day, and when a fleet is made.
#[must_use]
pub fn mostly_open() -> Value {
    json!({"rrule": "FREQ=DAILY;BYHOUR=0;BYMINUTE=0;BYSECOND=0", "durationMinutes": 1380, "timezone": "UTC"})
}

/// A policy of these rules.
fn policy(ids: &mut Ids, name: &str, selector: &str, rules: Vec<Rule>, now: Timestamp) -> Policy {
    Policy {
        id: ids.next().into(),
        name: name.to_owned(),
        description: String::new(),
        metadata: Metadata::new(),
        enabled: true,
        priority: 0,
        selector: selector.to_owned(),
        replaces: BTreeSet::new(),
        rules,
        created_at: now,
    }
}

fn rule(ids: &mut Ids, kind: &str, spec: Value, now: Timestamp) -> Rule {
    Rule {
        id: ids.next().into(),
        kind: kind.to_owned(),
        spec,
        created_at: now,
    }
}

fn resource(id: ResourceId, index: usize, dice: &mut Dice, now: Timestamp) -> Resource {
    let shares = |of: &'static [(&'static str, u32)], dice: &mut Dice| {
        let weighted: Vec<(u32, &str)> = of.iter().map(|(name, share)| (*share, *name)).collect();
        dice.weighted(&weighted)
    };
    let env = shares(ENVIRONMENTS, dice);
    let team = shares(TEAMS, dice);
    let region = dice.weighted(REGIONS);
    let pairs = [
        ("env", env.to_owned()),
        ("team", team.to_owned()),
        ("region", region.to_owned()),
        ("zone", format!("{region}{}", dice.pick(&["a", "b", "c"]))),
        (
            "tier",
            (*dice.pick(&["web", "worker", "cache", "db"])).to_owned(),
        ),
        (
            "os",
            dice.weighted(&[(80, "debian-12"), (15, "debian-11"), (5, "windows")])
                .to_owned(),
        ),
        (
            "arch",
            dice.weighted(&[(75, "amd64"), (25, "arm64")]).to_owned(),
        ),
        (
            "class",
            dice.weighted(&[(60, "m5.large"), (30, "c5.xlarge"), (10, "r5.2xlarge")])
                .to_owned(),
        ),
        ("rack", format!("r{:03}", dice.below(400))),
        ("serial", format!("sn-{index:08x}")),
    ];
    Resource {
        id,
        name: format!("host-{index}"),
        identifier: format!("hosts/host-{index}"),
        kind: "Host".to_owned(),
        version: "inventory/v1".to_owned(),
        metadata: pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        config: json!({"host": format!("10.{}.{}.{}", index >> 16 & 255, index >> 8 & 255, index & 255)}),
        created_at: now,
        updated_at: None,
    }
}

/// A version of a deployment, ready to be released.
#[must_use]
pub fn version(id: VersionId, deployment: DeploymentId, tag: &str) -> NewVersion {
    NewVersion {
        id,
        deployment,
        tag: tag.to_owned(),
        name: String::new(),
        config: json!({"image": format!("registry.example/app:{tag}")}),
        job_agent_config: json!({}),
        job_limits: JobLimitsSpec::default(),
        dependencies: Dependencies::default(),
        status: VersionStatus::Ready,
        message: String::new(),
        metadata: Metadata::new(),
        created_at: None,
    }
}
