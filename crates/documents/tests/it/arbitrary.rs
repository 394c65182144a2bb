//! No text makes it panic, whatever is in it; and what is refused is refused with a place.

use crate::workspace::Workspace;
use proptest::prelude::*;
use stagegate_documents::code;

const EXAMPLE: &str = include_str!("example.yaml");

fn check(text: &str) {
    let lines = text
        .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .count();
    match Workspace::default().plan(text) {
        Ok(plan) => {
            let mut workspace = Workspace::default();
            workspace.put(&plan.changes);
            let mut rejection = stagegate_model::Rejection::invalid("c", text);
            rejection.field = text.to_owned();
            rejection.change = Some(text.len() % 7);
            assert!(plan.locate(&rejection).line <= lines + 1);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.line >= 1 && error.column >= 1, "{error:?}");
                assert!(error.line <= lines + 1, "{error:?}");
                assert!(code::ALL.contains(&error.code.as_str()), "{error:?}");
                assert!(!error.message.contains('\n'), "{error:?}");
            }
        }
    }
}

/// Pieces of documents in any order come closer to the interesting than letters do.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "type: Policy\n",
        "type: Deployment\n",
        "type: Resource\n",
        "type: System\n",
        "name: A\n",
        "name: ",
        "rules:\n",
        "  - ",
        "- ",
        "anyApproval: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "\n",
        "\n---\n",
        "...\n",
        "&a ",
        "*a",
        "!!str ",
        "! ",
        "? ",
        "|\n",
        ">-\n",
        "  ",
        "\t",
        "\"",
        "'",
        "# ",
        "\\",
        "%YAML 1.2\n",
        "selectors: ",
        "environment: ",
        "a) || (b",
        "replaces: [A]\n",
        "system: A\n",
        "jobAgent: ",
        "metadata: ",
        "<<",
        "1",
        "~",
        "true",
        "\u{feff}",
        "\u{85}",
        "é",
        "\r",
        "\0",
        "id: ",
        "systems: ",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text_is_planned_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_pieces_are_planned_or_refused(text in pieces()) {
        check(&text);
    }

    #[test]
    fn the_example_with_a_piece_put_anywhere_is_planned_or_refused(
        piece in pieces(),
        at in 0..EXAMPLE.len(),
        cut in 0..60_usize,
    ) {
        let end = (at + cut).min(EXAMPLE.len());
        if let (Some(before), Some(after)) = (EXAMPLE.get(..at), EXAMPLE.get(end..)) {
            check(&format!("{before}{piece}{after}"));
        }
    }
}
