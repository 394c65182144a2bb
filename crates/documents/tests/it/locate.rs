//! The way back from a refusal of the engine's to the text.

use crate::workspace::Workspace;
use stagegate_documents::Plan;
use stagegate_model::Rejection;

const TEXT: &str = r#"type: Policy
name: P
selectors:
  - environment: environment.nmae == "x"
rules:
  - anyApproval: { minApprovals: 2 }
  - environmentProgression:
      waitFor: Stagin
      nested:
        deep: [1, {x: 2}]
metadata:
  app.io/name: a
  app: b
---
type: Deployment
name: API
jobAgent: { name: local, config: { command: "{{ x" } }
system: Shop
---
type: JobAgent
name: local
agentType: nope
---
type: System
name: Shop
"#;

fn at(plan: &Plan, change: usize, field: &str) -> (usize, usize, usize) {
    let mut rejection = Rejection::invalid("some_code", "some message")
        .at(field)
        .hint("do so");
    rejection.change = Some(change);
    let error = plan.locate(&rejection);
    assert_eq!(error.file, "shop.yaml");
    assert_eq!(error.field, field);
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("some_code", "some message")
    );
    assert_eq!(error.hint, "do so");
    (error.document, error.line, error.column)
}

#[test]
fn fields_are_found_and_of_missing_ones_the_longest_part() {
    let plan = Workspace::default().plan(TEXT).unwrap();
    // Changes: system, agent, deployment, policy.
    let policy = |field: &str| at(&plan, 3, field);
    assert_eq!(
        policy("rules[1].environmentProgression.waitFor"),
        (1, 8, 16)
    );
    assert_eq!(
        policy("rules[1].environmentProgression.nested.deep[1].x"),
        (1, 10, 23)
    );
    assert_eq!(
        policy("rules[1].environmentProgression.nested.deep[7]"),
        (1, 10, 9)
    );
    assert_eq!(policy("rules[1].environmentProgression"), (1, 7, 5));
    assert_eq!(policy("rules[1].environmentProgression.minimum"), (1, 7, 5));
    assert_eq!(policy("rules[0].anyApproval.minApprovals"), (1, 6, 34));
    assert_eq!(policy("rules[9].anyApproval"), (1, 5, 1));
    assert_eq!(policy("metadata.app.io/name"), (1, 12, 16));
    assert_eq!(policy("metadata[\"app.io/name\"]"), (1, 12, 16));
    assert_eq!(policy("metadata.app"), (1, 13, 8));
    assert_eq!(policy("metadata.ap"), (1, 11, 1));
    assert_eq!(policy(""), (1, 1, 1));
    assert_eq!(policy("priority"), (1, 1, 1));
}

#[test]
fn short_forms_are_found_by_the_fields_they_stand_for() {
    let plan = Workspace::default().plan(TEXT).unwrap();
    assert_eq!(at(&plan, 3, "selector"), (1, 3, 1));
    assert_eq!(at(&plan, 2, "jobAgentSelector"), (2, 17, 19));
    assert_eq!(at(&plan, 2, "jobAgentConfig.command"), (2, 17, 45));
    assert_eq!(at(&plan, 2, "systems"), (2, 18, 9));
    assert_eq!(at(&plan, 1, "type"), (3, 22, 12));
    assert_eq!(at(&plan, 0, "name"), (4, 25, 7));
}

#[test]
fn a_refusal_of_the_whole_is_shown_at_the_beginning() {
    let plan = Workspace::default().plan(TEXT).unwrap();
    let error = plan.locate(&Rejection::conflict("busy", "not now"));
    assert_eq!(
        (
            error.file.as_str(),
            error.document,
            error.line,
            error.column
        ),
        ("shop.yaml", 0, 1, 1)
    );
    assert_eq!(error.to_string(), "shop.yaml:1:1: not now");
}

#[test]
fn the_system_nobody_declared_is_shown_where_it_is_needed() {
    let plan = Workspace::default()
        .plan("type: Policy\nname: P\n---\ntype: Environment\nname: E\n")
        .unwrap();
    assert_eq!(at(&plan, 0, ""), (2, 4, 1));
    assert_eq!(plan.documents[0].line, 5);
}

#[test]
fn each_file_is_named() {
    let plan = Workspace::default()
        .plan_many(&[
            ("a.yaml", "type: Policy\nname: A\n"),
            ("b.yaml", "type: System\nname: B\n"),
        ])
        .unwrap();
    let mut rejection = Rejection::invalid("c", "m").at("name");
    rejection.change = Some(0);
    assert_eq!(plan.locate(&rejection).file, "b.yaml");
    rejection.change = Some(1);
    assert_eq!(plan.locate(&rejection).file, "a.yaml");
}
