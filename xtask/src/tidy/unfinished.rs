//! What is merged is whole: no macro or comment that says the work is still to be done.

use super::rust_text::RustText;
use super::{Problem, Tree};
use std::path::Path;

const MACROS: &[&str] = &["todo", "unimplemented"];
const WORDS: &[&str] = &["TODO", "FIXME", "XXX"];

/// Every such macro and comment outside tests.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let files = tree.rust_files(&["crates", "xtask"]);
    for file in files.filter(|file| !is_test_file(file)) {
        let text = RustText::read(&tree.text(file).unwrap_or_default());
        let tests = text.test_lines();
        let mut found = |line: usize, what: String| {
            let in_tests = tests
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&line));
            if !in_tests {
                let mend = "finish it, or leave it out and refuse the case with an error";
                problems.push(Problem::new(file, line, what, mend));
            }
        };
        for window in text.tokens.windows(2) {
            let [name, bang] = window else { continue };
            let unfinished = MACROS.iter().find(|word| name.is_word(word));
            if let (Some(word), true) = (unfinished, bang.is_mark('!')) {
                found(name.line, format!("`{word}!` outside tests"));
            }
        }
        for (line, comment) in &text.comments {
            let mut words = comment.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if let Some(word) = words.find(|word| WORDS.contains(word)) {
                found(*line, format!("`{word}` outside tests"));
            }
        }
    }
    problems
}

fn is_test_file(file: &Path) -> bool {
    let folders = ["tests", "benches"];
    file.ends_with("tests.rs")
        || file
            .iter()
            .any(|part| folders.iter().any(|folder| part == *folder))
}
