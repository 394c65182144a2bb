//! What CEL expressions mean over the caller's own structs and JSON.

mod world;

use serde_json::{Value, json};
use stagegate_expressions::cel::{COST_MAX, Program};
use world::{schema, with_roots};

fn program(text: &str) -> Program {
    Program::compile(text, &schema()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn result() -> Value {
    json!({"value": 3, "half": 2.5, "items": [1, 2, 3], "rows": [{"ok": true}, {"ok": false}, {}], "when": "2026-01-31T12:00:00Z"})
}

/// `true`, `false`, or the code of the error.
fn outcome(text: &str) -> String {
    with_roots(&result(), |roots| match program(text).eval(roots) {
        Ok(value) => value.to_string(),
        Err(error) => error.code.to_owned(),
    })
}

fn value(text: &str) -> Value {
    with_roots(&result(), |roots| {
        program(text)
            .eval_value(roots)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    })
}

#[track_caller]
fn all(expected: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(outcome(text), expected, "{text}");
    }
}

#[test]
fn fields_of_structs_maps_and_json_are_read_in_place() {
    all(
        "true",
        &[
            r#"resource.kind == "kubernetes""#,
            r#"resource["kind"] == 'kubernetes'"#,
            r#"resource.name == "kubernetes-1""#,
            r#"resource.metadata["env"] == "prod" && resource.metadata.env != "dev""#,
            r#"resource.metadata["app/name"] in ["shop", "till"]"#,
            r#"resource.config.nested.one["two"] == "deep""#,
            "resource.config.zones[1] == 'b'",
            "resource.config.tls",
            "resource.config.none == null",
            "resource.provider == null",
            "resource.replicas == 3 && resource.replicas >= 2u && resource.replicas < 3.5",
            "resource.config.big > 9223372036854775807",
            "'env' in resource.metadata",
            "'host' in resource.config && !('x' in resource.config)",
            "size(resource.metadata) == 2 && resource.config.zones.size() == 3",
            "resource.metadata == {'env': 'prod', 'app/name': 'shop'}",
            "resource.metadata != {'env': 'prod', 'app': 'shop'}",
            "resource.config.nested == {'one': {'two': 'deep'}}",
            "result.items == [1, 2.0, 3u]",
            ".resource.kind == 'kubernetes'",
        ],
    );
}

#[test]
fn missing_data_makes_the_selector_false() {
    all(
        "false",
        &[
            "resource.metadata.none == 'x'",
            "resource.metadata.none != 'x'",
            "!(resource.metadata.none == 'x')",
            "resource.config.a.b.c == 1",
            "resource.config.none.a == 1",
            "resource.provider.name == 'x'",
            "resource.metadata['a' + 'b'] == 'x'",
            "version.tag == 'v1'",
            "resource.config.nested[1] == 2",
            "resource.metadata.none",
            "{'a': 1}['b'] == 1",
            "resource.metadata.none.startsWith('x')",
            "[resource.metadata.none] == ['x']",
            "result.rows[2].ok ? true : true",
            "has(resource.config.a.b)",
            "!has(resource.config.a.b)",
        ],
    );
}

#[test]
fn boolean_operators_absorb_missing_data_first() {
    all(
        "true",
        &[
            "resource.metadata.none == 'x' || true",
            "true || resource.metadata.none == 'x'",
            "!(resource.metadata.none == 'x' && false)",
            "!(false && resource.metadata.none == 'x')",
            "result.rows.exists(row, row.ok)",
            "!result.rows.all(row, row.ok)",
            "!has(resource.config.a) && has(resource.config.host) && has(resource.metadata.env)",
            "has(resource.config['host'])",
        ],
    );
    all(
        "false",
        &[
            "resource.metadata.none == 'x' || false",
            "result.rows.all(row, row.ok || true) && result.rows.exists(row, row.no)",
            "[{'ok': true}, {}].all(row, row.ok)",
            "result.rows.filter(row, row.ok).size() == 1",
            "result.rows.exists_one(row, row.ok)",
        ],
    );
}

#[test]
fn any_other_trouble_is_an_error_unless_absorbed() {
    all(
        "cel_type",
        &[
            "resource.kind > 1",
            "resource.kind + 1 == 'x'",
            "resource.kind && true",
            "true && 1",
            "false || 'x'",
            "!resource.kind",
            "-resource.kind == 1",
            "resource.kind ? true : false",
            "resource.replicas.startsWith('3')",
            "resource.kind.startsWith(3)",
            "resource.kind in 'kubernetes'",
            "resource.kind.all(x, true)",
            "result.items.filter(x, 1) == []",
            "size(3) == 1",
            "result.value.x == 1",
            "result.when < timestamp('2027-01-01T00:00:00Z')",
            "{1.5: 1} == {}",
            "{'a': 1, 'a': 2} == {}",
            "result.half % 2 == 1",
            "result.items['a'] == 1",
            "timestamp(result.half) == timestamp(0)",
        ],
    );
    all(
        "cel_not_bool",
        &["result.value", "resource.kind", "result.items.map(x, x)"],
    );
    all(
        "cel_overflow",
        &[
            "9223372036854775807 + result.value > 0",
            "9223372036854775807 * 9223372036854775807 > 0",
            "2u - 3u == 0u",
            "timestamp('9999-12-31T00:00:00Z') + duration('48h') > timestamp(0)",
        ],
    );
    all(
        "cel_division_by_zero",
        &["1 / 0 == 1", "result.value % 0 == 1"],
    );
    all(
        "cel_index",
        &[
            "result.items[3] == 1",
            "result.items[-1] == 1",
            "result.items[0.5] == 1",
        ],
    );
    all(
        "cel_bad_time",
        &[
            "timestamp(resource.kind) > timestamp(0)",
            "duration(resource.kind) > duration('0')",
        ],
    );
    all(
        "true",
        &[
            "resource.kind > 1 || true",
            "!(1 / 0 == 1 && false)",
            "[1, 'a'].exists(x, x < 2)",
        ],
    );
    all(
        "false",
        &["resource.kind > 1 && false", "['a', 3].all(x, x < 2)"],
    );
    // An error that nothing absorbs stays one, whatever is missing beside it.
    all(
        "cel_type",
        &["resource.metadata.none == 'x' || resource.kind > 1"],
    );
    all(
        "false",
        &["resource.kind > 1 && resource.metadata.none == 'x'"],
    );
}

#[test]
fn a_type_error_on_a_path_names_the_path() {
    let message = with_roots(&result(), |roots| {
        program("result.value.deep.x == 1")
            .eval(roots)
            .unwrap_err()
            .message
    });
    assert_eq!(
        message,
        "`result.value`: an int has no fields, so no `deep`"
    );
}

#[test]
fn text_functions() {
    all(
        "true",
        &[
            "resource.kind.startsWith('kube') && resource.kind.endsWith('etes') && resource.kind.contains('ber')",
            "resource.kind.matches('^k.*s$') && matches(resource.kind, 'net')",
            "!resource.kind.matches('^net')",
            "resource.kind.matches(resource.metadata.env + '|kube')",
            "resource.kind.upperAscii() == 'KUBERNETES' && 'ÄBC'.lowerAscii() == 'Äbc'",
            "'πέντε'.size() == 5 && size('') == 0",
            "'a' < 'b' && 'a' + 'b' == 'ab'",
            r#"'\u00e9\n' == '''é
'''"#,
        ],
    );
    all(
        "cel_bad_regex",
        &["resource.kind.matches('(' + resource.kind)"],
    );
}

#[test]
fn numbers_work_across_their_types() {
    all(
        "true",
        &[
            "1 == 1.0 && 1u == 1 && 1.0 == 1u && 1 < 1.5 && 2u > 1.5 && -1 < 1u",
            "9007199254740993 != 9007199254740992.0",
            "result.value * 1.5 == 4.5 && result.half + 1 == 3.5 && resource.replicas + 1 == 4",
            "7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 7.0 / 2 == 3.5",
            "1.0 / 0.0 > 1.0 && !(0.0 / 0.0 == 0.0 / 0.0) && !(0.0 / 0.0 < 1.0)",
            "-result.value == -3 && - -3 == 3 && !!true",
            "1 in [1.0] && 2 in {2u: 'x'} && !('1' in [1])",
            "result.items[1.0] == 2 && result.items[1u] == 2",
            "1 != '1' && !(null == false) && [] != {}",
            "-9223372036854775808 < 0 && 0x10 == 16",
            "false < true",
        ],
    );
}

#[test]
fn times() {
    all(
        "true",
        &[
            "resource.createdAt == timestamp('2026-01-31T12:00:00Z')",
            "resource.createdAt < timestamp('2026-01-31T13:30:00+01:00')",
            "timestamp(result.when) == resource.createdAt",
            "timestamp('2026-02-01T00:00:00Z') - resource.createdAt == duration('12h')",
            "resource.createdAt + duration('30m') > resource.createdAt - duration('1s')",
            "duration('90s') == duration('1m30s') && duration('1h') + duration('1h') - duration('2h') == duration('0')",
            "timestamp(0) == timestamp('1970-01-01T00:00:00Z')",
            "timestamp(resource.createdAt) == resource.createdAt",
        ],
    );
}

#[test]
fn comprehensions() {
    all(
        "true",
        &[
            "result.items.all(x, x > 0) && !result.items.all(x, x > 1)",
            "result.items.exists(x, x == 2) && result.items.exists_one(x, x > 2) && !result.items.exists_one(x, x > 1)",
            "result.items.filter(x, x % 2 == 1) == [1, 3]",
            "result.items.map(x, x * 2) == [2, 4, 6] && result.items.map(x, x > 1, x * 2) == [4, 6]",
            "resource.metadata.map(k, resource.metadata[k]) == ['shop', 'prod']",
            "{'b': 1, 'a': 2}.exists(k, k == 'a')",
            "[[1, 2], [3]].map(row, row.map(x, x + row[0])) == [[2, 3], [6]]",
            "[1].map(x, [2].map(x, x)) == [[2]]",
            "[].all(x, x) && ![].exists(x, x)",
            // After an error inside, the outer variable is still the outer's.
            "[1, 2].exists(x, [1, 'a'].all(y, y > 0) || x == 2)",
            "result.items.filter(x, x > 1).map(y, y + 1) == [3, 4]",
        ],
    );
}

#[test]
fn values_come_out_as_json() {
    assert_eq!(
        value("resource.kind + '-' + resource.metadata.env"),
        json!("kubernetes-prod")
    );
    assert_eq!(
        value("resource.config.nested"),
        json!({"one": {"two": "deep"}})
    );
    assert_eq!(
        value("[1, 2u, 0.5, null, true]"),
        json!([1, 2, 0.5, null, true])
    );
    assert_eq!(
        value("{'a': resource.metadata, 1: 'x'}"),
        json!({"a": {"app/name": "shop", "env": "prod"}, "1": "x"})
    );
    assert_eq!(value("resource.createdAt"), json!("2026-01-31T12:00:00Z"));
    assert_eq!(value("duration('90m')"), json!("5400s"));
    assert_eq!(value("resource.config.big"), json!(u64::MAX));
    assert_eq!(
        value("resource.replicas > 2 ? 'big' : 'small'"),
        json!("big")
    );
    with_roots(&result(), |roots| {
        let missing = program("resource.metadata['app/nam']")
            .eval_value(roots)
            .unwrap_err();
        assert_eq!(missing.code, "cel_missing");
        assert_eq!(
            missing.message,
            r#"`resource.metadata["app/nam"]` does not exist"#
        );
        assert_eq!(
            program("1.0 / 0.0").eval_value(roots).unwrap_err().code,
            "cel_type"
        );
    });
}

#[test]
fn an_answer_tells_what_was_missing() {
    with_roots(&result(), |roots| {
        let answer = program("resource.config.nested.two.x == 1")
            .eval_explained(roots)
            .unwrap();
        assert!(!answer.value);
        assert_eq!(answer.missing.unwrap(), "resource.config.nested.two");
        let answer = program("resource.kind == 'x'")
            .eval_explained(roots)
            .unwrap();
        assert_eq!((answer.value, answer.missing), (false, None));
    });
}

#[test]
fn the_cost_is_bounded_and_never_absorbed() {
    let many = json!({"items": (0..1_000).collect::<Vec<_>>(), "text": "x".repeat(10_000_000)});
    for text in [
        "result.items.all(x, result.items.all(y, x >= 0 && y >= 0))",
        "result.items.all(x, result.items.all(y, x >= 0 && y >= 0)) || true",
        "false && true || result.items.exists(x, result.items.exists(y, x + y < 0))",
        "result.text.contains('y')",
        "result.text == result.text",
        "result.items.map(x, result.items).map(y, y.size()) == result.items.map(x, result.items.map(y, y + x))",
        "result.items.all(x, 'a'.matches(result.items.size() > 0 ? 'a' : 'b'))",
    ] {
        let error = with_roots(&many, |roots| program(text).eval(roots)).unwrap_err();
        assert_eq!(error.code, "cel_cost", "{text}");
        assert!(error.message.contains(&COST_MAX.to_string()));
    }
    with_roots(&many, |roots| {
        assert!(program("result.items.all(x, x >= 0)").eval(roots).unwrap());
    });
}

#[test]
fn programs_tell_their_text_roots_and_conjuncts() {
    let text = r#"resource.kind == "a" && (version.tag == "v1" && (result.x || resource.name == 'b')) && 'é' in ["é"]"#;
    let whole = program(text);
    assert_eq!(whole.text(), text);
    assert_eq!(
        whole.roots().into_iter().collect::<Vec<_>>(),
        ["resource", "result", "version"]
    );
    let conjuncts = whole.conjuncts();
    let told: Vec<(String, Vec<&str>)> = conjuncts
        .iter()
        .map(|part| (part.text().to_owned(), part.roots().into_iter().collect()))
        .collect();
    assert_eq!(
        told,
        [
            (r#"resource.kind == "a""#.to_owned(), vec!["resource"]),
            (r#"version.tag == "v1""#.to_owned(), vec!["version"]),
            (
                "result.x || resource.name == 'b'".to_owned(),
                vec!["resource", "result"]
            ),
            (r#"'é' in ["é"]"#.to_owned(), vec![]),
        ]
    );
    let single = program("resource.kind == 'a' || true");
    assert_eq!(single.conjuncts().len(), 1);
    assert_eq!(single.conjuncts()[0].text(), single.text());
}

#[test]
fn equalities_for_the_index_are_in_one_spelling() {
    let found = program(
        r#"resource.metadata["env"] == "prod" && ("x" == resource.metadata.env) && resource.metadata["app/name"] == "shop"
           && resource.kind != "a" && resource.replicas == 3 && (resource.kind == "b" || true) && version.tag == 'v1'"#,
    )
    .equalities();
    let told: Vec<(&str, &str)> = found.iter().map(|e| (&*e.path, &*e.value)).collect();
    assert_eq!(
        told,
        [
            ("resource.metadata.env", "prod"),
            ("resource.metadata.env", "x"),
            ("resource.metadata[\"app/name\"]", "shop"),
            ("version.tag", "v1"),
        ]
    );
    assert_eq!(found[2].steps, ["resource", "metadata", "app/name"]);
    assert!(program("resource.kind == 'a'").as_equality().is_some());
    assert!(
        program("resource.kind == 'a' && true")
            .as_equality()
            .is_none()
    );
    assert!(
        program("resource.kind == 'a' || true")
            .as_equality()
            .is_none()
    );
}

#[test]
fn programs_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>(_: &T) {}
    let program = program("resource.kind == 'a'");
    shared(&program);
    assert_eq!(format!("{program:?}"), "Program(\"resource.kind == 'a'\")");
    assert_eq!(program.to_string(), "resource.kind == 'a'");
}
