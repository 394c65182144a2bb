//! Every scenario under `scenarios/` holds.

use stagegate_scenario::{Options, run_paths};
use std::path::PathBuf;

#[test]
fn every_shipped_scenario_holds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let report = run_paths(&[folder], Options::default());
    assert!(report.passed >= 45, "{}", report.text);
    assert_eq!(report.exit_code(), 0, "{}", report.text);
}
