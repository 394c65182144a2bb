//! Which crate may use which: the table of docs/ARCHITECTURE.md, held against cargo's own account.

use super::{Problem, Tree};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Allowed edges of what is built into the product. Names are without `stagegate-`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("allocator", &[]),
    ("api", &[]),
    ("expressions", &[]),
    ("engine", &["model", "expressions"]),
    ("store", &["model"]),
    ("integrations", &["model"]),
    ("documents", &["model", "engine", "expressions"]),
    ("scenario", &["documents", "engine", "model"]),
    ("controller", &["model", "engine", "store", "integrations"]),
    (
        "server",
        &["api", "model", "engine", "documents", "controller", "store"],
    ),
    ("runner", &["api", "integrations"]),
    (
        "cli",
        &[
            "allocator",
            "api",
            "documents",
            "scenario",
            "runner",
            // The one binary: `serve` and `demo` put the rest together.
            "server",
            "controller",
            "store",
            "integrations",
            "engine",
            "model",
        ],
    ),
    (
        "sim",
        &["model", "engine", "store", "controller", "integrations"],
    ),
    (
        "bench",
        &[
            "allocator",
            "model",
            "engine",
            "store",
            "controller",
            "server",
            "sim",
        ],
    ),
    ("xtask", &[]),
];

/// Further edges that tests alone may use.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[
    // The loops are fed whole documents rather than hand-made facts.
    ("controller", &["documents"]),
    // An example runs with the allocator of the programs.
    ("engine", &["allocator"]),
    // Routes are tested with a real runner and real agents behind them.
    ("server", &["integrations", "runner"]),
];

const TABLE: &str = "xtask/src/tidy/edges.rs";

/// Every internal dependency that the table does not allow, and every crate it does not know.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let metadata = match metadata(tree.root()) {
        Ok(metadata) => metadata,
        Err(why) => {
            let mend = "mend the manifests until `cargo metadata --no-deps` reads them";
            return vec![Problem::new("Cargo.toml", 1, why, mend)];
        }
    };
    let packages = array(&metadata, "packages");
    let members: Vec<&str> = packages.iter().map(|p| string(p, "name")).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = short(string(package, "name"));
        let manifest = manifest(tree, package);
        let text = tree.text(&manifest).unwrap_or_default();
        let Some(allowed) = row(ALLOWED, name) else {
            problems.push(Problem::new(
                &manifest,
                line_of(&text, string(package, "name")),
                format!("crate `{name}` is not in the table of allowed edges"),
                format!("add it to the table in {TABLE} and to docs/ARCHITECTURE.md"),
            ));
            continue;
        };
        for dependency in array(package, "dependencies") {
            let full = string(dependency, "name");
            if !members.contains(&full) {
                continue;
            }
            let used = short(full);
            let in_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let extra = row(ALLOWED_IN_TESTS, name).unwrap_or_default();
            if allowed.contains(&used) || (in_tests && extra.contains(&used)) {
                continue;
            }
            let how = if in_tests { " in its tests" } else { "" };
            problems.push(Problem::new(
                &manifest,
                line_of(&text, full),
                format!("`{name}` may not depend on `{used}`{how}"),
                format!("move the code to where the edge exists; `{name}` may use: {}; a new edge is a decision for docs/adr/ and {TABLE}", list(allowed)),
            ));
        }
    }
    problems
}

fn metadata(root: &Path) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason: Vec<&str> = said.lines().map(str::trim).collect();
        return Err(format!("`cargo metadata` says: {}", reason.join(" ")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`cargo metadata` wrote what is not JSON: {error}"))
}

/// The package's manifest, from the root where possible.
fn manifest(tree: &Tree, package: &Value) -> PathBuf {
    let absolute = PathBuf::from(string(package, "manifest_path"));
    let root = std::fs::canonicalize(tree.root()).unwrap_or_else(|_| tree.root().to_path_buf());
    let canonical = std::fs::canonicalize(&absolute).unwrap_or_else(|_| absolute.clone());
    match canonical.strip_prefix(&root) {
        Ok(relative) => relative.to_path_buf(),
        Err(_) => absolute,
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("stagegate-").unwrap_or(name)
}

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    let found = table.iter().find(|(crate_name, _)| *crate_name == name);
    found.map(|(_, used)| *used)
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "nothing internal".to_owned();
    }
    names.join(", ")
}

/// The first line that starts with `name`, or says it in quotes.
fn line_of(manifest: &str, name: &str) -> usize {
    let quoted = format!("\"{name}\"");
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '='])) || line.contains(&quoted)
    };
    manifest
        .lines()
        .position(names)
        .map_or(1, |index| index + 1)
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let array = value.get(key).and_then(Value::as_array);
    array.map_or(&[], Vec::as_slice)
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
