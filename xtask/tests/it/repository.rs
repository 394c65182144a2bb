//! What counts as the repository's files, and promises that this repository itself must keep.

use crate::{tree, write};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tidy::Tree;

fn files(root: &Path) -> Vec<PathBuf> {
    let tree = Tree::read(root).expect("a tree");
    tree.files().map(Path::to_path_buf).collect()
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the repository").to_path_buf()
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn git_says_what_belongs_to_the_repository() {
    let folder = tree(&[
        (".gitignore", "/ignored\n"),
        ("ignored/a.md", ""),
        ("b.md", ""),
        ("gone.md", ""),
    ]);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE");
        let status = command
            .arg("-C")
            .arg(folder.path())
            .args(arguments)
            .status();
        assert!(status.expect("git starts").success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    std::fs::remove_file(folder.path().join("gone.md")).expect("removed");
    write(folder.path(), "new.md", "");
    assert_eq!(
        files(folder.path()),
        paths(&[".gitignore", "b.md", "new.md"])
    );
}

#[test]
fn without_git_every_file_belongs_except_what_was_built() {
    let folder = tree(&[
        ("target/a.md", ""),
        ("x/target/b.md", ""),
        ("built/CACHEDIR.TAG", ""),
        ("built/debug/d.md", ""),
        ("x/c.md", ""),
    ]);
    assert_eq!(files(folder.path()), paths(&["x/c.md"]));
}

#[test]
fn ci_runs_the_documented_command() {
    let script = std::fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    assert!(script.starts_with("#!/usr/bin/env bash\n"));
    assert!(script.contains("\nset -euo pipefail\n"));
    assert!(
        script
            .lines()
            .any(|line| line.starts_with("cargo xtask test"))
    );
}

#[cfg(unix)]
#[test]
fn ci_can_be_started() {
    use std::os::unix::fs::PermissionsExt as _;
    let script = root().join(".ci/run").metadata().expect(".ci/run");
    assert_eq!(script.permissions().mode() & 0o111, 0o111);
}
