//! YAML itself: syntax errors, keys, aliases, tags.

use crate::workspace::{Workspace, refusal, refusals};
use serde_json::json;

fn config(yaml: &str) -> serde_json::Value {
    let mut workspace = Workspace::default();
    workspace.apply(&format!(
        "type: JobAgent\nname: A\nagentType: exec\nconfig:\n{yaml}\n"
    ));
    workspace.agents[0].config.clone()
}

fn config_refusals(yaml: &str) -> Vec<String> {
    refusals(&format!(
        "type: JobAgent\nname: A\nagentType: exec\nconfig:\n{yaml}\n"
    ))
}

#[test]
fn a_syntax_error_says_where_and_spares_the_other_documents() {
    let text = "type: System\nname: \"A\n---\ntype: System\nname: B\nnope: 1\n---\ntype: System\n name: C\n";
    let errors = Workspace::default().refused(text);
    let codes: Vec<_> = errors
        .iter()
        .map(|it| (it.code.as_str(), it.document))
        .collect();
    assert_eq!(
        codes,
        [("yaml_syntax", 1), ("unknown_field", 2), ("yaml_syntax", 3)]
    );
    assert!(
        errors[0].message.starts_with("not valid YAML: "),
        "{}",
        errors[0].message
    );
    assert_eq!(errors[2].line, 9);
}

#[test]
fn tabs_that_indent_are_refused() {
    assert_eq!(
        refusals("type: System\nname: A\nmetadata:\n\ta: b\n")[0]
            .split(' ')
            .next(),
        Some("yaml_syntax")
    );
}

#[test]
fn a_key_may_stand_once() {
    let error = refusal("type: System\nname: A\nname: B\n");
    assert_eq!(
        error.to_string(),
        "shop.yaml:3:1: name: key `name` stands here for the second time; the first is on line 2\n  \
         hint: remove one of them"
    );
    assert_eq!(error.code, "duplicate_key");
    assert_eq!(
        config_refusals("  a: [{b: 1, \"b\": 2}]"),
        ["duplicate_key 5:14 config.a[0].b"]
    );
}

#[test]
fn words_of_yaml_1_1_stay_text() {
    assert_eq!(
        config("  on: yes\n  off: No\n  date: 2026-01-31\n  time: 1:30\n  mode: 0755\n  v: 1.2.3"),
        json!({"on": "yes", "off": "No", "date": "2026-01-31", "time": "1:30", "mode": 755, "v": "1.2.3"})
    );
}

#[test]
fn keys_are_text() {
    assert_eq!(
        config("  1: a\n  true: b\n  '': c"),
        json!({"1": "a", "true": "b", "": "c"})
    );
    assert_eq!(
        config_refusals("  ? [a]\n  : b"),
        ["yaml_syntax 5:5 config"]
    );
    // A template without quotes is a mapping with a mapping for a key.
    assert_eq!(
        config_refusals("  a: {{ b }}")[0].split(' ').next(),
        Some("yaml_syntax")
    );
}

#[test]
fn aliases_are_copies() {
    assert_eq!(
        config("  a: &x {b: [1]}\n  c: *x\n  d: [*x, *x]"),
        json!({"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, {"b": [1]}]})
    );
    assert_eq!(
        config_refusals("  a: *nothing")[0].split(' ').next(),
        Some("yaml_syntax")
    );
    assert_eq!(
        config_refusals("  a: &x [*x]"),
        ["yaml_syntax 5:10 config.a[0]"]
    );
    assert_eq!(config_refusals("  <<: {a: b}"), ["yaml_syntax 5:3 config"]);
    assert_eq!(config("  '<<': 1"), json!({"<<": 1}));
}

#[test]
fn alias_bombs_are_refused() {
    let mut wide = "  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        wide.push_str(&format!(
            "  a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}]\n"
        ));
    }
    assert!(
        config_refusals(&wide)[0].starts_with("too_large "),
        "{:?}",
        config_refusals(&wide)
    );

    let mut deep = "  a0: &a0 [x]\n".to_owned();
    for level in 1..1000 {
        deep.push_str(&format!("  a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let errors = Workspace::default().refused(&format!("type: JobAgent\nname: A\nconfig:\n{deep}"));
    assert_eq!(errors[0].message, "nested deeper than 160 levels");

    let long = format!(
        "  a: &a {}\n  b: [{}]\n",
        "x".repeat(100_000),
        "*a,".repeat(1000)
    );
    assert!(config_refusals(&long)[0].starts_with("too_large "));
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(50_000),
        "- ".repeat(100_000),
    ] {
        let errors = Workspace::default().refused(&text);
        assert!(
            ["too_large", "yaml_syntax"].contains(&errors[0].code.as_str()),
            "{errors:?}"
        );
    }
    let levels = |count: usize| format!("  a: {}{}", "[".repeat(count), "]".repeat(count));
    config(&levels(120));
    assert!(!config_refusals(&levels(200)).is_empty());
}

#[test]
fn too_many_values_are_refused() {
    let text = format!("type: Policy\nname: A\nrules: [{}]\n", "1,".repeat(600_000));
    assert!(refusals(&text)[0].starts_with("too_large "));
}

#[test]
fn tags_of_the_core_schema_are_understood() {
    assert_eq!(
        config(
            "  a: !!str 5\n  b: !!int \"7\"\n  c: ! 9\n  d: !!map {}\n  e: !!seq []\n  f: !!float 1.5\n  g: !!bool true\n  h: !!null ~"
        ),
        json!({"a": "5", "b": 7, "c": "9", "d": {}, "e": [], "f": 1.5, "g": true, "h": null})
    );
    for wrong in [
        "!secret x",
        "!!binary aGk=",
        "!!int x",
        "!!map []",
        "!!str {}",
        "!!bool yes",
    ] {
        assert_eq!(
            config_refusals(&format!("  a: {wrong}"))[0]
                .split(' ')
                .next(),
            Some("yaml_syntax"),
            "{wrong}"
        );
    }
}

#[test]
fn texts_of_several_lines_keep_them() {
    assert_eq!(
        config("  a: |\n    x\n      y\n\n    z\n  b: >-\n    x\n    y"),
        json!({"a": "x\n  y\n\nz\n", "b": "x y"})
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        refusals("{type: Policy, name: äöü, x: 1}\n"),
        ["unknown_field 1:27 x"]
    );
    assert_eq!(
        refusals("type: System\r\nname: A\r\nx: 1\r\n"),
        ["unknown_field 3:1 x"]
    );
}
