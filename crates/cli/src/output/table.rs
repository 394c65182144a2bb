//! Tables: columns as wide as what stands in them.

use super::{Paint, Tone, one_line};
use unicode_width::UnicodeWidthStr as _;

/// One field of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text in a tone; line ends become spaces.
    #[must_use]
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: one_line(text.as_ref()),
            tone,
        }
    }

    #[must_use]
    pub fn dim(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Dim)
    }

    #[must_use]
    pub fn strong(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Strong)
    }

    /// A status with its mark.
    #[must_use]
    pub fn status(status: &str) -> Self {
        let text = format!(
            "{} {}",
            super::status_mark(status),
            super::status_word(status)
        );
        Self::new(text, super::status_tone(status))
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows under a heading.
#[derive(Clone, Debug)]
pub struct Table {
    heading: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    #[must_use]
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self::with_heading(heading.into_iter().map(Cell::dim).collect())
    }

    #[must_use]
    pub fn with_heading(heading: Vec<Cell>) -> Self {
        Self {
            heading,
            rows: Vec::new(),
            indent: 0,
        }
    }

    #[must_use]
    pub fn indent(mut self, columns: usize) -> Self {
        self.indent = columns;
        self
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let lines = || std::iter::once(&self.heading).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = lines().filter_map(|line| line.get(column));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in lines() {
            let mut rendered = " ".repeat(self.indent);
            let mut owed = 0;
            for (cell, width) in line.iter().zip(&widths) {
                // Spaces are written only before something, so that no line ends in them.
                if !cell.text.is_empty() {
                    rendered.push_str(&" ".repeat(owed));
                    rendered.push_str(&paint.tone(cell.tone, &cell.text));
                    owed = 0;
                }
                owed += width - cell.width() + 2;
            }
            text.push_str(rendered.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(["NAME", "", "LAST"]).indent(2);
        table.row(["東京".into(), "✓ x".into(), "1".into()]);
        table.row(["longer name".into(), "".into(), "two\nlines".into()]);
        table.row(["z".into(), "".into(), "".into()]);
        assert_eq!(
            table.render(Paint::none()),
            "  NAME              LAST\n  東京         ✓ x  1\n  longer name       two lines\n  z\n"
        );
    }
}
