//! A workspace to begin with, and the policies that people write.

use super::Ids;
use super::rules::{KINDS, rule};
use super::variables;
use crate::dice::Dice;
use serde_json::json;
use stagegate_model::*;
use std::collections::BTreeSet;

/// Stages, in the order in which versions pass them, with their tier.
const STAGES: &[(&str, &str)] = &[
    ("qa", "test"),
    ("staging", "test"),
    ("canary", "prod"),
    ("prod", "prod"),
];
/// Zones of resources.
pub const ZONES: &[&str] = &["eu", "us"];
/// Channels of versions.
pub const CHANNELS: &[&str] = &["stable", "beta", "hotfix"];

/// Who acts.
#[derive(Clone, Debug, Default)]
pub struct People {
    pub voters: Vec<Actor>,
    pub admin: Option<Actor>,
    pub ci: Option<Actor>,
    pub runner: Option<Actor>,
}

/// The commands that make the workspace of a seed, with who gives them.
pub fn setup(
    seed: u64,
    workspace: WorkspaceId,
    ids: &mut Ids,
    now: Timestamp,
) -> (People, Vec<(Actor, Command)>) {
    let mut dice = Dice::of(seed, "setup");
    let mut commands = vec![(
        Actor::System,
        Command::CreateWorkspace {
            id: workspace,
            name: "sim".to_owned(),
            slug: "sim".to_owned(),
        },
    )];
    let person = |role: Role, commands: &mut Vec<(Actor, Command)>, ids: &mut Ids| {
        let (user, key) = (UserId(ids.next(now.0, 1)), KeyId(ids.next(now.0, 1)));
        commands.push((Actor::System, Command::CreateUser { id: user, role }));
        let name = role.as_str().to_owned();
        commands.push((
            Actor::System,
            Command::CreateKey {
                id: key,
                owner: user,
                role,
                name,
            },
        ));
        Actor::User { user, key }
    };
    let people = People {
        admin: Some(person(Role::Admin, &mut commands, ids)),
        ci: Some(person(Role::Ci, &mut commands, ids)),
        runner: Some(person(Role::Agent, &mut commands, ids)),
        voters: (0..3)
            .map(|_| person(Role::Approver, &mut commands, ids))
            .collect(),
    };
    let mut changes = configuration(&mut dice, ids, now);
    variables::declare(seed, &mut changes, ids, now);
    let admin = people.admin.unwrap_or(Actor::System);
    let users = people.voters.iter().filter_map(Actor::user);
    let crew = Group {
        id: GroupId(ids.next(now.0, 1)),
        name: "crew".to_owned(),
        members: users.take(2).collect(),
    };
    commands.push((admin, Command::PutGroup(crew)));
    commands.push((admin, Command::Configure(changes)));
    (people, commands)
}

fn configuration(dice: &mut Dice, ids: &mut Ids, now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    let systems: Vec<SystemId> = (0..dice.between(1, 2))
        .map(|index| {
            let id = ids.next(now.0, 2).into();
            changes.push(Change::PutSystem(System {
                id,
                name: format!("system {index}"),
                slug: format!("system-{index}"),
                description: String::new(),
                metadata: Metadata::new(),
            }));
            id
        })
        .collect();
    let some_systems = |dice: &mut Dice| -> BTreeSet<SystemId> {
        let mut some = BTreeSet::from([systems[0]]);
        if let Some(other) = systems.get(1) {
            match dice.below(10) {
                0 => some = BTreeSet::from([*other]),
                1..=4 => drop(some.insert(*other)),
                _ => {}
            }
        }
        some
    };
    let job_limits = JobLimitsSpec {
        start_deadline_seconds: Some(*dice.pick(&[60, 1_800, 86_400])),
        run_timeout_seconds: Some(*dice.pick(&[90, 900, 7_200])),
        lease_seconds: Some(*dice.pick(&[10, 30, 120])),
        grace_seconds: Some(*dice.pick(&[0, 20, 60])),
        on_lost_lease: Some(*dice.pick(&[OnLostLease::Fail, OnLostLease::Requeue])),
    };
    changes.push(Change::PutJobAgent(JobAgent {
        job_limits,
        id: ids.next(now.0, 2).into(),
        name: "runner".to_owned(),
        kind: "exec".to_owned(),
        config: json!({}),
        metadata: Metadata::new(),
    }));
    for index in 0..dice.between(1, 3) {
        changes.push(Change::PutDeployment(Deployment {
            redeploy_on_variable_change: false,
            job_limits: Default::default(),
            id: ids.next(now.0, 2).into(),
            name: format!("app {index}"),
            slug: format!("app-{index}"),
            description: String::new(),
            metadata: Metadata::new(),
            resource_selector: if dice.chance(80) {
                "true"
            } else {
                "resource.kind == \"Host\""
            }
            .to_owned(),
            job_agent_selector: "true".to_owned(),
            job_agent_config: json!({"command": ["deploy", "{{ resource.config.host }}"]}),
            systems: some_systems(dice),
            created_at: now,
        }));
    }
    let first = dice.below(3);
    let stages: Vec<_> = STAGES[first.min(2)..]
        .iter()
        .take(dice.below(3) + 2)
        .collect();
    for (name, tier) in &stages {
        changes.push(Change::PutEnvironment(Environment {
            id: ids.next(now.0, 2).into(),
            name: (*name).to_owned(),
            description: String::new(),
            metadata: Metadata::from([("tier".to_owned(), (*tier).to_owned())]),
            resource_selector: format!("resource.metadata[\"env\"] == \"{name}\""),
            systems: some_systems(dice),
            created_at: now,
        }));
        for index in 0..dice.between(1, 6) {
            changes.push(Change::PutResource(resource(
                dice,
                ids,
                now,
                name,
                &index.to_string(),
                2,
            )));
        }
    }
    let names: Vec<&str> = stages.iter().map(|(name, _)| *name).collect();
    let mut policies: Vec<Policy> = Vec::new();
    if dice.chance(30) {
        let rules = vec![rule(dice, ids, now, "deploymentDependency", &names, 2)];
        let selector = "deployment.slug == \"app-1\"".to_owned();
        policies.push(policy(ids, now, "needs a neighbour", selector, rules, 2));
    }
    for (index, name) in names.iter().enumerate() {
        if index > 0 && dice.chance(75) {
            let rules = vec![rule(
                dice,
                ids,
                now,
                "environmentProgression",
                &names[..index],
                2,
            )];
            let selector = format!("environment.name == \"{name}\"");
            policies.push(policy(
                ids,
                now,
                &format!("progress to {name}"),
                selector,
                rules,
                2,
            ));
        }
        if index + 1 == names.len() && dice.chance(50) {
            let rules = vec![rule(dice, ids, now, "anyApproval", &names, 2)];
            let selector = format!("environment.name == \"{name}\"");
            policies.push(policy(
                ids,
                now,
                &format!("approve {name}"),
                selector,
                rules,
                2,
            ));
        }
        if dice.chance(50) {
            let mut rules = Vec::new();
            for kind in ["retry", "rollback", "gradualRollout", "concurrency"] {
                if dice.chance(45) {
                    rules.push(rule(dice, ids, now, kind, &names, 2));
                }
            }
            let selector = format!("environment.name == \"{name}\"");
            let name = format!("conduct in {name}");
            policies.push(policy(ids, now, &name, selector, rules, 2));
        }
        if dice.chance(40) {
            let rules = vec![rule(dice, ids, now, "verification", &names, 2)];
            let selector = format!("environment.name == \"{name}\"");
            policies.push(policy(
                ids,
                now,
                &format!("verify {name}"),
                selector,
                rules,
                2,
            ));
        }
    }
    if dice.chance(60) {
        let known: Vec<PolicyId> = policies.iter().map(|policy| policy.id).collect();
        policies.push(any_policy(dice, ids, now, &names, &known, "extra", 2));
    }
    changes.extend(policies.into_iter().map(Change::PutPolicy));
    changes
}

/// A resource of a stage. Some have no host, so that nothing can be deployed there.
pub fn resource(
    dice: &mut Dice,
    ids: &mut Ids,
    now: Timestamp,
    stage: &str,
    suffix: &str,
    stream: u64,
) -> Resource {
    let mut metadata = Metadata::from([("env".to_owned(), stage.to_owned())]);
    if dice.chance(80) {
        metadata.insert("zone".to_owned(), (*dice.pick(ZONES)).to_owned());
    }
    let config = if dice.chance(96) {
        json!({"host": "localhost"})
    } else {
        json!({})
    };
    Resource {
        id: ids.next(now.0, stream).into(),
        name: format!("{stage} {suffix}"),
        identifier: format!("{stage}-{suffix}"),
        kind: if dice.chance(85) { "Host" } else { "Function" }.to_owned(),
        version: "v1".to_owned(),
        metadata,
        config,
        created_at: now,
        updated_at: None,
    }
}

fn policy(
    ids: &mut Ids,
    now: Timestamp,
    name: &str,
    selector: String,
    rules: Vec<Rule>,
    stream: u64,
) -> Policy {
    Policy {
        id: ids.next(now.0, stream).into(),
        name: name.to_owned(),
        description: String::new(),
        metadata: Metadata::new(),
        enabled: true,
        priority: 0,
        selector,
        replaces: BTreeSet::new(),
        rules,
        created_at: now,
    }
}

/// Any policy a person might write; it may replace some of the `known` ones.
pub fn any_policy(
    dice: &mut Dice,
    ids: &mut Ids,
    now: Timestamp,
    stages: &[&str],
    known: &[PolicyId],
    name: &str,
    stream: u64,
) -> Policy {
    let mut rules = Vec::new();
    for kind in KINDS {
        // Where it applies to every deployment it holds most of them for ever.
        let often = if *kind == "deploymentDependency" {
            6
        } else {
            20
        };
        if dice.chance(often) {
            rules.push(rule(dice, ids, now, kind, stages, stream));
        }
    }
    let selector = selector(dice, stages);
    let mut policy = policy(ids, now, name, selector, rules, stream);
    if dice.chance(30) && !known.is_empty() {
        policy.selector = format!(
            "{} && version.metadata[\"channel\"] == \"hotfix\"",
            policy.selector
        );
        for _ in 0..dice.between(1, 2) {
            policy.replaces.insert(*dice.pick(known));
        }
    }
    policy
}

/// A selector of the family that the auditor knows.
pub fn selector(dice: &mut Dice, stages: &[&str]) -> String {
    let stage = dice.pick(stages);
    let mut parts = vec![match dice.below(6) {
        0 => "true".to_owned(),
        1 => format!("environment.name != \"{stage}\""),
        2 => "environment.metadata[\"tier\"] == \"prod\"".to_owned(),
        _ => format!("environment.name == \"{stage}\""),
    }];
    let zone = *dice.pick(ZONES);
    let channel = *dice.pick(CHANNELS);
    match dice.below(12) {
        0 | 1 => parts.push(format!("resource.metadata[\"zone\"] == \"{zone}\"")),
        2 => parts.push(format!("version.metadata[\"channel\"] == \"{channel}\"")),
        3 => parts.push("deployment.slug == \"app-0\"".to_owned()),
        4 => parts.push("system.name == \"system 1\"".to_owned()),
        5 => parts.push(format!(
            "(resource.metadata[\"zone\"] == \"{zone}\" || version.metadata[\"channel\"] == \"{channel}\")"
        )),
        6 => parts.push("version.tag.startsWith(\"v1\")".to_owned()),
        _ => {}
    }
    parts.join(" && ")
}
