//! A figure with what it is held against, and how it is printed.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One measured figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The letter of the table.
    pub row: String,
    pub work: String,
    /// How large the fleet was: release targets, or resources where the work says so.
    pub size: u64,
    pub value: f64,
    pub unit: Unit,
    /// What the smallest program takes that does only the unavoidable part, measured in the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must: Option<Must>,
    /// Resident memory of the process afterwards, in bytes.
    pub resident: u64,
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Seconds,
    PerSecond,
    Bytes,
    Count,
}

/// The least that the machine takes for the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limit {
    pub value: f64,
    pub what: String,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Must {
    AtMost(f64),
    AtLeast(f64),
    /// At most so many times the limit.
    TimesLimit(f64),
    /// At least this share of the limit.
    ShareOfLimit(f64),
}

impl Figure {
    pub fn new(row: &str, work: impl Into<String>, size: usize, value: f64, unit: Unit) -> Self {
        Self {
            row: row.to_owned(),
            work: work.into(),
            size: size as u64,
            value,
            unit,
            limit: None,
            must: None,
            resident: crate::footprint::resident(),
        }
    }

    pub fn seconds(row: &str, work: impl Into<String>, size: usize, spent: Duration) -> Self {
        Self::new(row, work, size, spent.as_secs_f64(), Unit::Seconds)
    }

    pub fn must(mut self, must: Must) -> Self {
        self.must = Some(must);
        self
    }

    pub fn limit(mut self, value: f64, what: &str) -> Self {
        self.limit = Some(Limit {
            value,
            what: what.to_owned(),
        });
        self
    }

    /// The figure over its limit.
    pub fn ratio(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| self.value / limit.value)
    }

    /// Whether it is what it has to be, if it has to be anything.
    pub fn is_met(&self) -> Option<bool> {
        Some(match self.must? {
            Must::AtMost(most) => self.value <= most,
            Must::AtLeast(least) => self.value >= least,
            Must::TimesLimit(times) => self.ratio()? <= times,
            Must::ShareOfLimit(share) => self.ratio()? >= share,
        })
    }

    /// A row of the table.
    pub fn line(&self) -> String {
        let limit = self.limit.as_ref();
        let must = match self.must {
            None => String::new(),
            Some(Must::AtMost(most)) => format!("≤ {}", self.unit.text(most)),
            Some(Must::AtLeast(least)) => format!("≥ {}", self.unit.text(least)),
            Some(Must::TimesLimit(times)) => format!("≤ {times} × limit"),
            Some(Must::ShareOfLimit(share)) => format!("≥ {share} × limit"),
        };
        let met = match self.is_met() {
            None => "",
            Some(true) => "yes",
            Some(false) => "**no**",
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.row,
            self.work,
            grouped(self.size),
            self.unit.text(self.value),
            limit.map_or(String::new(), |it| format!(
                "{}, {}",
                self.unit.text(it.value),
                it.what
            )),
            self.ratio()
                .map_or(String::new(), |ratio| format!("{ratio:.2}")),
            must,
            met,
            Unit::Bytes.text(self.resident as f64),
        )
    }
}

/// The table's heading.
pub fn heading() -> String {
    "| row | work | size | figure | limit | ratio | must be | met | memory |\n|---|---|---:|---:|---|---:|---|---|---:|"
        .to_owned()
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 1e-6 => format!("{:.0} ns", value * 1e9),
            Self::Seconds if value < 1e-3 => format!("{:.1} µs", value * 1e6),
            Self::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::PerSecond => format!("{}/s", grouped(value.round() as u64)),
            Self::Bytes if value < 10_000.0 => format!("{value:.0} B"),
            Self::Bytes if value < 10_000_000.0 => format!("{:.0} kB", value / 1e3),
            Self::Bytes => format!("{:.0} MB", value / 1e6),
            Self::Count => grouped(value.round() as u64),
        }
    }
}

/// With a space between each three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The value below which `share` of the sorted values are.
pub fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let at = (values.len() as f64 * share).ceil() as usize;
    values
        .get(at.clamp(1, values.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let mut values: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut values, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&mut values, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&mut values, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_figure_is_held_against_what_it_must_be() {
        let figure = Figure::new("a", "work", 12_345, 0.002, Unit::Seconds);
        assert_eq!(figure.is_met(), None);
        assert_eq!(
            figure.clone().must(Must::AtMost(0.002)).is_met(),
            Some(true)
        );
        assert_eq!(
            figure.clone().must(Must::AtMost(0.001)).is_met(),
            Some(false)
        );
        let held = figure.limit(0.001, "one flush");
        assert_eq!(
            held.clone().must(Must::TimesLimit(1.9)).is_met(),
            Some(false)
        );
        assert_eq!(
            held.clone().must(Must::TimesLimit(2.0)).is_met(),
            Some(true)
        );
        assert!(
            held.line()
                .starts_with("| a | work | 12 345 | 2.0 ms | 1.0 ms, one flush | 2.00 |")
        );
    }
}
