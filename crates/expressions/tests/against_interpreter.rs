//! Our evaluator agrees with the `cel` crate's own interpreter on generated expressions.
//!
//! Where semantics differ on purpose (missing data, arithmetic across number
//! types, null), the generator does not go.

use std::collections::HashMap;

use cel::{Context, Value as Theirs};
use proptest::prelude::*;
use serde_json::{Value, json};
use stagegate_expressions::cel::Program;
use stagegate_expressions::{Roots, Schema, Shape, View};

fn data() -> Value {
    json!({"s": "abc", "t": "Abc-1", "n": 2, "m": -7, "d": 1.5, "yes": true, "no": false, "list": [1, 2, 3], "words": ["a", "abc"], "map": {"a": "x", "b": "y"}})
}

/// Numbers of one type.
fn int(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("r.n".to_owned()),
        Just("r.m".to_owned()),
        Just("9223372036854775807".to_owned()),
        (-3_i64..4).prop_map(|n| n.to_string()),
        text(0).prop_map(|s| format!("size({s})")),
        Just("size(r.list)".to_owned()),
        Just("r.list[r.n]".to_owned()),
        Just("r.list[3]".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        2 => leaf,
        3 => (int(depth - 1), "[-+*/%]", int(depth - 1)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => int(depth - 1).prop_map(|a| format!("-({a})")),
        1 => (boolean(depth - 1), int(depth - 1), int(depth - 1)).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
    ]
    .boxed()
}

fn text(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("r.s".to_owned()),
        Just("r.t".to_owned()),
        Just("r.map['a']".to_owned()),
        "[a-cA1é]{0,4}".prop_map(|s| format!("'{s}'")),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        2 => leaf,
        1 => (text(depth - 1), text(depth - 1)).prop_map(|(a, b)| format!("({a} + {b})")),
    ]
    .boxed()
}

fn list(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("r.list".to_owned()),
        Just("r.words".to_owned()),
        Just("[]".to_owned()),
        prop::collection::vec(int(0), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        2 => leaf,
        1 => (list(depth - 1), list(depth - 1)).prop_map(|(a, b)| format!("({a} + {b})")),
        1 => (list(0), boolean(0)).prop_map(|(a, b)| format!("{a}.filter(x, {b} || x == 2)")),
        1 => (list(0), int(0)).prop_map(|(a, b)| format!("{a}.map(x, x + {b})")),
    ]
    .boxed()
}

fn boolean(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("r.yes".to_owned()),
        Just("r.no".to_owned()),
        Just("has(r.s)".to_owned()),
        Just("has(r.absent)".to_owned()),
        Just("'b' in r.map".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let order = "(==|!=|<|<=|>|>=)";
    let smaller = depth - 1;
    prop_oneof![
        2 => leaf,
        4 => (boolean(smaller), "(&&|\\|\\|)", boolean(smaller)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        2 => (boolean(smaller), "(&&|\\|\\|)", boolean(smaller), boolean(smaller)).prop_map(|(a, op, b, c)| format!("({a} {op} {b} {op} {c})")),
        1 => boolean(smaller).prop_map(|a| format!("!{a}")),
        3 => (int(smaller), order, int(smaller)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        3 => (text(smaller), order, text(smaller)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        // Other types: unequal, and an error to order.
        1 => (text(0), order, int(0)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (list(1), "(==|!=)", list(1)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (int(0), list(1)).prop_map(|(a, b)| format!("({a} in {b})")),
        1 => (text(0), list(0)).prop_map(|(a, b)| format!("({a} in {b})")),
        2 => (text(smaller), "(startsWith|endsWith|contains)", text(0)).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        1 => (text(smaller), "\\^?[a-c]{1,2}\\$?").prop_map(|(a, p)| format!("{a}.matches('{p}')")),
        2 => (list(0), "(all|exists)", int(0), order).prop_map(|(a, f, b, op)| format!("{a}.{f}(x, x {op} {b})")),
        1 => (list(0), int(0)).prop_map(|(a, b)| format!("{a}.exists_one(x, x == {b})")),
        1 => (int(0), order, Just("r.d")).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
    ]
    .boxed()
}

fn theirs(text: &str) -> Result<bool, String> {
    let program = cel::Program::compile(text).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    let strings =
        |words: &[&str]| Theirs::from(words.iter().map(|w| Theirs::from(*w)).collect::<Vec<_>>());
    let record: HashMap<String, Theirs> = [
        ("s", Theirs::from("abc")),
        ("t", Theirs::from("Abc-1")),
        ("n", Theirs::from(2_i64)),
        ("m", Theirs::from(-7_i64)),
        ("d", Theirs::from(1.5)),
        ("yes", Theirs::from(true)),
        ("no", Theirs::from(false)),
        (
            "list",
            Theirs::from(vec![
                Theirs::from(1_i64),
                Theirs::from(2_i64),
                Theirs::from(3_i64),
            ]),
        ),
        ("words", strings(&["a", "abc"])),
        (
            "map",
            Theirs::from(HashMap::from([
                ("a".to_owned(), Theirs::from("x")),
                ("b".to_owned(), Theirs::from("y")),
            ])),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    context.add_variable_from_value("r", record);
    match program.execute(&context) {
        Ok(Theirs::Bool(value)) => Ok(value),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn schema() -> Schema {
    Schema {
        roots: vec![("r", Shape::Any)],
    }
}

/// The interpreter recurses without bound; it gets a stack that fits.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn_scoped(scope, work)
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_give_the_same_answer(text in boolean(3)) {
        let data = data();
        let roots = Roots::new().with("r", View::Json(&data));
        if let Ok(program) = Program::compile(&text, &schema()) {
            let ours = program.eval(&roots);
            let theirs = on_a_large_stack(|| theirs(&text));
            match (&ours, &theirs) {
                (Ok(a), Ok(b)) => prop_assert_eq!(a, b, "{}", text),
                (Err(_), Err(_)) => {}
                _ => prop_assert!(false, "{}: ours {:?}, theirs {:?}", text, ours, theirs),
            }
        }
    }

    /// Conjuncts one by one, with the first false ending it, give what the whole gives.
    #[test]
    fn conjuncts_add_up_to_the_whole(
        terms in prop::collection::vec(
            prop_oneof![boolean(1), Just("r.absent == 1".to_owned()), Just("r.s + 1 == 2".to_owned()), Just("r.s".to_owned())],
            1..5,
        ),
        brackets in any::<bool>(),
    ) {
        let text = if brackets && terms.len() > 2 {
            format!("{} && ({})", terms[0], terms[1..].join(" && "))
        } else {
            terms.join(" && ")
        };
        let data = data();
        let roots = Roots::new().with("r", View::Json(&data));
        let whole = Program::compile(&text, &schema()).expect("it compiles");
        let parts = whole.conjuncts();
        let answers: Vec<_> = parts.iter().map(|part| part.eval(&roots)).collect();
        let folded = if answers.contains(&Ok(false)) {
            Some(false)
        } else if answers.iter().any(Result::is_err) {
            None
        } else {
            Some(true)
        };
        prop_assert_eq!(whole.eval(&roots).ok(), folded, "{}", text);
        for part in &parts {
            let again = Program::compile(part.text(), &schema()).expect("a conjunct's text compiles");
            prop_assert_eq!(again.eval(&roots).ok(), part.eval(&roots).ok(), "{}", part.text());
            prop_assert_eq!(again.roots(), part.roots());
        }
    }

    #[test]
    fn any_text_ends_in_a_program_or_an_error_with_a_place(text in "[a-c.()\\[\\]{}!?:&|<>=+*/%'\" 0-9rx,\n\\\\é-]{0,120}") {
        if let Err(error) = Program::compile(&text, &schema()) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(!error.message.is_empty());
        }
    }
}
