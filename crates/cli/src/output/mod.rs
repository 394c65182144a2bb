//! What people and programs see: text or JSON on standard output, remarks and errors on standard error.

pub mod gates;
mod paint;
mod report;
mod symbols;
mod table;
pub mod when;

pub use paint::{Paint, Tone};
pub use symbols::{status_mark, status_tone, status_word};
pub use table::{Cell, Table};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// JUnit XML, for CI servers; only `stagegate test` writes it
    Junit,
}

/// Where everything is written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    paint: Paint,
    paint_errors: Paint,
}

impl Output {
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            paint: Paint::for_stream(io::stdout().is_terminal()),
            paint_errors: Paint::for_stream(io::stderr().is_terminal()),
        }
    }

    /// Whether a program reads it.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person looks at it as it appears.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.format == Format::Text && io::stdout().is_terminal()
    }

    /// How text on standard output is coloured.
    #[must_use]
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes text; a line's end is added where there is none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Writes text as it is: a part of something that goes on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn piece(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        self.text(&serde_json::to_string_pretty(value)?)
    }

    /// Writes a value as one line of JSON, for streams.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json_line(&self, value: &impl Serialize) -> Result<()> {
        self.text(&serde_json::to_string(value)?)
    }

    /// Writes the value for programs, or what `text` makes of it for people.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Paint) -> String,
    ) -> Result<()> {
        match self.format {
            Format::Json => self.json(&value),
            Format::Text | Format::Junit => self.text(&text(value, self.paint)),
        }
    }

    /// A remark beside the answer, for people only.
    pub fn note(&self, text: &str) {
        if self.format == Format::Text {
            self.remark(text);
        }
    }

    /// A remark that programs' users need to see too.
    pub fn remark(&self, text: &str) {
        // Nobody is left to be told that standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{}", clean(text));
    }

    /// Tells what went wrong.
    pub fn failure(&self, failure: &Failure) {
        let text = match self.format {
            Format::Text | Format::Junit => report::text(failure, self.paint_errors),
            Format::Json => report::json(failure),
        };
        let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
    }
}

/// Text from elsewhere without what could drive a terminal; line ends and tabs stay.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect()
}

/// Text from elsewhere as one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .collect();
    clean(&spaced)
}

/// `1 version`, `2 versions`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_driven_from_outside() {
        assert_eq!(clean("a\x1b[31mb\u{9b}2Jc\n\td\r"), "a[31mb2Jc\n\td");
        assert_eq!(one_line("a\r\nb\tc\x07"), "a  b c");
    }
}
