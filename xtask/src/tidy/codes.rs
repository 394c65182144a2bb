//! Every error code a user can meet has a page in docs/errors/, and every page a code.

use super::rust_text::{Kind, RustText, Token};
use super::{Problem, Tree};
use std::collections::BTreeMap;
use std::path::Path;

/// The central table: `pub const CODES: &[(&str, u16, &str)]`.
const CODES: &str = "crates/api/src/codes.rs";
const PAGES: &str = "docs/errors";

/// Codes without a page, pages without a code, and pages headed otherwise than by their code.
/// Nothing is checked while the table does not exist.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let Some(text) = tree.text(Path::new(CODES)) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let Some(entries) = entries(&RustText::read(&text).tokens) else {
        let what = "there is no table `CODES` here";
        let mend =
            "write it as `pub const CODES: &[(&str, u16, &str)] = &[(\"code\", 409, \"…\"), …];`";
        return vec![Problem::new(CODES, 1, what, mend)];
    };
    let mut codes = BTreeMap::new();
    for (code, line) in entries {
        if let Some(first) = codes.insert(code.clone(), line) {
            let what = format!("`{code}` stands here and in line {first}");
            problems.push(Problem::new(CODES, line, what, "keep one of them"));
        }
    }
    for (code, line) in &codes {
        let page = Path::new(PAGES).join(format!("{code}.md"));
        let heading = format!("# {code}");
        match tree.text(&page) {
            None => problems.push(Problem::new(
                CODES,
                *line,
                format!("`{code}` has no page"),
                format!("write {}, its first line `{heading}`", page.display()),
            )),
            Some(text) if text.lines().next().map(str::trim_end) != Some(heading.as_str()) => {
                let what = "the first line is not the code's heading";
                let mend = format!("begin with `{heading}`");
                problems.push(Problem::new(page, 1, what, mend));
            }
            Some(_) => {}
        }
    }
    let pages = tree
        .files()
        .filter(|file| file.parent() == Some(Path::new(PAGES)));
    for page in pages.filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let stem = page.file_stem().unwrap_or_default().to_string_lossy();
        // The folder's own introduction.
        if stem != "README" && !codes.contains_key(stem.as_ref()) {
            let what = format!("no code `{stem}` exists");
            let mend = format!("add it to {CODES}, or remove the page");
            problems.push(Problem::new(page, 1, what, mend));
        }
    }
    problems
}

/// The code of each entry of the table and its line; `None` when there is no table.
fn entries(tokens: &[Token]) -> Option<Vec<(String, usize)>> {
    let name = tokens.iter().position(|token| token.is_word("CODES"))?;
    let (_, after) = tokens.split_at(name);
    let equals = after.iter().position(|token| token.is_mark('='))?;
    let mut entries = Vec::new();
    let mut previous_opens = false;
    for token in after.iter().skip(equals) {
        match &token.kind {
            Kind::Mark(';') => return Some(entries),
            Kind::Text(code) if previous_opens => entries.push((code.clone(), token.line)),
            _ => {}
        }
        previous_opens = token.is_mark('(');
    }
    None
}
