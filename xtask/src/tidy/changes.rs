//! Every change a user can notice is told in a file of its own under changes/unreleased/.

use super::{Problem, Tree};
use std::path::Path;

const FOLDER: &str = "changes/unreleased";

/// The folder without a note, notes that are empty, and files that are no notes.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut notes = 0;
    for file in tree
        .files()
        .filter(|f| f.parent() == Some(Path::new(FOLDER)))
    {
        if file.extension().is_none_or(|extension| extension != "md") {
            let mend = "name it `<number>-<change>.md`";
            problems.push(Problem::new(file, 1, "this is no Markdown file", mend));
            continue;
        }
        notes += 1;
        if tree.text(file).is_none_or(|text| text.trim().is_empty()) {
            let mend = "say what a user notices, in a few lines";
            problems.push(Problem::new(file, 1, "the note is empty", mend));
        }
    }
    if notes == 0 {
        let mend = "add `<number>-<change>.md` with what a user notices";
        problems.push(Problem::new(FOLDER, 1, "no change is told here", mend));
    }
    problems
}
