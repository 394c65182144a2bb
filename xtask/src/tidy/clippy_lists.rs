//! A `clippy.toml` in a crate replaces the root's for that crate, so it must repeat the root's bans.

use super::{Problem, Tree};
use std::collections::BTreeSet;
use std::path::Path;
use toml::{Table, Value};

const ROOT: &str = "clippy.toml";
const ENGINE: &str = "crates/engine/clippy.toml";

/// Every ban of the root's `clippy.toml` that a crate's own lacks. The engine must have one.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(root) = read(tree, Path::new(ROOT), &mut problems) else {
        return problems;
    };
    if tree.text(Path::new(ENGINE)).is_none() {
        let mend = "add it: the root's bans and the engine's own";
        problems.push(Problem::new(ENGINE, 1, "the file is missing", mend));
    }
    let crate_files = tree
        .files()
        .filter(|file| file.starts_with("crates") && file.ends_with("clippy.toml"));
    for file in crate_files {
        let Some(own) = read(tree, file, &mut problems) else {
            continue;
        };
        for key in root.keys().filter(|key| key.starts_with("disallowed-")) {
            let has = banned(&own, key);
            for path in banned(&root, key).difference(&has) {
                problems.push(Problem::new(
                    file,
                    1,
                    format!("`{key}` lacks the root's `{path}`"),
                    "repeat it: this file replaces the root's for this crate",
                ));
            }
        }
    }
    problems
}

fn read(tree: &Tree, file: &Path, problems: &mut Vec<Problem>) -> Option<Table> {
    let Some(text) = tree.text(file) else {
        let mend = "add it, be it empty";
        problems.push(Problem::new(file, 1, "the file is missing", mend));
        return None;
    };
    match text.parse::<Table>() {
        Ok(table) => Some(table),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let line = text
                .bytes()
                .take(start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1;
            let what = format!("this is not TOML: {}", error.message());
            problems.push(Problem::new(file, line, what, "mend the syntax"));
            None
        }
    }
}

/// The paths (or names) listed under `key`, written plainly or as `{ path = …, reason = … }`.
fn banned<'a>(table: &'a Table, key: &str) -> BTreeSet<&'a str> {
    let entries = table.get(key).and_then(Value::as_array);
    let path = |entry: &'a Value| match entry {
        Value::Table(table) => table.get("path").and_then(Value::as_str),
        other => other.as_str(),
    };
    entries.into_iter().flatten().filter_map(path).collect()
}
