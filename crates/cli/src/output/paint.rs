//! Colour, where someone looks.

use std::env;

/// What a piece of text is meant to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// It is as it should be.
    Good,
    /// Something failed or is shut.
    Bad,
    /// Something is awaited or under way.
    Open,
    /// Beside the point.
    Dim,
    Strong,
}

/// Colours text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    enabled: bool,
}

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set; `CLICOLOR_FORCE` colours everywhere.
    #[must_use]
    pub fn for_stream(is_terminal: bool) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        Self {
            enabled: !set("NO_COLOR") && (is_terminal || set("CLICOLOR_FORCE")),
        }
    }

    /// Never colours.
    #[cfg(test)]
    #[must_use]
    pub fn none() -> Self {
        Self { enabled: false }
    }

    /// `text` in that tone.
    #[must_use]
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.enabled || text.is_empty() => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Open => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.tone(Tone::Good, text)
    }

    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.tone(Tone::Bad, text)
    }

    #[must_use]
    pub fn open(self, text: &str) -> String {
        self.tone(Tone::Open, text)
    }

    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.tone(Tone::Dim, text)
    }

    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.tone(Tone::Strong, text)
    }
}
