//! A file that needs a table of contents is several files.

use super::{Problem, Tree};

const LINES_MAX: usize = 900;

/// Every Rust file that is too long.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust_files(&["crates", "xtask"])
        .filter_map(|file| {
            let count = tree.text(file)?.lines().count();
            (count > LINES_MAX).then(|| {
                Problem::new(
                    file,
                    LINES_MAX + 1,
                    format!("{count} lines, and at most {LINES_MAX} are allowed"),
                    "split it by idea",
                )
            })
        })
        .collect()
}
