//! The wire types read and write exactly the documented members: what is read is written again, no more and
//! no less.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stagegate_api::*;

fn round_trips<T: DeserializeOwned + Serialize>(value: Value) {
    let kind = std::any::type_name::<T>();
    let read: T = serde_json::from_value(value.clone())
        .unwrap_or_else(|error| panic!("{kind} does not read {value}: {error}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), value, "{kind}");
}

const TIME: &str = "2026-01-31T09:00:00.000Z";

fn version() -> Value {
    json!({
        "id": "v", "deploymentId": "d", "tag": "v1", "name": "v1", "config": {"image": "x:1"},
        "jobAgentConfig": {}, "status": "ready", "createdAt": TIME,
    })
}

fn deployment() -> Value {
    json!({"id": "d", "name": "Web", "slug": "web", "jobAgentSelector": "true", "jobAgentConfig": {}})
}

fn environment() -> Value {
    json!({"id": "e", "name": "prod", "createdAt": TIME, "metadata": {"tier": "1"}})
}

fn system() -> Value {
    json!({"id": "s", "workspaceId": "w", "name": "Shop", "slug": "shop"})
}

fn resource() -> Value {
    json!({
        "workspaceId": "w", "identifier": "host-1", "name": "host 1", "kind": "Host", "version": "v1",
        "config": {"port": 80}, "metadata": {}, "createdAt": TIME,
    })
}

fn agent() -> Value {
    json!({"id": "a", "name": "shell", "type": "exec", "config": {}, "metadata": {}})
}

fn release() -> Value {
    json!({
        "version": version(), "variables": {"a": 1, "b": {"object": {}}}, "encryptedVariables": ["c"],
        "releaseTarget": {"resourceId": "r", "environmentId": "e", "deploymentId": "d"}, "createdAt": TIME,
    })
}

fn job() -> Value {
    json!({
        "id": "j", "releaseId": "r", "jobAgentId": "a", "jobAgentConfig": {"command": "x"}, "status": "inProgress",
        "metadata": {}, "createdAt": TIME, "updatedAt": TIME, "startedAt": TIME, "externalId": "42",
        "dispatchContext": {
            "deployment": deployment(), "environment": environment(), "resource": resource(), "version": version(),
            "release": release(), "jobAgent": agent(), "jobAgentConfig": {"command": "x"}, "variables": {"a": true},
        },
    })
}

fn with(mut value: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (value.as_object_mut(), more) {
        members.extend(more);
    }
    value
}

#[test]
fn entities() {
    round_trips::<Workspace>(
        json!({"id": "w", "name": "Acme", "slug": "acme", "createdAt": TIME, "awsRoleArn": "arn"}),
    );
    round_trips::<System>(system());
    round_trips::<SystemWithLinkedEntities>(with(
        system(),
        json!({"environments": [environment()], "deployments": [deployment()]}),
    ));
    round_trips::<EnvironmentWithSystems>(with(environment(), json!({"systems": [system()]})));
    round_trips::<DeploymentWithVariablesAndSystems>(
        json!({"deployment": deployment(), "systems": [system()], "variables": []}),
    );
    round_trips::<DeploymentVersionWithDependencies>(with(
        version(),
        json!({"dependencies": {"d2": {"versionSelector": "true"}}, "message": "m", "metadata": {"a": "b"}}),
    ));
    round_trips::<Resource>(resource());
    round_trips::<JobAgent>(agent());
    round_trips::<Policy>(json!({
        "id": "p", "workspaceId": "w", "name": "prod", "enabled": true, "priority": 0, "selector": "true",
        "metadata": {}, "createdAt": TIME,
        "rules": [{"id": "r", "policyId": "p", "createdAt": TIME, "anyApproval": {"minApprovals": 1}}],
    }));
    round_trips::<UserApprovalRecord>(json!({
        "userId": "u", "versionId": "v", "environmentId": "e", "status": "approved", "createdAt": TIME,
    }));
}

#[test]
fn jobs_and_targets() {
    round_trips::<Job>(job());
    round_trips::<JobWithRelease>(
        json!({"job": job(), "release": release(), "resource": resource()}),
    );
    round_trips::<ReleaseTargetWithState>(json!({
        "releaseTarget": {"resourceId": "r", "environmentId": "e", "deploymentId": "d"},
        "state": {"desiredRelease": release(), "latestJob": job()},
    }));
    let metric = json!({
        "name": "up", "provider": {"type": "http", "url": "http://x"}, "intervalSeconds": 5, "count": 3,
        "successCondition": "result.ok", "measurements": [{"status": "passed", "measuredAt": TIME, "data": {"ok": true}}],
    });
    let verification = json!({"id": "x", "jobId": "j", "createdAt": TIME, "status": "passed", "metrics": [metric]});
    round_trips::<ReleaseTargetStateResponse>(json!({
        "currentRelease": release(), "latestJob": {"job": job(), "verifications": [verification]},
    }));
    let target: ReleaseTarget = serde_json::from_value(
        json!({"resourceId": "r", "environmentId": "e", "deploymentId": "d"}),
    )
    .unwrap();
    assert_eq!(target.to_string(), "r-e-d");
}

#[test]
fn our_own() {
    let gate = json!({
        "ruleId": "r", "policyId": "p", "policyName": "prod", "kind": "anyApproval", "allowed": false,
        "actionRequired": true, "actionType": "approval", "code": "approval_pending", "message": "1 of 2 approvals",
        "opens": "one more approval", "who": ["ada"], "details": {"approvals": 1}, "latched": false,
    });
    let counts = json!({"total": 3, "pending": 1, "running": 1, "verifying": 0, "succeeded": 1, "failed": 0});
    let promotion = json!({
        "id": "m", "version": {"id": "v", "tag": "v1"}, "deployment": {"id": "d", "name": "Web", "slug": "web"},
        "environment": {"id": "e", "name": "prod"}, "attempt": 1, "status": "waiting", "openedAt": TIME,
        "gates": [gate], "targets": counts,
    });
    round_trips::<Page<Promotion>>(
        json!({"items": [promotion], "limit": 50, "offset": 0, "total": 1}),
    );
    let event =
        json!({"at": TIME, "seq": 4, "kind": "promotionOpened", "actor": "ada", "text": "opened"});
    round_trips::<PromotionDetail>(with(
        promotion.clone(),
        json!({"timeline": [event], "jobs": [job()], "nextJob": "j", "verifications": []}),
    ));
    let open: Promotion = serde_json::from_value(promotion).unwrap();
    assert!(open.is_open());
    round_trips::<Why>(json!({
        "deployment": {"id": "d", "name": "Web", "slug": "web"}, "environment": {"id": "e", "name": "prod"},
        "version": {"id": "v", "tag": "v1"}, "promotion": "m", "status": "waiting", "summary": "it waits",
        "gates": [gate], "targets": [{"resource": "host 1", "current": "v0", "state": "pending"}],
        "targetCounts": {"pending": 1, "succeeded": 2}, "nextTarget": "r", "earliest": TIME,
    }));
    round_trips::<Status>(json!({"seq": 9, "deployments": [{
        "deployment": {"id": "d", "name": "Web", "slug": "web"},
        "environments": [{"id": "e", "name": "prod", "targets": 3, "current": [{"tag": "v0", "count": 3}]}],
        "versions": [{"id": "v", "tag": "v1", "status": "ready", "createdAt": TIME, "cells": [
            {"environmentId": "e", "promotionId": "m", "status": "waiting", "reason": "1 of 2", "targets": counts},
        ]}],
    }]}));
    round_trips::<ApplyReport>(json!({"seq": 3, "documents": [{
        "kind": "Policy", "name": "prod", "file": "a.yaml", "line": 1, "action": "changed",
        "fields": [{"path": "enabled", "from": true, "to": null}],
    }]}));
    round_trips::<CreatedKey>(
        json!({"id": "k", "key": "sg_x", "name": "ci", "userId": "u", "role": "ci"}),
    );
    round_trips::<AuditVerification>(json!({
        "ok": false, "entries": 7, "head": {"seq": 9, "hash": "h"},
        "error": {"seq": 8, "entryId": "x", "what": "the hash differs"},
    }));
}

#[test]
fn requests_may_leave_out_or_null_what_is_optional() {
    let agent: UpsertJobAgent = serde_json::from_value(
        json!({"name": "a", "type": "exec", "config": null, "metadata": null}),
    )
    .unwrap();
    assert!(agent.config.is_empty() && agent.metadata.is_none());
    let version: CreateVersion =
        serde_json::from_value(json!({"tag": "v1", "dependencies": null})).unwrap();
    assert!(version.name.is_empty() && version.dependencies.is_none());
    let policy: UpsertPolicy = serde_json::from_value(json!({"name": "p", "rules": null})).unwrap();
    assert!(policy.rules.is_empty());
    let error =
        serde_json::from_value::<CreateVersion>(json!({"tag": "v1", "config": []})).unwrap_err();
    assert!(error.to_string().contains("expected a map"), "{error}");
}
