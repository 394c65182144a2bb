//! Every rule of `tidy` on a made-up tree that breaks it, and the same tree mended.

mod repository;
mod tasks;
mod tidy_content;
mod tidy_crates;

use std::path::Path;
use tempfile::TempDir;
use xtask::tidy::{Problem, Tree};

/// A folder with these files in it, gone when dropped.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
    std::fs::write(file, text).expect("a file");
}

/// What `check` finds in a tree of these files, as printed.
fn found(check: fn(&Tree) -> Vec<Problem>, files: &[(&str, &str)]) -> Vec<String> {
    let folder = tree(files);
    let tree = Tree::read(folder.path()).expect("a tree");
    check(&tree).iter().map(ToString::to_string).collect()
}

/// Asserts that each problem found starts with what is expected, in order, and that all are expected.
#[track_caller]
fn assert_found(found: &[String], expected: &[&str]) {
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, start)| found.starts_with(start));
    assert!(same, "found {found:#?}\nexpected {expected:#?}");
}
