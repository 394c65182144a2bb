//! Links between our own documents lead somewhere.

use super::tree::normal;
use super::{Problem, Tree};
use std::path::{Path, PathBuf};

/// Every link to a local file that does not exist, in the top-level documents and under docs/.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let documents = tree.files().filter(|file| {
        let top = file.parent() == Some(Path::new(""));
        (top || file.starts_with("docs")) && file.extension().is_some_and(|e| e == "md")
    });
    for file in documents {
        let text = tree.text(file).unwrap_or_default();
        for (line, target) in targets(&text) {
            let found = resolve(file, &target)
                .is_none_or(|path| path.is_some_and(|path| tree.root().join(path).exists()));
            if !found {
                let what = format!("the link to `{target}` leads nowhere");
                let mend = "point it at a file in the repository, or remove it";
                problems.push(Problem::new(file, line, what, mend));
            }
        }
    }
    problems
}

/// The file a link means: `None` when it means none of ours, `Some(None)` when it leads out of the
/// repository.
fn resolve(document: &Path, target: &str) -> Option<Option<PathBuf>> {
    let scheme = target.split_once(':').map_or("", |(scheme, _)| scheme);
    let has_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    let (path, _) = target.split_once('#').unwrap_or((target, ""));
    if has_scheme || target.starts_with("//") || path.is_empty() {
        return None;
    }
    let path = path.replace("%20", " ");
    Some(match path.strip_prefix('/') {
        Some(from_root) => normal(Path::new(from_root)),
        None => {
            let folder = document.parent().unwrap_or(Path::new(""));
            normal(&folder.join(path))
        }
    })
}

/// The targets of `[text](target)`, `![text](target)` and `[label]: target` with their lines, code
/// left out.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"]
            .into_iter()
            .find(|mark| start.starts_with(mark));
        match (fence, marker) {
            (None, Some(_)) => {
                fence = marker;
                continue;
            }
            (Some(open), Some(mark)) if open == mark => {
                fence = None;
                continue;
            }
            (Some(_), _) => continue,
            (None, None) => {}
        }
        let line = without_code(line);
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            targets.push((index + 1, target(after, ')')));
            rest = after;
        }
        if let Some((label, after)) = line.trim_start().split_once("]: ") {
            // `[^1]: …` is a footnote.
            if label.starts_with('[') && !label.starts_with("[^") && !label.contains("](") {
                targets.push((index + 1, target(after.trim_start(), ' ')));
            }
        }
    }
    targets
}

/// The link at the start of `text`, which ends at `end` or before a title.
fn target(text: &str, end: char) -> String {
    if let Some((target, _)) = text.strip_prefix('<').and_then(|text| text.split_once('>')) {
        return target.to_owned();
    }
    let mut depth = 0;
    let stop = |c: char| {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        c == end || c.is_whitespace()
    };
    let length = text.find(stop).unwrap_or(text.len());
    text.get(..length).unwrap_or(text).to_owned()
}

/// The line with `code` spans taken out; a lone backtick stays.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let (before, from) = rest.split_at(start);
        let ticks: String = from.chars().take_while(|c| *c == '`').collect();
        let inside = from.strip_prefix(ticks.as_str()).unwrap_or("");
        out += before;
        match inside.split_once(ticks.as_str()) {
            Some((_, after)) => rest = after,
            None => {
                out += &ticks;
                rest = inside;
            }
        }
    }
    out + rest
}
