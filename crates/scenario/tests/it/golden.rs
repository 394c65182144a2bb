//! Timelines beside scenarios.

use stagegate_scenario::{Options, Outcome, run_paths};

const SCENARIO: &str = "\
name: golden
golden: true
documents: |
  { type: System, name: Shop }
steps:
  - { at: 5s, note: nothing happens }
";

#[test]
fn a_timeline_is_written_kept_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("golden.yaml");
    let beside = folder.path().join("golden.timeline");
    std::fs::write(&file, SCENARIO).unwrap();
    let run = |update| {
        let options = Options {
            update,
            ..Options::default()
        };
        run_paths(&[folder.path().to_path_buf()], options)
    };
    let report = run(false);
    assert_eq!(report.exit_code(), 1);
    assert!(report.text.contains("golden.timeline"), "{}", report.text);
    assert_eq!(run(true).exit_code(), 0);
    let kept = std::fs::read_to_string(&beside).unwrap();
    assert_eq!(
        kept,
        "0s         given\n             saved: system Shop\n5s         # nothing happens\n"
    );
    assert_eq!(run(false).exit_code(), 0);
    std::fs::write(&beside, kept.replace("Shop", "Shed")).unwrap();
    let report = run(false);
    let Outcome::Failed(failures) = &report.scenarios[0].outcome else {
        panic!("{}", report.text);
    };
    assert!(failures[0].expected.contains("saved: system Shed"));
    assert!(failures[0].got.contains("saved: system Shop"));
}
