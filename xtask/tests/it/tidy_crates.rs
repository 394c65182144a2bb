//! Rules on crates: edges, what the core may not name, clippy's lists.

use crate::{assert_found, found};
use xtask::tidy::{clippy_lists, edges, purity};

const WORKSPACE: (&str, &str) = (
    "Cargo.toml",
    "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
);

fn manifest(name: &str, rest: &str) -> String {
    format!(
        "[package]\nname = \"stagegate-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}"
    )
}

/// What the edges' check finds in a workspace of these crates.
fn edges_of(crates: &[(&str, &str)]) -> Vec<String> {
    let mut files = vec![(WORKSPACE.0.to_owned(), WORKSPACE.1.to_owned())];
    for (name, rest) in crates {
        files.push((format!("crates/{name}/Cargo.toml"), manifest(name, rest)));
        files.push((format!("crates/{name}/src/lib.rs"), String::new()));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    found(edges::check, &files)
}

#[test]
fn an_allowed_edge_passes() {
    let engine = "[dependencies]\nstagegate-model = { path = \"../model\" }\n";
    assert_found(&edges_of(&[("model", ""), ("engine", engine)]), &[]);
}

#[test]
fn an_edge_outside_the_table_is_found() {
    let model = "\n[dependencies]\nstagegate-store = { path = \"../store\" }\n";
    assert_found(
        &edges_of(&[("model", model), ("store", "")]),
        &["crates/model/Cargo.toml:7: `model` may not depend on `store`; move the code"],
    );
}

#[test]
fn an_edge_of_a_build_script_counts() {
    let api = "[build-dependencies]\nstagegate-model = { path = \"../model\" }\n";
    assert_found(
        &edges_of(&[("model", ""), ("api", api)]),
        &["crates/api/Cargo.toml:6: `api` may not depend on `model`"],
    );
}

#[test]
fn an_edge_under_another_name_is_found() {
    let api = "[dependencies]\nm = { package = \"stagegate-model\", path = \"../model\" }\n";
    assert_found(
        &edges_of(&[("model", ""), ("api", api)]),
        &["crates/api/Cargo.toml:6: `api` may not depend on `model`"],
    );
}

#[test]
fn tests_have_a_few_edges_more_and_no_others() {
    let edge =
        |kind: &str, to: &str| format!("[{kind}]\nstagegate-{to} = {{ path = \"../{to}\" }}\n");
    let dev = edge("dev-dependencies", "runner");
    assert_found(&edges_of(&[("runner", ""), ("server", &dev)]), &[]);
    let normal = edge("dependencies", "runner");
    assert_found(
        &edges_of(&[("runner", ""), ("server", &normal)]),
        &["crates/server/Cargo.toml:6: `server` may not depend on `runner`;"],
    );
    let other = edge("dev-dependencies", "store");
    assert_found(
        &edges_of(&[("store", ""), ("engine", &other)]),
        &["crates/engine/Cargo.toml:6: `engine` may not depend on `store` in its tests"],
    );
}

#[test]
fn an_unknown_crate_is_found() {
    assert_found(
        &edges_of(&[("novelty", "")]),
        &[
            "crates/novelty/Cargo.toml:2: crate `novelty` is not in the table of allowed edges; \
           add it to the table in xtask/src/tidy/edges.rs and to docs/ARCHITECTURE.md",
        ],
    );
}

#[test]
fn manifests_that_cargo_refuses_are_a_problem() {
    assert_found(
        &found(edges::check, &[("Cargo.toml", "[workspace")]),
        &["Cargo.toml:1: `cargo metadata` says:"],
    );
}

fn purity_of(file: &str, text: &str) -> Vec<String> {
    found(purity::check, &[(file, text)])
}

const ENGINE: &str = "crates/engine/src/lib.rs";

#[test]
fn each_ban_is_enforced() {
    let cases = [
        ("use tokio::sync::Mutex;", "tokio"),
        ("#[tokio::test]\nasync fn f() {}", "tokio"),
        ("use std::time::SystemTime;", "clock"),
        ("use std::{time::{Duration, Instant}};", "clock"),
        ("use std::time::*;", "clock"),
        ("use std::time;\nfn f() { time::Instant::now(); }", "clock"),
        ("fn f() { jiff::Timestamp::now(); }", "clock"),
        ("fn f() { std::thread::spawn(|| ()); }", "thread"),
        ("use rand::Rng;", "random"),
        ("fn f() { getrandom::fill(&mut []); }", "random"),
        ("fn f() { uuid::Uuid::now_v7(); }", "random"),
        ("fn f() { Uuid::new_v4(); }", "random"),
        ("use rusqlite::Connection;", "sql"),
        ("use std::net::TcpStream;", "net"),
        ("fn f() { std::fs::read(\"x\"); }", "fs"),
        ("fn f() { ::std::env::var(\"X\"); }", "env"),
        ("use std::process::Command;", "process"),
        ("use std::collections::HashMap;", "hash-map"),
        (
            "use std::collections::{BTreeMap, HashSet as S};",
            "hash-map",
        ),
    ];
    for (text, ban) in cases {
        let found = purity_of(ENGINE, text);
        assert!(
            !found.is_empty() && found.iter().all(|f| f.contains(&format!("({ban})"))),
            "`{text}` gave {found:?}"
        );
    }
}

#[test]
fn a_ban_names_its_place() {
    let text = "//! Doc.\n\nuse std::{\n    fmt,\n    time::Instant,\n};\n";
    assert_found(
        &purity_of("crates/model/src/a/b.rs", text),
        &["crates/model/src/a/b.rs:5: `std::time::Instant` is banned here (clock); take the time"],
    );
}

#[test]
fn tests_inside_the_source_are_bound_too() {
    let text = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert_found(
        &purity_of(ENGINE, text),
        &["crates/engine/src/lib.rs:3: `std::fs`"],
    );
}

#[test]
fn words_that_only_look_alike_pass() {
    let text = "// std::fs::read, tokio::spawn\nuse crate::time::Instant;\n/* std::env */\n\
                fn f(rand: u8, time: Instant) { g(\"std::net\", rand, time.now(), env!(\"X\"), std::time::Duration::ZERO) }\n";
    assert_found(&purity_of(ENGINE, text), &[]);
}

#[test]
fn bans_hold_in_the_crates_they_are_meant_for() {
    let thread = "fn f() { std::thread::scope(|_| ()); }";
    assert_found(&purity_of("crates/expressions/src/lib.rs", thread), &[]);
    assert_eq!(purity_of("crates/model/src/lib.rs", thread).len(), 1);
    let map = "use std::collections::HashMap;";
    assert_found(&purity_of("crates/model/src/lib.rs", map), &[]);
    let everything = "use std::{fs, net, env};\nuse tokio::spawn;";
    assert_found(&purity_of("crates/store/src/lib.rs", everything), &[]);
    assert_found(&purity_of("crates/engine/tests/golden.rs", everything), &[]);
}

#[test]
fn a_line_is_let_off_with_a_reason() {
    let same_line = "use std::fs; // tidy:allow(fs): read at build time only\n";
    assert_found(&purity_of(ENGINE, same_line), &[]);
    let above = "// tidy:allow(fs): read at build time only\nuse std::fs;\n";
    assert_found(&purity_of(ENGINE, above), &[]);
}

#[test]
fn letting_off_is_checked_itself() {
    let no_reason = "use std::fs; // tidy:allow(fs):\n";
    assert_found(
        &purity_of(ENGINE, no_reason),
        &[
            "crates/engine/src/lib.rs:1: `tidy:allow(fs)` needs a known ban and a reason",
            "crates/engine/src/lib.rs:1: `std::fs` is banned",
        ],
    );
    let unknown = "// tidy:allow(flies): they buzz\n";
    assert_found(
        &purity_of(ENGINE, unknown),
        &["crates/engine/src/lib.rs:1: `tidy:allow(flies)` needs a known ban"],
    );
    let other_ban = "use std::fs; // tidy:allow(net): because\n";
    assert_found(
        &purity_of(ENGINE, other_ban),
        &[
            "crates/engine/src/lib.rs:1: `std::fs` is banned",
            "crates/engine/src/lib.rs:1: `tidy:allow(net)` lets nothing off",
        ],
    );
    let too_far = "// tidy:allow(fs): because\n\nuse std::fs;\n";
    assert_eq!(purity_of(ENGINE, too_far).len(), 2);
}

#[test]
fn a_crates_clippy_list_repeats_the_roots() {
    let root = "disallowed-methods = [\"a::b\", { path = \"c::d\", reason = \"r\" }]\n";
    let whole = "disallowed-methods = [{ path = \"a::b\" }, \"c::d\", \"e::f\"]\n";
    let engine = "crates/engine/clippy.toml";
    let check = |own: &str| found(clippy_lists::check, &[("clippy.toml", root), (engine, own)]);
    assert_found(&check(whole), &[]);
    assert_found(
        &check("disallowed-methods = [\"a::b\"]\ndisallowed-types = [\"c::d\"]\n"),
        &["crates/engine/clippy.toml:1: `disallowed-methods` lacks the root's `c::d`; repeat it"],
    );
    assert_found(
        &check("x = 1\ndisallowed-methods = [\n"),
        &["crates/engine/clippy.toml:2: this is not TOML"],
    );
    assert_found(
        &found(clippy_lists::check, &[("clippy.toml", root)]),
        &["crates/engine/clippy.toml:1: the file is missing"],
    );
    assert_found(
        &found(clippy_lists::check, &[(engine, whole)]),
        &["clippy.toml:1: the file is missing"],
    );
    let other = ("crates/model/clippy.toml", "");
    assert_eq!(
        found(
            clippy_lists::check,
            &[("clippy.toml", root), (engine, whole), other]
        )
        .len(),
        2
    );
}
