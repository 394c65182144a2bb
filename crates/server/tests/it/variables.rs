//! Variables, sets and relationships through the real store and HTTP, up to what a runner is handed.

use crate::world::World;
use serde_json::{Value, json};
use stagegate_model::Role;

/// Two hosts in one environment, each with a database beside it; the jobs' configuration names every variable.
const SHOP: &str = r#"
type: System
name: Shop
---
{ type: JobAgent, name: local, agentType: exec, config: { env: { LEVEL: info, FROM: agent } } }
---
{ type: Resource, name: host-1, kind: Host, version: test/v1, metadata: { db: db-1 } }
---
{ type: Resource, name: db-1, kind: Database, version: test/v1, config: { host: pg.one } }
---
{ type: Environment, name: Production, resourceSelector: resource.kind == "Host" }
---
{ type: RelationshipRule, name: Databases, reference: database, cel: to.kind == "Database" && from.metadata.db == to.identifier }
---
type: Deployment
name: API
slug: api
jobAgent:
  name: local
  config:
    env: { FROM: deployment, REPLICAS: "{{ variables.replicas }}", DB: "{{.variables.dbHost}}", PASSWORD: "{{ variables.password }}" }
variables:
  - { key: replicas, default: 1 }
  - { key: dbHost, default: { reference: database, path: [config, host] } }
  - { key: password, default: { secret: DB_PASSWORD } }
"#;

impl World {
    async fn as_admin(&self, method: &str, path: &str, body: Value) -> crate::world::Answer {
        let body = (!body.is_null()).then_some(body);
        self.call(Role::Admin, method, path, body).await
    }

    async fn target(&self) -> String {
        let api = self.id_of("/deployments", "API").await;
        let production = self.id_of("/environments", "Production").await;
        let host = self.id_of("/resources", "host-1").await;
        format!("{host}-{production}-{api}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_is_handed_what_the_release_was_told_whatever_changes_later() {
    let world = World::new().await;
    world.apply(SHOP).await.expect(200);
    let own = json!({ "replicas": 5 });
    let path = "/resources/identifier/host-1/variables";
    world.as_admin("PATCH", path, own).await.expect(202);
    world.version("v1").await;

    let pending = world.pending().await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    let config = &pending[0]["dispatchContext"]["jobAgentConfig"]["env"];
    assert_eq!(config["REPLICAS"], "5");
    assert_eq!(config["DB"], "pg.one");
    assert_eq!(
        (&config["LEVEL"], &config["FROM"]),
        (&json!("info"), &json!("deployment"))
    );
    assert_eq!(pending[0]["dispatchContext"]["variables"]["replicas"], 5);
    let (mark, name) = {
        let secrets = pending[0]["dispatchContext"]["secrets"]
            .as_object()
            .unwrap();
        let (mark, name) = secrets.iter().next().unwrap();
        (mark.clone(), name.clone())
    };
    assert_eq!(
        (&config["PASSWORD"], name),
        (&json!(mark), json!("DB_PASSWORD"))
    );

    // What changes now is for releases to come.
    world
        .as_admin("PATCH", path, json!({ "replicas": 6 }))
        .await
        .expect(202);
    let job = world.claim("one").await;
    assert_eq!(
        job["dispatchContext"]["jobAgentConfig"]["env"]["REPLICAS"],
        "5"
    );
    world.report(&job, "successful").await.expect(202);
    let release = format!("/releases/{}", job["releaseId"].as_str().unwrap());
    let release = world.get(&release).await.expect(200);
    assert_eq!(
        release["variables"],
        json!({ "dbHost": "pg.one", "replicas": 5 })
    );
    assert_eq!(release["encryptedVariables"], json!(["password"]));
    let resolved = release["resolvedVariables"].as_array().unwrap();
    let sources: Vec<&Value> = resolved.iter().map(|it| &it["source"]).collect();
    assert_eq!(sources, ["default", "default", "resource"]);
    assert!(
        world.pending().await.is_empty(),
        "a change deployed by itself"
    );

    let target = world.target().await;
    let now = world
        .get(&format!("/release-targets/{target}/variables"))
        .await
        .expect(200);
    assert_eq!(now["variables"][2]["value"], 6, "{now}");
    let why = world
        .get("/why?deployment=api&environment=production")
        .await
        .expect(200);
    assert_eq!(why["targets"][0]["variables"][2]["value"], 5, "{why}");

    world.version("v2").await;
    let job = world.claim("one").await;
    assert_eq!(
        job["dispatchContext"]["jobAgentConfig"]["env"]["REPLICAS"],
        "6"
    );
    world.report(&job, "successful").await.expect(202);
    let second = job["releaseId"].as_str().unwrap();
    let diff = world
        .get(&format!("/releases/{second}/diff"))
        .await
        .expect(200);
    let changes = diff["changes"].as_array().unwrap();
    let change = changes.iter().find(|it| it["path"] == "variables.replicas");
    assert_eq!(change.unwrap()["after"], 6, "{diff}");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_their_values_are_kept_as_v1_says() {
    let world = World::shop().await;
    let api = world.id_of("/deployments", "API").await;
    let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let value = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c";
    let path = format!("/deployment-variables/{id}");
    let body = json!({ "deploymentId": api, "key": "replicas", "default": 2 });
    world.get(&path).await.refused(404, "variable_not_found");
    let accepted = world.as_admin("PUT", &path, body).await.expect(202);
    assert_eq!(accepted["id"], id);

    let value_path = format!("/deployment-variable-values/{value}");
    let body = json!({ "deploymentVariableId": id, "priority": 3, "resourceSelector": "resource.knd == \"x\"", "value": 1 });
    let refused = world.as_admin("PUT", &value_path, body).await;
    assert_eq!(
        refused.refused(400, "cel_unknown_field")["field"],
        "values[0].resourceSelector"
    );
    let object = json!({ "object": { "min": 1 } });
    let body = json!({ "deploymentVariableId": id, "priority": 3, "value": object });
    world.as_admin("PUT", &value_path, body).await.expect(202);
    let read = world.get(&value_path).await.expect(200);
    assert_eq!((&read["value"], &read["priority"]), (&object, &json!(3)));

    // A client that does not know of defaults leaves them.
    let body = json!({ "deploymentId": api, "key": "replicas", "description": "how many" });
    world.as_admin("PUT", &path, body).await.expect(202);
    let list = world
        .get(&format!("/deployments/{api}/variables"))
        .await
        .expect(200);
    assert_eq!(list["items"][0]["variable"]["default"], 2, "{list}");
    assert_eq!(list["items"][0]["values"][0]["id"], value);
    let whole = world.get(&format!("/deployments/{api}")).await.expect(200);
    assert_eq!(whole["variables"][0]["variable"]["key"], "replicas");

    let body = json!({ "deploymentId": api, "key": "replicas", "default": null });
    world.as_admin("PUT", &path, body).await.expect(202);
    let read = world.get(&path).await.expect(200);
    assert_eq!(read["variable"].get("default"), None);
    world
        .as_admin("DELETE", &value_path, Value::Null)
        .await
        .expect(202);
    world
        .get(&value_path)
        .await
        .refused(404, "variable_value_not_found");
    world
        .as_admin("DELETE", &path, Value::Null)
        .await
        .expect(202);
    world.get(&path).await.refused(404, "variable_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_and_rules_are_kept_as_v1_says() {
    let world = World::shop().await;
    let rule = json!({ "name": "Databases", "reference": "database", "cel": "from.metadata.db == to.name", "metadata": {} });
    let reference = json!({ "reference": "database", "path": ["config", "host"] });
    let set = json!({ "name": "All", "selector": "true", "variables": [{ "key": "db", "value": reference }] });
    let early = world.as_admin("POST", "/variable-sets", set.clone()).await;
    assert_eq!(
        early.refused(400, "unknown_relationship")["field"],
        "variables.db.reference"
    );

    let made = world
        .as_admin("POST", "/relationship-rules", rule.clone())
        .await
        .expect(201);
    let rule_path = format!("/relationship-rules/{}", made["id"].as_str().unwrap());
    let made = world
        .as_admin("POST", "/variable-sets", set)
        .await
        .expect(201);
    let set_path = format!("/variable-sets/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (&made["priority"], &made["description"]),
        (&json!(0), &json!(""))
    );
    let changed = world
        .as_admin("PUT", &set_path, json!({ "priority": 7 }))
        .await
        .expect(202);
    assert_eq!(
        (&changed["priority"], &changed["variables"][0]["value"]),
        (&json!(7), &reference)
    );

    let used = world.as_admin("DELETE", &rule_path, Value::Null).await;
    used.refused(409, "in_use");
    let mut other = rule;
    other["cel"] = json!("1 + 1");
    let refused = world.as_admin("PUT", &rule_path, other).await;
    assert_eq!(refused.refused(400, "cel_not_bool")["field"], "cel");

    // What is exported can be applied again and changes nothing.
    let text = world.get("/export").await.text;
    let again = world.apply(&text).await.expect(200);
    assert_eq!(again["changed"].as_u64().unwrap_or_default(), 0, "{again}");

    let gone = world
        .as_admin("DELETE", &set_path, Value::Null)
        .await
        .expect(202);
    assert_eq!(gone["name"], "All");
    world
        .as_admin("DELETE", &rule_path, Value::Null)
        .await
        .expect(202);
    world
        .get(&rule_path)
        .await
        .refused(404, "relationship_rule_not_found");
    world
        .get(&set_path)
        .await
        .refused(404, "variable_set_not_found");
}
