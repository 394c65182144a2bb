//! For CI servers: JUnit XML, a suite for each folder and a case for each scenario.

use super::{Outcome, Report, ScenarioResult, human};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn text(report: &Report) -> String {
    let mut suites: BTreeMap<String, Vec<&ScenarioResult>> = BTreeMap::new();
    for scenario in &report.scenarios {
        let folder = Path::new(&scenario.file)
            .parent()
            .map_or_else(String::new, |folder| folder.display().to_string());
        suites.entry(folder).or_default().push(scenario);
    }
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    text.push_str(&format!(
        "<testsuites name=\"stagegate test\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
        report.scenarios.len(),
        report.failed,
        report.invalid
    ));
    for (folder, scenarios) in suites {
        let count = |wanted: fn(&Outcome) -> bool| {
            scenarios.iter().filter(|it| wanted(&it.outcome)).count()
        };
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
            escaped(&folder),
            scenarios.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Invalid(_))),
        ));
        for scenario in scenarios {
            text.push_str(&case(scenario, &folder));
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(scenario: &ScenarioResult, folder: &str) -> String {
    let name = match scenario.name.as_str() {
        "" => &scenario.file,
        name => name,
    };
    let open = format!(
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" time=\"{:.3}\"",
        escaped(name),
        escaped(folder),
        escaped(&scenario.file),
        scenario.duration.as_secs_f64()
    );
    let (tag, message, body) = match &scenario.outcome {
        Outcome::Passed => return format!("{open}/>\n"),
        Outcome::Failed(failures) => {
            let first = failures.first();
            let message = first.map_or_else(String::new, |failure| {
                format!("expected {}, got {}", failure.expected, failure.got)
            });
            let mut body = human::all(scenario, failures);
            body.push_str(&human::timeline(scenario));
            ("failure", message, body)
        }
        Outcome::Invalid(errors) => {
            let message = errors.first().cloned().unwrap_or_default();
            ("error", message, errors.join("\n"))
        }
    };
    format!(
        "{open}>\n      <{tag} message=\"{}\">{}</{tag}>\n    </testcase>\n",
        escaped(&message),
        escaped(&body)
    )
}

/// Text for XML 1.0: its marks escaped, characters it cannot hold replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(letter),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_replaced() {
        assert_eq!(
            escaped("a<b & \"c\"\u{1}"),
            "a&lt;b &amp; &quot;c&quot;\u{fffd}"
        );
    }
}
