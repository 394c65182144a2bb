//! `cargo xtask tidy`: the house rules that no compiler knows. One module per rule.

pub mod changes;
pub mod clippy_lists;
pub mod codes;
pub mod edges;
pub mod hosts;
pub mod links;
pub mod names;
pub mod purity;
pub mod rust_text;
pub mod size;
pub mod tree;
pub mod unfinished;

pub use tree::Tree;

use anyhow::Result;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, from the repository's root.
    pub path: PathBuf,
    /// Counted from 1; 1 for what concerns a whole file or folder.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl Problem {
    /// A problem in `path` at `line`.
    pub fn new(
        path: impl Into<PathBuf>,
        line: usize,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{path}:{}: {}; {}", self.line, self.what, self.mend)
    }
}

type Check = fn(&Tree) -> Vec<Problem>;

/// Every rule. A new one is a module and a line here.
const CHECKS: &[Check] = &[
    edges::check,
    purity::check,
    clippy_lists::check,
    size::check,
    names::check,
    unfinished::check,
    codes::check,
    links::check,
    hosts::check,
    changes::check,
];

/// Everything in the tree at `root` that breaks a rule, in order of path and line.
pub fn check(root: &Path) -> Result<Vec<Problem>> {
    let tree = Tree::read(root)?;
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// Prints the problems to standard error; the exit code says whether there were any.
pub fn report(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} to mend", problems.len());
        ExitCode::FAILURE
    }
}
