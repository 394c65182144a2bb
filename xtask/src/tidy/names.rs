//! A folder or module is named for what it does. These names say only that nobody decided.

use super::rust_text::RustText;
use super::{Problem, Tree};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BANNED: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];
const MEND: &str = "name it for the idea it holds";

/// Every folder and Rust module under a banned name.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let ours = |file: &&Path| file.starts_with("crates") || file.starts_with("xtask");
    let mut places = BTreeSet::new();
    let mut problems = Vec::new();
    for file in tree.files().filter(ours) {
        for folder in file.ancestors().skip(1) {
            if folder
                .file_name()
                .is_some_and(|name| banned(&name.to_string_lossy()))
            {
                places.insert(folder.to_path_buf());
            }
        }
        if file.extension().is_some_and(|extension| extension == "rs") {
            if file
                .file_stem()
                .is_some_and(|stem| banned(&stem.to_string_lossy()))
            {
                places.insert(file.to_path_buf());
            }
            inline_modules(file, &tree.text(file).unwrap_or_default(), &mut problems);
        }
    }
    let named = |place: PathBuf| {
        let what = format!(
            "`{}` is no name",
            place.file_stem().unwrap_or_default().display()
        );
        Problem::new(place, 1, what, MEND)
    };
    problems.extend(places.into_iter().map(named));
    problems
}

/// Modules with a body in this file; those with a file of their own are found by its name.
fn inline_modules(file: &Path, text: &str, problems: &mut Vec<Problem>) {
    let text = RustText::read(text);
    for window in text.tokens.windows(3) {
        let [keyword, name, open] = window else {
            continue;
        };
        let found = BANNED.iter().find(|word| name.is_word(word));
        if let (true, Some(word), true) = (keyword.is_word("mod"), found, open.is_mark('{')) {
            let what = format!("`{word}` is no name");
            problems.push(Problem::new(file, name.line, what, MEND));
        }
    }
}

fn banned(name: &str) -> bool {
    BANNED.contains(&name)
}
