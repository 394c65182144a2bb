//! Asking a person before something that is hard to take back.

use crate::failure::Failure;
use anyhow::Result;
use std::io::{self, IsTerminal as _, Write as _};

/// Asks for a yes.
///
/// # Errors
/// When nobody is there to be asked: then `--yes` has to say it.
pub fn confirmed(what: &str, question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage("missing_field", format!("{what}; it needs a person's yes"))
                .hint("add `--yes`")
                .into(),
        );
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{what}. {question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
