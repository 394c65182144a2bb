//! Variables of deployments and resources, sets and relationships.

use crate::workspace::{Workspace, refusals};
use serde_json::json;
use stagegate_documents::export;
use stagegate_model::{Change, VariableValue};

/// As it is exported.
const TEXT: &str = r#"type: System
name: default
---
type: RelationshipRule
name: Databases
reference: database
description: by their name
cel: from.metadata.db == to.identifier
---
type: Resource
name: host-1
identifier: host-1
kind: Host
version: stagegate/v1
variables:
  replicas: 5
---
type: Deployment
name: API
slug: api
system: default
resourceSelector: "true"
jobAgentSelector: "false"
variables:
  - default:
      path:
        - config
        - host
      reference: database
    description: where it is
    key: dbHost
  - default:
      object:
        secret: a
    key: limits
  - key: password
    values:
      - value:
          secret: DB_PASSWORD
  - default: 1
    key: replicas
    values:
      - priority: 10
        resourceSelector: resource.kind == "Host"
        value: 2
      - value: 3
---
type: VariableSet
name: Everywhere
selector: "true"
priority: 7
variables:
  region: eu
"#;

#[test]
fn what_is_exported_is_what_was_applied() {
    let mut workspace = Workspace::default();
    workspace.apply(TEXT);
    assert_eq!(export(&workspace), TEXT);
    assert!(workspace.plan(TEXT).unwrap().is_empty());
    let limits = workspace.variables.iter().find(|it| it.key == "limits");
    let wrapped = VariableValue::Literal(json!({ "secret": "a" }));
    assert_eq!(limits.unwrap().default, Some(wrapped));
}

#[test]
fn what_is_not_spoken_of_stays_and_ids_are_kept() {
    let mut workspace = Workspace::default();
    workspace.apply(TEXT);
    let before = workspace.clone();
    let quiet = "type: Deployment\nname: API\nslug: api\nresourceSelector: \"true\"\n---\n\
                 type: Resource\nname: host-1\nkind: Host\nversion: stagegate/v1\n";
    assert!(workspace.plan(quiet).unwrap().is_empty());

    let edited = TEXT.replace("value: 3", "value: 4").replace("eu", "us");
    let planned = workspace.apply(&edited);
    let changed = planned.iter().find(|it| it.name == "API").unwrap();
    let paths: Vec<&str> = changed.fields.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["variables[3].values[1].value"]);
    let ids = |of: &Workspace| -> Vec<_> {
        let values = of.variables.iter().flat_map(|it| &it.values);
        let values = values.map(|it| it.id.0);
        of.variables
            .iter()
            .map(|it| it.id.0)
            .chain(values)
            .collect()
    };
    assert_eq!(ids(&workspace), ids(&before));

    let plan =
        workspace.plan(&TEXT.replace("  - default: 1\n    key: replicas\n", "  - key: other\n"));
    let gone = |it: &Change| matches!(it, Change::DeleteVariable(_));
    assert_eq!(
        plan.unwrap().changes.iter().filter(|it| gone(it)).count(),
        1
    );
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let text = r#"type: Deployment
name: A
variables:
  - { key: a, default: { reference: x, path: [config] } }
  - { key: a }
  - { key: b, vales: [] }
  - { key: c, values: [{ priority: 1 }, { value: { reference: x } }] }
"#;
    assert_eq!(
        refusals(text),
        [
            "unknown_relationship 4:24 variables[0].default.reference",
            "invalid_variable 5:12 variables[1].key",
            "unknown_field 6:15 variables[2].vales",
            "missing_field 7:24 variables[3].values[0].value",
            "invalid_variable 7:50 variables[3].values[1].value",
        ]
    );
    assert_eq!(
        refusals("type: RelationshipRule\nname: A\n"),
        ["missing_field 1:1 cel", "missing_field 1:1 reference"]
    );
    assert_eq!(
        refusals("type: VariableSet\nname: A\nvariables: { a: { valueHash: b } }\n"),
        [
            "missing_field 1:1 selector",
            "invalid_variable 3:17 variables.a"
        ]
    );
}
