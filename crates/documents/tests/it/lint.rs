//! For each finding, documents that have it and no other, the same documents mended, and what a person reads.

use stagegate_documents::lint;
use stagegate_engine::lint::LINTS;
use stagegate_model::Timestamp;
use std::path::Path;

/// 2026-03-02T09:00:00Z, a Monday.
const NOW: Timestamp = Timestamp(1_772_442_000_000);

/// Findings that files alone never tell: they are about people, versions, freezes and skips, or about what documents
/// refuse. The engine's tests have them.
const NOT_OF_FILES: [&str; 3] = ["approval_needs_creator", "freeze_ended", "skip_expired"];

fn told(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    match lint(&[(file, &text)], NOW) {
        Ok(findings) => findings.iter().map(line).collect(),
        Err(errors) => panic!("{file}: {errors:#?}"),
    }
}

fn line(it: &stagegate_documents::Linted) -> String {
    let finding = &it.finding;
    format!(
        "{}:{}:{}: {}: {} {}: {}: {} [{}]\n",
        it.file,
        it.line,
        it.column,
        finding.severity,
        finding.object.kind,
        finding.object.name,
        finding.field,
        finding.message,
        finding.code
    )
}

fn compare(path: &Path, got: &str) {
    if std::env::var_os("STAGEGATE_UPDATE").is_some() {
        std::fs::write(path, got).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == got,
        "{} differs; if it should, set STAGEGATE_UPDATE=1 and read the difference.\n{got}",
        path.display()
    );
}

#[test]
fn each_finding_is_found_alone_and_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lint");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let cases: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".before.yaml"))
        .collect();
    let mut wrong = String::new();
    for case in &cases {
        let before = told(&folder.join(format!("{case}.before.yaml")));
        compare(&folder.join(format!("{case}.expected")), &before);
        // `weaker_rule-in-all-environments` is another case of `weaker_rule`.
        let code = case.split('-').next().unwrap();
        if before.is_empty() || before.lines().any(|it| !it.ends_with(&format!("[{code}]"))) {
            wrong.push_str(&format!(
                "{case} has other findings than its own:\n{before}\n"
            ));
        }
        let after = told(&folder.join(format!("{case}.after.yaml")));
        if !after.is_empty() {
            wrong.push_str(&format!("{case} is not mended:\n{after}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    for lint in LINTS {
        let there = cases
            .iter()
            .any(|case| case.split('-').next() == Some(lint.code));
        let elsewhere = NOT_OF_FILES.contains(&lint.code);
        assert!(there != elsewhere, "documents for `{}`", lint.code);
    }
}
