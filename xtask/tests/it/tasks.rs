//! The tasks themselves: what is installed, which steps run, how failure shows.

use crate::tree;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Output};
use xtask::needs::{self, NEEDS, Need, Plan};
use xtask::steps::Steps;
use xtask::test::{Options, cargo_steps};

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .output()
        .expect("xtask starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn tidy_prints_every_problem_at_once_and_fails() {
    let folder = tree(&[
        ("README.md", "[a](a.md)\n"),
        ("crates/engine/src/lib.rs", "use std::fs;\n"),
    ]);
    let root = folder.path().to_str().expect("a plain name");
    let output = xtask(&["tidy", "--root", root]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let places = [
        "Cargo.toml:1: ",
        "README.md:1: ",
        "changes/unreleased:1: ",
        "clippy.toml:1: ",
        "crates/engine/src/lib.rs:1: ",
        "tidy: 5 to mend",
    ];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), places.len(), "{said}");
    for (line, place) in lines.iter().zip(places) {
        assert!(line.starts_with(place), "`{line}` is not at {place}");
    }
}

#[test]
fn tidy_is_silent_when_nothing_is_wrong() {
    let folder = tree(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = []\n",
        ),
        ("clippy.toml", ""),
        ("crates/engine/clippy.toml", ""),
        ("changes/unreleased/0001-a.md", "a\n"),
    ]);
    let root = folder.path().to_str().expect("a plain name");
    let output = xtask(&["tidy", "--root", root]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "");
}

#[test]
fn what_xtask_does_not_know_is_refused() {
    for (arguments, part) in [
        (&["tidi"][..], "there is no task `tidi`"),
        (&["tidy", "--rot"], "`--root DIR`"),
        (&["test", "--skip"], "`--skip` is no option"),
        (&["tidy", "--root", "/no/such/folder"], "is not a folder"),
    ] {
        let output = xtask(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(part), "{}", said(&output));
    }
    let help = xtask(&["help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--skip-install"));
}

#[cfg(unix)]
#[test]
fn a_need_is_met_by_an_executable_file_on_the_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tree(&[
        ("one/chromedriver", ""),
        ("two/sqlite3", ""),
        ("two/git", ""),
    ]);
    for name in ["one/chromedriver", "two/sqlite3"] {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path().join(name), mode).expect("a mode");
    }
    let path = std::env::join_paths([folder.path().join("one"), folder.path().join("two")])
        .expect("a path");
    // `git` is there, but not executable.
    assert_eq!(packages(&path), ["chromium", "git", "valgrind"]);
    assert_eq!(packages(&OsString::new()).len(), NEEDS.len());
}

fn packages(path: &OsStr) -> Vec<&'static str> {
    let missing = needs::missing(NEEDS, path);
    missing.iter().map(|need| need.package).collect()
}

fn two_missing() -> Vec<&'static Need> {
    let two = ["chromium", "sqlite3"];
    NEEDS.iter().filter(|n| two.contains(&n.package)).collect()
}

#[test]
fn root_with_apt_installs_exactly_what_is_missing() {
    let Plan::Run(commands) = needs::plan(&two_missing(), true, true) else {
        panic!("nothing to run");
    };
    let commands: Vec<String> = commands.iter().map(|c| c.join(" ")).collect();
    assert_eq!(
        commands,
        [
            "apt-get update",
            "apt-get install -y --no-install-recommends chromium sqlite3"
        ]
    );
    assert_eq!(needs::plan(&[], true, true), Plan::Ready);
}

#[test]
fn others_are_told_the_command() {
    let Plan::Tell(text) = needs::plan(&two_missing(), false, true) else {
        panic!("nothing told");
    };
    let command =
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends chromium sqlite3";
    assert!(text.ends_with(command), "{text}");
    assert!(
        text.contains("the browser that tests of the pages use"),
        "{text}"
    );
    let Plan::Tell(text) = needs::plan(&two_missing(), true, false) else {
        panic!("nothing told");
    };
    assert!(text.contains("install chromium, sqlite3 with"), "{text}");
}

#[test]
fn components_of_the_toolchain_are_added_or_told() {
    assert_eq!(needs::plan_components(&[], true), Plan::Ready);
    let add = ["rustup", "component", "add", "rustfmt", "clippy"].map(String::from);
    assert_eq!(
        needs::plan_components(&["rustfmt", "clippy"], true),
        Plan::Run(vec![add.to_vec()])
    );
    let Plan::Tell(text) = needs::plan_components(&["clippy"], false) else {
        panic!("nothing told");
    };
    assert!(text.ends_with("rustup component add clippy"), "{text}");
}

#[test]
fn the_steps_are_these() {
    let shown = |options: &Options| -> Vec<String> {
        let steps = cargo_steps(options).into_iter();
        steps
            .map(|(name, arguments)| format!("{name}: {}", arguments.join(" ")))
            .collect()
    };
    let mut options = Options::default();
    assert_eq!(
        shown(&options),
        [
            "format: fmt --all --check",
            "tidy: ",
            "clippy: clippy --workspace --all-targets -- -D warnings",
            "build: build --workspace --bins",
            "test: test --workspace",
        ]
    );
    options.filters = vec!["rollback".to_owned(), "freeze".to_owned()];
    options.ci = true;
    assert_eq!(
        shown(&options),
        [
            "format: fmt --all --check",
            "tidy: ",
            "clippy: clippy --workspace --all-targets --locked -- -D warnings",
            "build: build --workspace --bins --locked",
            "test: test --workspace --locked --no-fail-fast -- rollback freeze",
        ]
    );
    options.filters = Vec::new();
    assert_eq!(
        shown(&options)[5..],
        [
            "simulate: run --release --locked -p stagegate-sim -- --seeds 2000",
            "bench: run --release --locked -p stagegate-bench -- --quick",
            "instructions: run --release --locked -p stagegate-bench -- --instructions",
        ]
    );
}

#[test]
fn a_failing_step_stops_the_run_and_says_what_passed() {
    let mut steps = Steps::default();
    steps.run("first", || Ok(())).expect("the first passes");
    let error = steps
        .run("second", || anyhow::bail!("it broke"))
        .expect_err("the second fails")
        .to_string();
    assert!(
        error.starts_with("step `second` FAILED after 0.0 s: it broke"),
        "{error}"
    );
    assert!(
        error.ends_with("(passed before it: first 0.0 s)"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_program_gets_no_input_and_nothing_that_cargo_set_for_us() {
    let script = "test -z \"$(cat)\" && test -z \"${CARGO_PKG_NAME-}${CARGO_MANIFEST_DIR-}\" && test \"$EXTRA\" = yes";
    let run = |script: &str| {
        let arguments = ["-c", script].map(String::from);
        xtask::steps::execute(
            Path::new("/"),
            OsStr::new("sh"),
            &arguments,
            &[("EXTRA", "yes")],
        )
    };
    run(script).expect("nothing is set");
    let error = run("exit 3").expect_err("a status").to_string();
    assert_eq!(error, "`sh -c exit 3` ended with exit status: 3");
}
