//! `stagegate explain-rule`

use crate::Answer;
use crate::output::{Cell, Output, Table};
use crate::resolve;
use anyhow::Result;
use serde_json::json;
use stagegate_engine::{REGISTRY, RuleKind};

/// Explain a kind of rule: what it does, and every setting. Without a kind, list them.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate explain-rule
  stagegate explain-rule environmentProgression
  stagegate explain-rule retry --schema")]
pub struct Args {
    /// Such as `anyApproval`
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// Print the JSON Schema of its settings, for editors and other programs
    #[arg(long, requires = "kind")]
    schema: bool,
}

impl Args {
    pub fn run(self, out: &Output) -> Result<Answer> {
        let Some(kind) = self.kind else {
            let kinds: Vec<_> = REGISTRY
                .iter()
                .map(|rule| json!({"kind": rule.kind, "summary": summary(rule)}))
                .collect();
            out.show(&kinds, |_, paint| {
                let mut table = Table::new(["KIND", "WHAT IT DOES"]);
                for rule in REGISTRY {
                    table.row([Cell::strong(rule.kind), Cell::from(summary(rule))]);
                }
                table.render(paint)
            })?;
            return Ok(Answer::Yes);
        };
        let rule =
            resolve::pick("rule", &kind, REGISTRY, |rule| vec![rule.kind]).map_err(|error| {
                let mut failure = crate::failure::Failure::from_error(error);
                failure.problem.code = "unknown_rule".to_owned();
                failure.problem.detail = format!("there is no kind of rule `{kind}`");
                failure.exit = crate::failure::USAGE;
                failure
            })?;
        let schema: serde_json::Value = serde_json::from_str(rule.schema)?;
        if self.schema {
            out.show(&schema, |_, _| rule.schema.to_owned())?;
            return Ok(Answer::Yes);
        }
        let page = json!({"kind": rule.kind, "documentation": rule.doc, "schema": schema});
        out.show(&page, |_, _| rule.doc.to_owned())?;
        Ok(Answer::Yes)
    }
}

/// The first sentence of the rule's page.
fn summary(rule: &RuleKind) -> String {
    let first = rule
        .doc
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty() || line.starts_with('#'))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match first.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_summary() {
        for rule in REGISTRY {
            let summary = summary(rule);
            assert!(
                summary.len() > 10 && !summary.contains('\n'),
                "{}: {summary}",
                rule.kind
            );
        }
    }

    #[test]
    fn the_pages_in_docs_are_those_of_the_rules() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules");
        let mut pages = std::collections::BTreeSet::new();
        for rule in REGISTRY {
            let page = format!("{}.md", rule.kind);
            let text = std::fs::read_to_string(docs.join(&page)).unwrap_or_default();
            assert_eq!(
                text, rule.doc,
                "copy the rule's doc.md to docs/rules/{page}"
            );
            pages.insert(page);
        }
        let there = std::fs::read_dir(&docs).expect("docs/rules");
        for page in there.map(|entry| entry.expect("a page").file_name()) {
            let page = page.to_string_lossy().into_owned();
            assert!(pages.contains(&page), "docs/rules/{page} is of no rule");
        }
    }
}
