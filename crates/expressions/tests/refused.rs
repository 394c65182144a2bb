//! What is refused on write, with place and way out; and texts made to do harm.

mod world;

use stagegate_expressions::cel::{CompileError, Program};
use world::{schema, with_roots};

fn refused(text: &str) -> CompileError {
    match Program::compile(text, &schema()) {
        Ok(_) => panic!("`{text}` compiled"),
        Err(error) => error,
    }
}

#[track_caller]
fn check(text: &str, code: &str, column: u32, fragment: &str, hint: Option<&str>) {
    let error = refused(text);
    assert_eq!(error.code, code, "{text}: {error}");
    assert_eq!((error.line, error.column), (1, column), "{text}: {error}");
    assert_eq!(error.fragment, fragment, "{text}: {error}");
    assert_eq!(error.hint.as_deref(), hint, "{text}: {error}");
}

#[test]
fn misspelt_names_are_refused_with_the_name_that_was_meant() {
    check(
        "resource.knd == 'x'",
        "cel_unknown_field",
        10,
        "knd",
        Some("did you mean `kind`?"),
    );
    check(
        "resource['knd'] == 'x'",
        "cel_unknown_field",
        10,
        "'knd'",
        Some("did you mean `kind`?"),
    );
    check(
        "'é' == 'é' && has(resource.knd)",
        "cel_unknown_field",
        28,
        "knd",
        Some("did you mean `kind`?"),
    );
    check(
        "resurce.kind == 'x'",
        "cel_unknown_root",
        1,
        "resurce",
        Some("did you mean `resource`?"),
    );
    check(
        "[1].all(x, y > 1)",
        "cel_unknown_root",
        12,
        "y",
        Some("known here: `resource`, `result`, `version`"),
    );
    check("resource.kind.x == 1", "cel_unknown_field", 15, "x", None);
    check(
        "resource.metadata.a.b == 1",
        "cel_unknown_field",
        21,
        "b",
        None,
    );
    check(
        "resource.kind.startWith('x')",
        "cel_unknown_function",
        15,
        "startWith",
        Some("did you mean `startsWith`?"),
    );
    check(
        "startsWith(resource.kind, 'x')",
        "cel_unknown_function",
        1,
        "startsWith",
        Some("write `text.startsWith(…)`"),
    );
    check(
        "length(resource.kind) > 1",
        "cel_unknown_function",
        1,
        "length",
        Some("did you mean `size`?"),
    );
    for text in [
        "string(1) == '1'",
        "resource.kind.split('a') == []",
        "type(1) == int",
        "dyn(1) == 1",
        "resource.createdAt.getFullYear() == 1",
    ] {
        assert_eq!(refused(text).code, "cel_unknown_function", "{text}");
    }
}

#[test]
fn open_places_take_any_name() {
    for text in [
        "resource.metadata[\"any\"] == 'x'",
        "resource.config.a.b == 1",
        "result.x[0].y == 1",
        "resource[resource.kind] == 1",
    ] {
        assert!(Program::compile(text, &schema()).is_ok(), "{text}");
    }
}

#[test]
fn literals_are_checked_on_write() {
    check(
        "resource.kind.matches('(a')",
        "cel_bad_regex",
        23,
        "'(a'",
        None,
    );
    assert!(
        refused("resource.kind.matches('(a')")
            .message
            .contains("unclosed group")
    );
    assert!(
        refused("resource.kind.matches('a{1000}{1000}')")
            .message
            .contains("too large")
    );
    assert_eq!(
        refused(&format!("resource.kind.matches('{}')", "a".repeat(1025))).code,
        "cel_bad_regex"
    );
    assert_eq!(refused("resource.kind.matches(1)").code, "cel_bad_regex");
    check(
        "timestamp('yesterday') < timestamp(0)",
        "cel_bad_time",
        11,
        "'yesterday'",
        None,
    );
    check(
        "duration('1d') > duration('1h')",
        "cel_bad_time",
        10,
        "'1d'",
        None,
    );
}

#[test]
fn what_is_not_available_is_refused() {
    for text in ["b'a' == b'a'", "Foo{a: 1} == 1", "a.b.Foo{} == 1"] {
        assert_eq!(refused(text).code, "cel_unsupported", "{text}");
    }
    for text in [
        "resource.?kind == 1",
        "[?1] == []",
        "resource.`kind` == 'x'",
    ] {
        assert_eq!(refused(text).code, "cel_syntax", "{text}");
    }
    for text in [
        "size() == 1",
        "size(1, 2) == 1",
        "resource.kind.startsWith() == true",
        "[1].all(x)",
        "[1].all(x, y, z)",
        "[1].all(1, true)",
        "has(resource)",
        "has(1 + 1)",
        "'a'.lowerAscii('b') == 'a'",
    ] {
        assert_eq!(refused(text).code, "cel_arguments", "{text}");
    }
}

#[test]
fn comprehensions_nest_twice_and_no_deeper() {
    let nested = |n: usize| format!("{}true{}", "[1].all(x, ".repeat(n), ")".repeat(n));
    assert!(Program::compile(&nested(2), &schema()).is_ok());
    assert_eq!(refused(&nested(3)).code, "cel_comprehension_depth");
    // One after the other is not nesting.
    assert!(
        Program::compile(
            "[1].map(a, a).map(b, b).map(c, c).map(d, d) == [1]",
            &schema()
        )
        .is_ok()
    );
}

#[test]
fn a_condition_must_be_able_to_be_true() {
    let refused = |text| Program::compile_condition(text, &schema()).unwrap_err();
    for text in [
        "'x'",
        "1 + 1",
        "size(resource.kind)",
        "[true]",
        "true ? 1 : 2",
        "result.x.map(y, y)",
    ] {
        assert_eq!(refused(text).code, "cel_not_bool", "{text}");
    }
    assert_eq!(
        (refused("  'x' ").column, refused("  'x' ").fragment),
        (3, "'x'".to_owned())
    );
    for text in [
        "true",
        "resource.kind == 'x'",
        "result.ok",
        "result.ok ? true : 1",
        "result.x.filter(y, y) == []",
    ] {
        assert!(
            Program::compile_condition(text, &schema()).is_ok(),
            "{text}"
        );
    }
}

#[test]
fn messages_read_well() {
    assert_eq!(
        refused("resource.knd == 'x'").to_string(),
        "`resource` has no field `knd` (line 1, column 10); did you mean `kind`?"
    );
    assert_eq!(
        refused("resource.kind ==").to_string(),
        "the expression ends too early (line 1, column 17)"
    );
    let error = refused("true &&\n  resource.kind = 'x'");
    assert_eq!((error.line, error.column), (2, 17));
    assert_eq!(
        error.to_string(),
        "unexpected `=` (line 2, column 17); write `==` to compare"
    );
}

/// Texts made to overflow a stack or to take for ever; each ends in an error or in a value.
#[test]
fn hostile_texts_never_end_the_process() {
    let nest =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let mut texts = vec![
        vec!["true"; 10_000].join(" && "),
        vec!["true"; 500].join("&&"),
        vec!["true"; 400].join("||"),
        vec!["resource.config.a"; 200].join("&&"),
        vec!["1"; 3_000].join("+"),
        vec!["1"; 60].join("+"),
        vec!["1"; 1_000].join("=="),
        vec!["1"; 60].join("=="),
        format!("resource{}", ".a".repeat(2_000)),
        format!("result{}", ".a".repeat(60)),
        format!("result{}", "[0]".repeat(60)),
        format!("result{}", ".size()".repeat(30)),
        "true ? ".repeat(500) + "1",
        "true ? 1 : ".repeat(300) + "1",
        "true ? 1 : ".repeat(23) + "1",
        format!("{}true{}", "true ? ".repeat(23), " : 1".repeat(23)),
        "a?".repeat(2_000),
        "!".repeat(4_000) + "true",
        "!".repeat(60) + "true",
        "-".repeat(4_000) + "1",
        "- ".repeat(60) + "1",
        "-(".repeat(22) + "1" + &")".repeat(22),
        "!(".repeat(22) + "true" + &")".repeat(22),
        format!("\"{}\" == ''", "x".repeat(4_000)),
        format!("\"{}\" == ''", "x".repeat(1_000_000)),
        format!("'{}' == ''", "\\n".repeat(2_000)),
        format!("[{}] == []", vec!["1"; 1_500].join(",")),
        format!("{{{}}} == {{}}", vec!["1:1"; 900].join(",")),
        "\0".to_owned(),
        "true\0".to_owned(),
        "'\0' == ''".to_owned(),
        "\u{202e}true".to_owned(),
        "😀 == 1".to_owned(),
        "'😀' == '😀'".to_owned(),
        "ﬀ".repeat(1_000),
        "\u{feff}true".to_owned(),
        "'\\".to_owned(),
        "'''".to_owned(),
        "//".to_owned(),
        "((((((((((((((((((((((((((".to_owned(),
        "]]]]]".to_owned(),
        "&&&&&&".to_owned(),
        "1 1 1 1 1 ".repeat(300),
        "a b ".repeat(1_000),
        "( ".repeat(24) + &") ".repeat(24),
        ",".repeat(4_000),
        ": ? ".repeat(20),
        ".".repeat(4_000),
        "e1.".repeat(30),
        "1e999 == 1".to_owned(),
        "1..2".to_owned(),
        "0x == 1".to_owned(),
        "[1].all(x, [1].all(x, [1].all(x, [1].all(x, [1].all(x, true)))))".to_owned(),
        "in in in".to_owned(),
        "true in".to_owned(),
        "has(has(has(1)))".to_owned(),
        "f(".repeat(23) + "1" + &")".repeat(23),
    ];
    for n in [16, 23, 24, 25, 100, 1_500] {
        texts.push(nest("(", ")", n));
        texts.push(nest("[", "]", n));
        texts.push(nest("{1:", "}", n));
        texts.push(nest("size(", ")", n));
        texts.push(nest("!(1+", ")", n));
        texts.push(nest("[1,2][", "]", n));
        texts.push(nest("1+1+1+1+(", ")", n));
        texts.push(nest("true?1:(", ")", n));
    }
    // A small stack, as a caller's thread may have.
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || {
            for text in texts {
                if let Ok(program) = Program::compile(&text, &schema()) {
                    with_roots(&serde_json::json!({}), |roots| {
                        let _ = program.eval(roots);
                        let _ = program.eval_value(roots);
                    });
                    drop(program);
                }
            }
        })
        .expect("a thread")
        .join()
        .expect("no panic");
}
