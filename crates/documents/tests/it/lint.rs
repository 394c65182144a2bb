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

/// What the examples on the pages stand in.
const SHOP: &str = r#"type: System
name: Shop
---
type: JobAgent
name: local
agentType: exec
---
type: Environment
name: Staging
resourceSelector: resource.metadata["env"] == "staging"
---
type: Environment
name: Production
resourceSelector: resource.metadata["env"] == "production"
---
type: Deployment
name: API
slug: api
jobAgent: { name: local, config: {} }
"#;

fn codes(texts: &[(&str, &str)]) -> Vec<&'static str> {
    match lint(texts, NOW) {
        Ok(findings) => findings.iter().map(|it| it.finding.code).collect(),
        Err(errors) => panic!("{:?}: {errors:#?}", texts.last()),
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of YAML in a page, in their order.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn the_examples_of_each_page_have_the_finding_before_and_not_after() {
    for it in LINTS {
        let page = root().join(format!("docs/lint/{}.md", it.code));
        let blocks = blocks(&std::fs::read_to_string(page).unwrap());
        if NOT_OF_FILES.contains(&it.code) {
            assert!(blocks.is_empty(), "{}", it.code);
            continue;
        }
        let [before, after] = &blocks[..] else {
            panic!("docs/lint/{}.md has not two examples", it.code);
        };
        let before = codes(&[("shop.yaml", SHOP), ("before.yaml", before)]);
        assert!(before.contains(&it.code), "{}: {before:?}", it.code);
        let after = codes(&[("shop.yaml", SHOP), ("after.yaml", after)]);
        assert!(!after.contains(&it.code), "{}: {after:?}", it.code);
    }
}

/// Files that belong together, and what they are allowed to have.
const SHIPPED: [(&[&str], &[&str]); 4] = [
    (
        &["examples/demo/1-shop.yaml", "examples/demo/2-policies.yaml"],
        &[],
    ),
    (
        &[
            "examples/rollback/1-shop.yaml",
            "examples/rollback/2-policies.yaml",
        ],
        &[],
    ),
    (&["crates/cli/tests/it/story.yaml"], &[]),
    // Its deployment has a target in staging alone.
    (
        &["crates/documents/tests/it/example.yaml"],
        &["selector_matches_nothing"],
    ),
];

#[test]
fn what_we_ship_lints_clean() {
    for (files, allowed) in SHIPPED {
        let read = |file: &&str| std::fs::read_to_string(root().join(file)).unwrap();
        let texts: Vec<String> = files.iter().map(read).collect();
        let texts: Vec<(&str, &str)> = files
            .iter()
            .zip(&texts)
            .map(|(file, text)| (*file, text.as_str()))
            .collect();
        let mut found = codes(&texts);
        found.dedup();
        assert_eq!(found, allowed, "{files:?}");
    }
}

#[test]
fn the_policies_in_the_guides_lint_clean() {
    let mut pages = 0;
    for page in [
        "README.md",
        "docs/approvals.md",
        "docs/releases.md",
        "docs/time.md",
    ] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for block in blocks(&text) {
            if !block.starts_with("type: Policy") {
                continue;
            }
            pages += 1;
            // Fragments leave out what is not their subject: the gates of production, and what is verified.
            let mut found = codes(&[("shop.yaml", SHOP), (page, &block)]);
            found.retain(|code| {
                !["production_without_gate", "rollback_without_verification"].contains(code)
            });
            assert!(found.is_empty(), "{page}: {found:?}\n{block}");
        }
    }
    assert!(pages >= 3, "{pages} policies");
}

#[test]
fn files_are_one_whole_and_places_are_those_of_the_texts() {
    let policy = "type: Policy\nname: Again\nrules:\n  - retry: { maxRetries: 0 }\n";
    let wait = "type: Policy\nname: P\nselector: environment.name == \"Production\"\nrules:\n  - environmentProgression: { waitFor: Staging }\n";
    let found = lint(
        &[("b.yaml", policy), ("a.yaml", wait), ("shop.yaml", SHOP)],
        NOW,
    )
    .unwrap();
    let places: Vec<_> = found
        .iter()
        .map(|it| (&*it.file, it.document, it.line, it.column))
        .collect();
    assert_eq!(places, [("b.yaml", 1, 4, 26)]);
    // What could not be applied is told as when it is applied.
    let wrong = wait.replace("Staging", "Stagin");
    let errors = lint(&[("a.yaml", &wrong), ("shop.yaml", SHOP)], NOW).unwrap_err();
    assert_eq!(errors[0].code, "unknown_environment");
    assert_eq!((&*errors[0].file, errors[0].line), ("a.yaml", 5));
    assert!(lint(&[("a.yaml", "")], NOW).is_err());
}

#[test]
fn what_files_cannot_tell_is_not_found() {
    // Members of a group, persons with a role and resources are elsewhere.
    let policy = "type: Policy\nname: P\nselector: environment.name == \"Production\"\nrules:\n  - environmentProgression: { waitFor: Staging }\n  - anyApproval: { minApprovals: 9 }\n  - approval: { stages: [{ name: QA, approvers: [group:qa, user:rita], minimum: 7 }, { name: R, approvers: [role:admin] }], expiresAfterHours: 1 }\n";
    assert!(codes(&[("shop.yaml", SHOP), ("p.yaml", policy)]).is_empty());
    let resource = "type: Resource\nname: s\nidentifier: s\nkind: Host\nversion: v1\nmetadata: { env: staging }\nconfig: {}\n";
    let found = lint(
        &[
            ("shop.yaml", SHOP),
            ("p.yaml", policy),
            ("r.yaml", resource),
        ],
        NOW,
    );
    let found = found.unwrap();
    let [one] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(one.finding.code, "selector_matches_nothing");
    assert_eq!(one.finding.severity.as_str(), "note");
    assert_eq!(one.finding.object.name, "Production");
}

#[test]
fn every_finding_has_a_page_and_every_page_a_finding() {
    let docs = root().join("docs");
    let index = std::fs::read_to_string(docs.join("lint.md")).unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for lint in LINTS {
        let (code, severity, title) = (lint.code, lint.severity, lint.title);
        assert!(codes.insert(code.to_owned()), "`{code}` stands twice");
        let page = std::fs::read_to_string(docs.join(format!("lint/{code}.md")))
            .unwrap_or_else(|error| panic!("docs/lint/{code}.md: {error}"));
        assert_eq!(page.lines().next(), Some(&*format!("# {code}")));
        let head = format!("**{title}.** Severity: {severity}.");
        for part in [
            &*head,
            "*Why it matters:*",
            "*How to mend it:*",
            "*Before:*",
            "*After:*",
        ] {
            assert!(page.contains(part), "docs/lint/{code}.md lacks {part}");
        }
        let row = format!("| [`{code}`](lint/{code}.md) | {severity} | {title} |");
        assert!(index.contains(&row), "docs/lint.md lacks {row}");
    }
    for page in std::fs::read_dir(docs.join("lint")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let code = name.trim_end_matches(".md");
        assert!(codes.contains(code), "docs/lint/{name} is of no finding");
    }
    let rows = index.lines().filter(|line| line.starts_with("| [`"));
    assert_eq!(rows.count(), LINTS.len(), "docs/lint.md has other rows");
}
