//! The rules that people write into policies.

use super::Ids;
use crate::dice::Dice;
use serde_json::{Value, json};
use stagegate_model::{Rule, Timestamp};

/// Every kind of rule that the workload writes.
pub const KINDS: &[&str] = &[
    "environmentProgression",
    "anyApproval",
    "verification",
    "retry",
    "rollback",
    "gradualRollout",
    "concurrency",
    "versionCooldown",
    "versionSelector",
    "deploymentWindow",
    "approval",
    "deploymentDependency",
];

/// What may be needed of another deployment.
pub const NEEDED: &[&str] = &[
    "true",
    "deployment.slug == \"app-0\"",
    "version.metadata[\"channel\"] != \"beta\"",
    "version.tag.startsWith(\"v1\")",
];

/// A rule of a kind. `stages` are those it may wait for.
pub fn rule(
    dice: &mut Dice,
    ids: &mut Ids,
    now: Timestamp,
    kind: &str,
    stages: &[&str],
    stream: u64,
) -> Rule {
    let spec = match kind {
        "anyApproval" => json!({"minApprovals": if dice.chance(75) { 1 } else { 2 }}),
        "verification" => verification(dice),
        "retry" => retry(dice),
        "rollback" => rollback(dice),
        "gradualRollout" => rollout(dice),
        "concurrency" => match dice.below(3) {
            0 => json!({"max": dice.between(1, 3)}),
            1 => json!({"max": dice.between(1, 2), "scope": "environment.name"}),
            _ => json!({"max": 1, "scope": "resource.kind"}),
        },
        "versionCooldown" => {
            json!({"intervalSeconds": *dice.pick(&[0, 60, 600, 3_600])})
        }
        "versionSelector" => match dice.below(2) {
            0 => json!({"selector": "version.metadata[\"channel\"] != \"beta\""}),
            _ => json!({"selector": "version.tag.startsWith(\"v1\")"}),
        },
        "deploymentWindow" => json!({
            "rrule": format!("FREQ=DAILY;BYHOUR={};BYMINUTE=0;BYSECOND=0", dice.between(0, 23)),
            "durationMinutes": *dice.pick(&[60, 480, 1_200]),
            "allowWindow": dice.chance(60),
        }),
        "approval" => approval(dice),
        "deploymentDependency" => json!({"dependsOn": *dice.pick(NEEDED)}),
        _ => progression(dice, stages),
    };
    Rule {
        id: ids.next(now.0, stream).into(),
        kind: kind.to_owned(),
        spec,
        created_at: now,
    }
}

fn set(spec: &mut Value, key: &str, value: Value) {
    if let Some(spec) = spec.as_object_mut() {
        spec.insert(key.to_owned(), value);
    }
}

fn retry(dice: &mut Dice) -> Value {
    let mut spec = json!({
        "maxRetries": dice.between(1, 3),
        "backoffSeconds": *dice.pick(&[0, 5, 60, 600]),
    });
    if dice.chance(50) {
        set(&mut spec, "backoffStrategy", json!("exponential"));
        set(&mut spec, "maxBackoffSeconds", json!(900));
    }
    if dice.chance(20) {
        set(&mut spec, "retryOnStatuses", json!(["failure"]));
    }
    spec
}

fn rollback(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!({"onJobStatuses": ["failure", "cancelled"]}),
        1 => json!({"onJobStatuses": [], "onVerificationFailure": true}),
        2 => json!({"onJobStatuses": ["failure"], "onVerificationFailure": false}),
        _ => json!({}),
    }
}

fn rollout(dice: &mut Dice) -> Value {
    let linear = dice.chance(60);
    let mut spec = json!({
        "rolloutType": if linear { "linear" } else { "linear-normalized" },
        "timeScaleInterval": *dice.pick(&[0, 30, 300]),
    });
    if dice.chance(50) {
        let first = json!({"count": dice.between(1, 2), "soakMinutes": *dice.pick(&[0, 2, 20])});
        let waves = match dice.below(2) {
            0 => json!([first]),
            _ => json!([first, {"percentage": 40, "soakMinutes": 1}]),
        };
        set(&mut spec, "waves", waves);
    }
    if dice.chance(60) {
        set(&mut spec, "maxFailures", json!(dice.between(1, 2)));
        let rolls_back = dice.chance(40);
        let on_failure = if rolls_back { "rollback" } else { "pause" };
        set(&mut spec, "onFailure", json!(on_failure));
    }
    spec
}

/// One stage of people in roles or groups; the auditor knows no more.
fn approval(dice: &mut Dice) -> Value {
    let approvers = match dice.below(4) {
        0 => json!(["group:crew"]),
        1 => json!(["role:admin", "group:crew"]),
        _ => json!(["role:approver"]),
    };
    let stage = json!({"name": "one", "approvers": approvers, "minimum": 1});
    let mut spec = json!({ "stages": [stage] });
    if dice.chance(20) {
        set(&mut spec, "expiresAfterHours", json!(dice.between(1, 24)));
    }
    spec
}

fn progression(dice: &mut Dice, stages: &[&str]) -> Value {
    let stage = dice.pick(stages);
    let mut spec = match dice.below(5) {
        0 => json!({"waitFor": stage.to_uppercase()}),
        1 => json!({"dependsOnEnvironmentSelector": "environment.metadata[\"tier\"] == \"test\""}),
        _ => json!({"dependsOnEnvironmentSelector": format!("environment.name == \"{stage}\"")}),
    };
    let mut set = |key: &str, value: Value| {
        drop(
            spec.as_object_mut()
                .map(|it| it.insert(key.to_owned(), value)),
        )
    };
    if dice.chance(50) {
        set(
            "minimumSuccessPercentage",
            json!(*dice.pick(&[0, 20, 34, 50, 66, 67, 100])),
        );
    } else if dice.chance(30) {
        set("maximumAgeHours", json!(*dice.pick(&[1, 2, 24])));
    }
    if dice.chance(50) {
        set("minimumSoakTimeMinutes", json!(*dice.pick(&[1, 5, 30, 90])));
    }
    if dice.chance(15) {
        set("requireVerificationPassed", json!(dice.chance(20)));
    }
    if dice.chance(20) {
        set("allowNoTargets", json!(true));
    }
    spec
}

fn verification(dice: &mut Dice) -> Value {
    let metrics: Vec<Value> = (0..dice.between(1, 2))
        .map(|index| {
            let count = dice.between(1, 3);
            let mut metric = json!({
                "name": format!("metric {index}"),
                "provider": {"type": "http", "url": "http://{{ resource.config.host }}/health"},
                "count": count,
                "intervalSeconds": dice.between(1, 60),
            });
            let mut set = |key: &str, value: Value| {
                drop(
                    metric
                        .as_object_mut()
                        .map(|it| it.insert(key.to_owned(), value)),
                );
            };
            match dice.below(3) {
                0 => set("successCondition", json!("result.v <= 6")),
                1 => set("failureCondition", json!("result.v > 7")),
                _ => {
                    set("successCondition", json!("result.v <= 6"));
                    set("failureCondition", json!("result.v > 8"));
                }
            }
            if count > 1 && dice.chance(40) {
                set("failureThreshold", json!(1));
            }
            if dice.chance(20) {
                set("successThreshold", json!(dice.between(1, count)));
            }
            if dice.chance(20) {
                set("initialDelaySeconds", json!(dice.between(1, 120)));
            }
            if dice.chance(20) {
                set("consecutiveErrorThreshold", json!(1));
            }
            if dice.chance(15) {
                set("inconclusiveThreshold", json!(1));
            }
            if dice.chance(10) {
                set("dryRun", json!(true));
            }
            metric
        })
        .collect();
    let trigger = dice.weighted(&[
        (60, None),
        (15, Some("jobCreated")),
        (15, Some("jobStarted")),
        (10, Some("jobFailure")),
    ]);
    match trigger {
        None => json!({"metrics": metrics}),
        Some(trigger) => json!({"metrics": metrics, "triggerOn": trigger}),
    }
}
