//! What policies replace, and which rules stay themselves.

use crate::workspace::{Workspace, refusal, refusals};
use stagegate_documents::Action;
use stagegate_model::RuleId;

fn rule_ids(workspace: &Workspace) -> Vec<RuleId> {
    workspace.policies[0]
        .rules
        .iter()
        .map(|rule| rule.id)
        .collect()
}

fn policy(rules: &str) -> String {
    format!("type: Policy\nname: P\nrules: [{rules}]\n")
}

#[test]
fn a_rule_that_is_unchanged_keeps_its_id_and_time_wherever_it_moves() {
    let mut workspace = Workspace::default();
    workspace.apply(&policy("{a: {x: 1}}, {b: {}}"));
    let before = workspace.policies[0].clone();
    workspace.apply(&policy("{c: {}}, {b: {}}, {a: {x: 1}}"));
    let after = &workspace.policies[0];
    assert_eq!(after.id, before.id);
    assert_eq!(after.created_at, before.created_at);
    assert_eq!(after.rules[1], before.rules[1]);
    assert_eq!(after.rules[2], before.rules[0]);
    assert!(after.rules[0].created_at > before.created_at);
}

#[test]
fn a_changed_spec_is_a_new_rule() {
    let mut workspace = Workspace::default();
    workspace.apply(&policy("{a: {x: 1}}"));
    let before = rule_ids(&workspace);
    let planned = workspace.apply(&policy("{a: {x: 2}}"));
    assert_ne!(rule_ids(&workspace), before);
    assert_eq!(planned[0].action, Action::Changed);
    let [change] = &planned[0].fields[..] else {
        panic!("{:?}", planned[0].fields)
    };
    assert_eq!(change.path, "rules[0].a.x");
    assert_eq!(change.from, Some(1.into()));
    assert_eq!(change.to, Some(2.into()));
}

#[test]
fn of_equal_rules_each_keeps_its_own_id() {
    let mut workspace = Workspace::default();
    workspace.apply(&policy("{a: {}}, {a: {}}"));
    let before = rule_ids(&workspace);
    assert_ne!(before[0], before[1]);
    assert!(
        workspace
            .plan(&policy("{a: {}}, {a: {}}"))
            .unwrap()
            .is_empty()
    );
    workspace.apply(&policy("{a: {}}, {a: {}}, {a: {}}"));
    assert_eq!(rule_ids(&workspace)[..2], before[..]);
    assert!(!before.contains(&rule_ids(&workspace)[2]));
}

#[test]
fn a_sent_id_is_kept_through_a_change_and_taken_from_no_other_rule() {
    let mut workspace = Workspace::default();
    workspace.apply(&policy("{a: {}}, {a: {}}"));
    let before = workspace.policies[0].rules.clone();
    // The first rule is claimed by the second item, so the first item takes the other.
    workspace.apply(&policy(&format!(
        "{{a: {{}}}}, {{id: {}, a: {{x: 1}}}}",
        before[0].id
    )));
    let after = &workspace.policies[0].rules;
    assert_eq!(after[0].id, before[1].id);
    assert_eq!(after[1].id, before[0].id);
    assert_eq!(after[1].created_at, before[0].created_at);
    assert_eq!(after[1].spec, serde_json::json!({"x": 1}));
}

#[test]
fn a_new_id_alone_is_a_change_and_shown() {
    let mut workspace = Workspace::default();
    workspace.apply(&policy("{a: {}}"));
    let id = "00000000-0000-7000-8000-000000000001";
    let planned = workspace.apply(&policy(&format!("{{id: {id}, a: {{}}}}")));
    assert_eq!(planned[0].action, Action::Changed);
    assert_eq!(planned[0].fields[0].path, "rules[0].id");
    assert_eq!(planned[0].fields[0].to, Some(id.into()));
}

#[test]
fn an_id_stands_for_one_rule_only() {
    let id = "00000000-0000-7000-8000-000000000001";
    let twice = policy(&format!("{{id: {id}, a: {{}}}}, {{id: {id}, b: {{}}}}"));
    assert_eq!(refusals(&twice), ["duplicate_rule_id 3:65 rules[1].id"]);

    let mut workspace = Workspace::default();
    workspace.apply(&policy(&format!("{{id: {id}, a: {{}}}}")));
    let errors = workspace.refused(&format!(
        "type: Policy\nname: Q\nrules:\n  - id: {id}\n    a: {{}}\n"
    ));
    assert_eq!(
        errors[0].to_string(),
        "shop.yaml:4:9: rules[0].id: this id is that of a rule of the policy `P`\n  \
         hint: leave `id` out, and a new rule gets a new one"
    );
    let broken = refusal(&policy("{id: 7f, a: {}}"));
    assert_eq!(
        (broken.code.as_str(), broken.field.as_str()),
        ("wrong_type", "rules[0].id")
    );
}

#[test]
fn a_kind_alone_asks_for_its_defaults() {
    let mut workspace = Workspace::default();
    workspace.apply("type: Policy\nname: P\nrules:\n  - rollback:\n");
    assert_eq!(workspace.policies[0].rules[0].spec, serde_json::json!({}));
    assert_eq!(workspace.policies[0].selector, "true");
}

#[test]
fn a_rule_has_exactly_one_kind() {
    assert_eq!(refusals(&policy("{}")), ["invalid_rule 3:9 rules[0]"]);
    assert_eq!(
        refusals("type: Policy\nname: P\nrules:\n  - anyApproval:\n    minApprovals: 2\n"),
        ["invalid_rule 5:5 rules[0].minApprovals"]
    );
    assert_eq!(refusals(&policy("{a: 5}")), ["wrong_type 3:13 rules[0].a"]);
    assert_eq!(refusals(&policy("a")), ["wrong_type 3:9 rules[0]"]);
}

#[test]
fn selectors_are_combined_in_the_order_written() {
    let mut workspace = Workspace::default();
    let mut selector = |text: &str| {
        workspace.apply(&format!("type: Policy\nname: P\n{text}\n"));
        workspace.policies[0].selector.clone()
    };
    assert_eq!(selector("selectors: []"), "true");
    assert_eq!(selector("selectors: [{environments: a || b}]"), "a || b");
    assert_eq!(
        selector("selectors: [{version: v, resource: r}, {deployment: true}]"),
        "(v) && (r) && (true)"
    );
    assert_eq!(
        selector("selector: |\n  a\n  && b\n"),
        "a\n  && b".replace("\n  ", "\n")
    );
}

#[test]
fn selectors_are_refused_where_they_are_wrong() {
    let text = |selectors: &str| format!("type: Policy\nname: P\nselectors: {selectors}\n");
    let unknown = refusal(&text("[{enviroment: a}]"));
    assert_eq!(
        unknown.to_string(),
        "shop.yaml:3:14: selectors[0].enviroment: unknown field `enviroment`\n  hint: did you mean `environment`? \
         known fields: `environment`, `environments`, `deployment`, `resource`, `version`"
    );
    assert_eq!(refusals(&text("[{}]")), ["missing_field 3:13 selectors[0]"]);
    assert_eq!(
        refusals(&text("[{version: 5}]")),
        ["wrong_type 3:23 selectors[0].version"]
    );
    assert_eq!(
        refusals(&text("[{version: ' '}]")),
        ["invalid_selector 3:23 selectors[0].version"]
    );
    assert_eq!(refusals(&text("a")), ["wrong_type 3:12 selectors"]);
    let open = refusal(&text("[{version: a}, {resource: 'f(a'}]"));
    assert_eq!(open.message, "`(` is not closed in `f(a`");
    assert_eq!(open.field, "selectors[1].resource");
    assert_eq!(
        refusals(&text("[]\nselector: a")),
        ["conflicting_fields 4:1 selector"]
    );
}

#[test]
fn what_is_replaced_may_stand_later_or_be_there_already() {
    let mut workspace = Workspace::default();
    workspace.apply("type: Policy\nname: C\nreplaces: [b]\n---\ntype: Policy\nname: B\nreplaces: A\n---\ntype: Policy\nname: A\n");
    let names: Vec<_> = workspace
        .policies
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["A", "B", "C"]);
    assert_eq!(
        workspace.policies[2].replaces,
        [workspace.policies[1].id].into()
    );
    workspace.apply("type: Policy\nname: D\nreplaces: [C, a]\n");
    assert_eq!(workspace.policies[3].replaces.len(), 2);
}

#[test]
fn turning_round_what_replaces_what_never_makes_a_circle_on_the_way() {
    let mut workspace = Workspace::default();
    workspace.apply("type: Policy\nname: A\nreplaces: [B]\n---\ntype: Policy\nname: B\n");
    let plan = workspace
        .plan("type: Policy\nname: B\nreplaces: [A]\n---\ntype: Policy\nname: A\n")
        .unwrap();
    for change in &plan.changes {
        workspace.put(std::slice::from_ref(change));
        let both = workspace
            .policies
            .iter()
            .filter(|it| !it.replaces.is_empty())
            .count();
        assert!(both <= 1);
    }
}

#[test]
fn an_unknown_policy_is_refused_with_those_there_are() {
    let error = refusal(
        "type: Policy\nname: A\nreplaces: [Stagin Before Production]\n---\ntype: Policy\nname: Staging Before Production\n",
    );
    assert_eq!(
        error.to_string(),
        "shop.yaml:3:12: replaces[0]: there is no policy `Stagin Before Production`\n  \
         hint: did you mean `Staging Before Production`? known policies: `Staging Before Production`"
    );
    assert_eq!(error.code, "unknown_policy");
}

#[test]
fn circles_are_refused() {
    let itself = refusal("type: Policy\nname: A\nreplaces: [a]\n");
    assert_eq!(itself.code, "replaces_cycle");
    assert_eq!(
        itself.message,
        "policies replace each other in a circle: `A` → `A`"
    );
    assert_eq!((itself.line, itself.column), (3, 12));

    let mut workspace = Workspace::default();
    workspace.apply("type: Policy\nname: A\nreplaces: [B]\n---\ntype: Policy\nname: B\n");
    let errors = workspace.refused("type: Policy\nname: B\nreplaces: [A]\n");
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, "replaces_cycle");
}
