//! What a person reads when a scenario is wrong: text kept beside each file.

use stagegate_scenario::{Options, run_paths};
use std::path::PathBuf;

fn told(name: &str, exit_code: u8) {
    let path = PathBuf::from(format!("tests/it/wrong/{name}.yaml"));
    let report = run_paths(&[path], Options::default());
    crate::compare(&format!("wrong/{name}.expected"), &report.text);
    assert_eq!(report.exit_code(), exit_code);
}

#[test]
fn expectations_that_do_not_hold() {
    told("expectations", 1);
}

#[test]
fn departures_that_are_not_so() {
    told("departures", 1);
}

#[test]
fn orders_that_cannot_be_given() {
    told("orders", 1);
}

#[test]
fn acts_that_cannot_be_done() {
    told("acts", 1);
}

#[test]
fn refusals_that_do_not_come() {
    told("not-refused", 1);
}

#[test]
fn refusals_that_nobody_expected() {
    told("refused", 1);
}

#[test]
fn mistakes_in_the_format() {
    told("format", 2);
}

#[test]
fn given_documents_that_are_refused() {
    told("given", 2);
}
