//! What is refused before anything is looked up.

use crate::workspace::{Workspace, refusal, refusals};
use stagegate_documents::{DOCUMENTS_MAX, NAME_CHARS_MAX, TEXT_BYTES_MAX, code};

#[test]
fn unknown_and_missing_types() {
    let wrong = refusal("type: Enviroment\nname: A\n");
    assert_eq!(
        wrong.to_string(),
        "shop.yaml:1:7: type: unknown type `Enviroment`\n  hint: did you mean `Environment`? known: \
         `System`, `RelationshipRule`, `JobAgent`, `Resource`, `Environment`, `Deployment`, `VariableSet`, `Policy`, `Notifier`"
    );
    assert_eq!(wrong.code, "unknown_type");
    assert!(
        refusal("type: banana\nname: A\n")
            .hint
            .starts_with("known: `System`")
    );
    let missing = refusal("name: A\n");
    assert_eq!(
        (missing.code.as_str(), missing.field.as_str()),
        ("missing_field", "type")
    );
    assert!(missing.hint.contains("`Policy`"));
    assert_eq!(refusals("type: 5\nname: A\n"), ["wrong_type 1:7 type"]);
}

#[test]
fn missing_fields() {
    assert_eq!(refusals("type: System\n"), ["missing_field 1:1 name"]);
    assert_eq!(
        refusals("type: System\nname:\n"),
        ["missing_field 2:1 name"]
    );
    assert_eq!(
        refusals("type: JobAgent\nname: A\n"),
        ["missing_field 1:1 agentType"]
    );
    assert_eq!(
        refusals("type: Resource\nname: A\n"),
        ["missing_field 1:1 kind", "missing_field 1:1 version"]
    );
    assert_eq!(
        refusals("type: Deployment\nname: A\njobAgent: {}\n"),
        ["missing_field 3:11 jobAgent.name"]
    );
}

#[test]
fn unknown_fields_of_every_type() {
    for kind in [
        "System",
        "JobAgent",
        "Resource",
        "Environment",
        "Deployment",
        "Policy",
    ] {
        let rest = match kind {
            "JobAgent" => "agentType: exec\n",
            "Resource" => "kind: K\nversion: v1\n",
            _ => "",
        };
        let error = refusal(&format!("type: {kind}\nname: A\n{rest}metdata: {{}}\n"));
        assert_eq!(
            (error.code.as_str(), error.column),
            ("unknown_field", 1),
            "{kind}"
        );
        assert!(
            error
                .hint
                .starts_with("did you mean `metadata`? known fields: `type`"),
            "{}",
            error.hint
        );
    }
    let nested = refusal(
        "type: Deployment\nname: A\njobAgent: {name: x, cfg: {}}\n---\ntype: JobAgent\nname: x\nagentType: e\n",
    );
    assert_eq!((nested.field.as_str(), nested.column), ("jobAgent.cfg", 21));
}

#[test]
fn values_of_the_wrong_type() {
    let number = refusal("type: System\nname: 5\n");
    assert_eq!(
        number.to_string(),
        "shop.yaml:2:7: name: expected text, got number `5`\n  hint: put it in quotes: \"5\""
    );
    let word = refusal("type: Policy\nname: P\nenabled: yes\n");
    assert_eq!(
        word.to_string(),
        "shop.yaml:3:10: enabled: expected a boolean, got text `yes`\n  hint: write `true` or `false`"
    );
    assert_eq!(
        refusals("type: Policy\nname: P\npriority: 1.5\n"),
        ["wrong_type 3:11 priority"]
    );
    assert_eq!(
        refusals("type: Policy\nname: P\nrules: {}\n"),
        ["wrong_type 3:8 rules"]
    );
    assert_eq!(
        refusals("type: Policy\nname: P\nreplaces: {a: b}\n"),
        ["wrong_type 3:11 replaces"]
    );
    assert_eq!(
        refusals("type: System\nname: P\ndescription: [a]\n"),
        ["wrong_type 3:14 description"]
    );
    assert_eq!(
        refusals("type: System\nname: P\nmetadata: a\n"),
        ["wrong_type 3:11 metadata"]
    );
    assert_eq!(
        refusals("type: System\nname: P\nmetadata: {a: [1], b: null, c: .inf}\n"),
        ["wrong_type 3:15 metadata.a", "wrong_type 3:23 metadata.b"]
    );
    assert_eq!(
        refusals("type: JobAgent\nname: P\nagentType: exec\nconfig: [a]\n"),
        ["wrong_type 4:9 config"]
    );
    assert_eq!(
        refusals(
            "type: JobAgent\nname: P\nagentType: exec\nconfig: {a: [1, .nan, 99999999999999999999]}\n"
        ),
        ["wrong_type 4:17 config.a[1]", "wrong_type 4:23 config.a[2]"]
    );
}

#[test]
fn names_and_slugs() {
    for name in ["' '", "' a'", "\"a\\nb\"", "\"a\\u0007b\""] {
        assert_eq!(
            refusals(&format!("type: Policy\nname: {name}\n")),
            ["invalid_name 2:7 name"],
            "{name}"
        );
    }
    let long = "é".repeat(NAME_CHARS_MAX);
    assert!(
        Workspace::default()
            .plan(&format!("type: Policy\nname: {long}\n"))
            .is_ok()
    );
    assert_eq!(
        refusals(&format!("type: Policy\nname: {long}é\n")),
        ["invalid_name 2:7 name"]
    );
    assert_eq!(
        refusals("type: Resource\nname: A\nidentifier: ''\nkind: ' '\nversion: v\n"),
        ["invalid_name 3:13 identifier", "invalid_name 4:7 kind"]
    );
    for slug in ["A", "a b", "a_b", "''", "é"] {
        assert_eq!(
            refusals(&format!("type: Deployment\nname: A\nslug: {slug}\n")),
            ["invalid_slug 3:7 slug"],
            "{slug}"
        );
    }
    let none = refusal("type: Deployment\nname: 日本\n");
    assert_eq!((none.code.as_str(), none.line), ("invalid_slug", 2));
    assert_eq!(
        refusals("type: Deployment\nname: A\nslug: 5\n"),
        ["wrong_type 3:7 slug"]
    );
}

#[test]
fn the_same_entity_twice() {
    let twice = refusal("type: System\nname: Shop\n---\ntype: System\nname: SHOP\n");
    assert_eq!(
        twice.to_string(),
        "shop.yaml:5:7: name: a second System with the name `SHOP`; the first is in shop.yaml, line 2\n  \
         hint: keep one of them, or rename it"
    );
    assert_eq!(
        (twice.code.as_str(), twice.document),
        ("duplicate_document", 2)
    );
    let slugs =
        refusal("type: Deployment\nname: A B\n---\ntype: Deployment\nname: Other\nslug: a-b\n");
    assert!(slugs.message.contains("slug `a-b`"), "{}", slugs.message);
    let resource = "type: Resource\nname: A\nkind: K\nversion: v\n";
    let identifiers = refusal(&format!("{resource}---\n{resource}"));
    assert!(
        identifiers.message.contains("identifier `A`"),
        "{}",
        identifiers.message
    );
    // Another kind, or an identifier in other letters, is something else.
    let other = resource.replace("name: A", "name: a");
    assert!(
        Workspace::default()
            .plan(&format!(
                "{resource}---\n{other}---\ntype: System\nname: A\n"
            ))
            .is_ok()
    );

    let errors = Workspace::default()
        .plan_many(&[
            ("a.yaml", "type: Policy\nname: P\n"),
            ("b.yaml", "type: Policy\nname: p\n"),
        ])
        .unwrap_err();
    assert_eq!(errors[0].file, "b.yaml");
    assert!(errors[0].message.ends_with("in a.yaml, line 2"));
}

#[test]
fn nothing_and_what_is_no_document() {
    for text in ["", "\n", "# nothing\n", "---\n---\n", "~", "\u{feff}"] {
        assert_eq!(refusals(text), ["empty_file 1:1"], "{text:?}");
    }
    assert_eq!(refusals("- type: System\n"), ["not_a_mapping 1:1"]);
    assert_eq!(refusals("hello\n"), ["not_a_mapping 1:1"]);
    // An empty document between others is nothing.
    let plan = Workspace::default()
        .plan("---\n---\ntype: System\nname: A\n---\n")
        .unwrap();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.documents[0].document, 2);
}

#[test]
fn all_errors_are_found_at_once_in_their_order() {
    let text = "type: System\nnmae: A\nmetadata: 5\n---\ntype: Policy\nname: P\nenabled: 1\nreplaces: [Q]\nrules:\n  - {}\n---\ntype: Environment\nname: E\nsystem: Nope\n";
    assert_eq!(
        refusals(text),
        [
            "missing_field 1:1 name",
            "unknown_field 2:1 nmae",
            "wrong_type 3:11 metadata",
            "wrong_type 7:10 enabled",
            "invalid_rule 10:5 rules[0]",
        ]
    );
    // Once every document is known by its name, what is mentioned is looked up as well.
    assert_eq!(
        refusals(&text.replace("nmae", "name")),
        [
            "wrong_type 3:11 metadata",
            "wrong_type 7:10 enabled",
            "unknown_policy 8:12 replaces[0]",
            "invalid_rule 10:5 rules[0]",
            "unknown_system 14:9 system",
        ]
    );
}

#[test]
fn very_many_errors_are_counted() {
    let mut text = "type: System\nname: A\n".to_owned();
    for number in 0..250 {
        text.push_str(&format!("x{number}: 1\n"));
    }
    let errors = Workspace::default().refused(&text);
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100].code, code::TOO_MANY_ERRORS);
    assert_eq!(errors[100].message, "and 150 more errors after this one");
}

#[test]
fn too_much() {
    let big = format!(
        "type: System\nname: A\ndescription: {}\n",
        "x".repeat(TEXT_BYTES_MAX)
    );
    assert_eq!(refusals(&big), ["too_large 1:1"]);
    let half = format!(
        "type: System\nname: A\ndescription: {}\n",
        "x".repeat(TEXT_BYTES_MAX / 2)
    );
    assert!(Workspace::default().plan(&half).is_ok());
    let errors = Workspace::default()
        .plan_many(&[("a", &half), ("b", &half)])
        .unwrap_err();
    assert_eq!(
        (errors[0].file.as_str(), errors[0].code.as_str()),
        ("b", "too_large")
    );

    let documents = |count: usize| -> String {
        (0..count)
            .map(|number| format!("---\ntype: System\nname: s{number}\n"))
            .collect()
    };
    assert!(Workspace::default().plan(&documents(DOCUMENTS_MAX)).is_ok());
    assert_eq!(refusals(&documents(DOCUMENTS_MAX + 1)), ["too_large 1:1"]);
}

#[test]
fn errors_are_json_for_machines() {
    let error = refusal("type: System\nname: 5\n");
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "file": "shop.yaml", "document": 1, "line": 2, "column": 7, "field": "name",
            "code": "wrong_type", "message": "expected text, got number `5`",
            "hint": "put it in quotes: \"5\"",
        })
    );
    assert!(code::ALL.contains(&error.code.as_str()));
}

#[test]
fn hostile_numbers_of_errors_stay_bounded() {
    let fields: String = (0..100_000)
        .map(|number| format!("x{number}: 1\n"))
        .collect();
    let errors = Workspace::default().refused(&format!("type: System\nname: A\n{fields}"));
    assert_eq!(
        errors[100].message,
        "and at least 900 more errors after this one"
    );

    let repeats = "a: 1\n".repeat(100_000);
    let errors = Workspace::default().refused(&repeats);
    assert_eq!(errors.len(), 101);

    let keys = "? []\n: 1\n".repeat(50_000);
    assert_eq!(Workspace::default().refused(&keys).len(), 101);
}
