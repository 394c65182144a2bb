//! Every scenario under `scenarios/` holds, and holds for a reason.

use stagegate_scenario::{Options, Outcome, run_paths};
use std::path::{Path, PathBuf};

fn scenarios() -> PathBuf {
    PathBuf::from("../../scenarios")
}

#[test]
fn every_shipped_scenario_holds() {
    let report = run_paths(&[scenarios()], Options::default());
    assert!(report.passed >= 320, "{}", report.text);
    assert_eq!(report.invalid, 0, "{}", report.text);
    let failed: Vec<&str> = report
        .scenarios
        .iter()
        .filter(|it| it.outcome != Outcome::Passed)
        .map(|it| it.file.trim_start_matches("../../scenarios/"))
        .collect();
    assert_eq!(failed, [] as [&str; 0], "{}", report.text);
}

/// Each of these, changed alone, must make the scenario it stands in fail.
const CHANGES: &[(&str, &str)] = &[
    ("allowed: true", "allowed: false"),
    ("allowed: false", "allowed: true"),
    ("satisfiedAt: ", "satisfiedAt: 7m"),
    ("nextWake: none", "nextWake: 3m"),
    ("status: passed", "status: inconclusive"),
    ("status: failed", "status: succeeded"),
    (": superseded", ": expired"),
    (": succeeded }", ": rejected }"),
    ("facts: none", "facts: [jobChanged]"),
    ("facts: [reportIgnored]", "facts: none"),
    ("applies: false", "applies: true"),
    ("targets: blocked", "targets: running"),
    (
        "retry: { Production/production-1: none }",
        "retry: { Production/production-1: { attempt: 9 } }",
    ),
    ("attempt: 2, at: ", "attempt: 3, at: "),
    (
        "held: { Production: production-1 }",
        "held: { Production: none }",
    ),
    ("held: { Production: none }", "held: { Production: 1 }"),
    (
        "quarantined: { Production: v2 }",
        "quarantined: { Production: none }",
    ),
    (
        "quarantined: { Production: none }",
        "quarantined: { Production: v1 }",
    ),
    ("rollbackOf: 2", "rollbackOf: 1"),
    ("rollbackOf: none", "rollbackOf: 1"),
    ("kind: rollback", "kind: forward"),
    ("kind: redeploy", "kind: breakGlass"),
    ("rollout: { due: 1, ", "rollout: { due: 2, "),
    ("wave: 1, ", "wave: 2, "),
    ("next: none", "next: 7m"),
    ("paused: false", "paused: true"),
    ("begun: false", "begun: true"),
    ("refused: ", "note: "),
    (
        "expect: { jobs: { Production: 1 } }",
        "expect: { jobs: { Production: 2 } }",
    ),
];

#[test]
fn a_wrong_expectation_fails() {
    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("changed");
    let given = folder.path().join("given");
    std::fs::create_dir(&topic).unwrap();
    std::fs::create_dir(&given).unwrap();
    for entry in std::fs::read_dir(scenarios().join("given")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), given.join(entry.file_name())).unwrap();
    }
    let mut changed = 0;
    for file in files(&scenarios()) {
        let text = std::fs::read_to_string(&file).unwrap();
        // Folding from every snapshot hundreds of times proves nothing more here.
        let Some((head, steps)) = text
            .split_once("\nsteps:")
            .filter(|_| !text.contains("restart: snapshots"))
        else {
            continue;
        };
        for (from, to) in CHANGES {
            for (at, _) in steps.match_indices(from) {
                let mutant = format!(
                    "{head}\nsteps:{}{to}{}",
                    &steps[..at],
                    &steps[at + from.len()..]
                );
                changed += 1;
                let name = file.file_stem().unwrap().to_string_lossy();
                std::fs::write(topic.join(format!("{name}-{changed}.yaml")), mutant).unwrap();
            }
        }
    }
    assert!(changed > 100, "{changed}");
    let report = run_paths(std::slice::from_ref(&topic), Options::default());
    assert_eq!(report.passed + report.failed + report.invalid, changed);
    let held: Vec<String> = report
        .scenarios
        .iter()
        .filter(|it| it.outcome == Outcome::Passed)
        .map(|it| std::fs::read_to_string(&it.file).unwrap())
        .collect();
    assert!(held.is_empty(), "{}", held.join("\n----\n"));
}

/// What is decided does not depend on when the process was restarted last.
#[test]
fn every_shipped_scenario_holds_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for file in files(&scenarios()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(scenarios()).unwrap();
        let copy = folder.path().join(place);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        let Some((head, steps)) = text.split_once("\nsteps:\n") else {
            std::fs::copy(&file, copy).unwrap();
            continue;
        };
        // Lines that a refusal points at would be others.
        if steps.contains(" line: ") {
            continue;
        }
        // The timeline tells of restarts.
        let head = head.replace("golden: true", "golden: false");
        // From every snapshot hundreds of times is left to the scenarios that are about it.
        let steps = steps.replace("restart: snapshots", "restart: log");
        let mut restarted = String::new();
        for (index, step) in steps.split("\n  - ").enumerate() {
            let step = step.trim_start_matches("  - ").trim_end_matches('\n');
            if index > 0 {
                restarted.push_str("  - after: 0s\n    restart: log\n");
            }
            restarted.push_str(&format!("  - {step}\n"));
        }
        std::fs::write(copy, format!("{head}\nsteps:\n{restarted}")).unwrap();
        written += 1;
    }
    assert!(written >= 320, "{written}");
    let report = run_paths(&[folder.path().to_path_buf()], Options::default());
    assert_eq!(report.passed, written, "{}", report.text);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}
