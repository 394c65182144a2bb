//! What is found, what is left out, and the forms of a report.

use stagegate_scenario::{Options, Output, Report, run_paths};
use std::path::{Path, PathBuf};

const PASSES: &str =
    "name: passes <well> & good\nsteps: [{ at: 1s, expect: { nextWake: none } }]\n";
const FAILS: &str = "name: fails\nsteps: [{ at: 1s, expect: { nextWake: 5s } }]\n";

fn run(paths: &[&Path], options: Options) -> Report {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    run_paths(&paths, options)
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(folder.path().join("passes.yaml"), PASSES).unwrap();
    std::fs::write(deep.join("fails.yml"), FAILS).unwrap();
    std::fs::write(deep.join("shop.yaml"), "type: System\nname: Shop\n").unwrap();
    std::fs::write(deep.join("notes.txt"), "steps:\n").unwrap();
    std::fs::write(folder.path().join(".hidden.yaml"), FAILS).unwrap();
    folder
}

#[test]
fn folders_are_searched_and_files_without_steps_are_skipped() {
    let folder = folder();
    let report = run(&[folder.path()], Options::default());
    assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
    assert_eq!(report.exit_code(), 1);
    assert!(
        report
            .text
            .ends_with("1 passed, 1 failed, 1 file skipped\n"),
        "{}",
        report.text
    );
}

#[test]
fn a_file_that_is_named_must_be_a_scenario() {
    let folder = folder();
    let report = run(&[&folder.path().join("a/b/shop.yaml")], Options::default());
    assert_eq!((report.invalid, report.exit_code()), (1, 2));
    assert!(
        report.text.contains("`steps` is missing"),
        "{}",
        report.text
    );
    let report = run(&[&folder.path().join("nowhere.yaml")], Options::default());
    assert_eq!((report.invalid, report.exit_code()), (1, 2));
}

#[test]
fn a_file_named_twice_runs_once() {
    let folder = folder();
    let file = folder.path().join("passes.yaml");
    let report = run(&[&file, &file, folder.path()], Options::default());
    assert_eq!(report.passed, 1);
}

#[test]
fn the_filter_takes_names_and_paths() {
    let folder = folder();
    let filtered = |filter: &str| {
        let options = Options {
            filter: Some(filter.to_owned()),
            ..Options::default()
        };
        run(&[folder.path()], options)
    };
    let report = filtered("WELL");
    assert_eq!(
        (report.passed, report.failed, report.exit_code()),
        (1, 0, 0)
    );
    assert_eq!(filtered("a/b/fails").failed, 1);
    let none = filtered("nothing like this");
    assert_eq!(none.exit_code(), 2);
    assert!(none.text.contains("no scenario was found"), "{}", none.text);
}

#[test]
fn json_says_the_same() {
    let folder = folder();
    let options = Options {
        output: Output::Json,
        jobs: 1,
        ..Options::default()
    };
    let report = run(&[folder.path()], options);
    let json: serde_json::Value = serde_json::from_str(&report.text).unwrap();
    assert_eq!(json["passed"], 1);
    assert_eq!(json["scenarios"][0]["status"], "failed");
    assert_eq!(
        json["scenarios"][0]["failures"][0]["expected"],
        "nextWake: 5s"
    );
    assert_eq!(json["scenarios"][0]["failures"][0]["line"], 2);
    assert_eq!(json["scenarios"][1]["name"], "passes <well> & good");
}

#[test]
fn junit_says_the_same() {
    let folder = folder();
    let options = Options {
        output: Output::Junit,
        ..Options::default()
    };
    let report = run(&[folder.path()], options);
    let text = &report.text;
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stagegate test\" tests=\"2\" failures=\"1\" errors=\"0\">\n"), "{text}");
    assert!(
        text.contains("<testcase name=\"passes &lt;well&gt; &amp; good\""),
        "{text}"
    );
    assert!(
        text.contains("<failure message=\"expected nextWake: 5s, got nextWake: none\">"),
        "{text}"
    );
    assert_eq!(text.matches("<testsuite ").count(), 2, "{text}");
    assert!(text.ends_with("</testsuites>\n"), "{text}");
}
