//! Errors, for people and for programs.

use super::{Paint, clean, one_line};
use crate::documents;
use crate::failure::Failure;
use stagegate_api::DocumentProblem;

/// `error: … [code]`, every problem of a document with its line, and `hint: …`.
pub fn text(failure: &Failure, paint: Paint) -> String {
    let problem = &failure.problem;
    let error = paint.bad("error:");
    let code = paint.dim(&format!("[{}]", one_line(&problem.code)));
    let mut text = String::new();
    for one in &problem.errors {
        text.push_str(&document(one, paint));
    }
    let field = match &problem.field {
        Some(field) => format!("{}: ", one_line(field)),
        None => String::new(),
    };
    let detail = clean(&problem.detail);
    let detail = if detail.trim().is_empty() {
        clean(&problem.title)
    } else {
        detail
    };
    text.push_str(&format!("{error} {field}{} {code}\n", detail.trim_end()));
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("{} {}\n", paint.open("hint:"), clean(hint)));
    }
    text
}

/// Where in the file, what, and the line itself when the file is at hand.
fn document(problem: &DocumentProblem, paint: Paint) -> String {
    let place = format!("{}:{}:{}:", problem.file, problem.line, problem.column);
    let field = if problem.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", one_line(&problem.field))
    };
    let mut text = format!(
        "{} {field}{} {}\n",
        paint.strong(&one_line(&place)),
        one_line(&problem.message),
        paint.dim(&format!("[{}]", one_line(&problem.code)))
    );
    if let Some(line) = documents::line_of(&problem.file, problem.line) {
        let (line, column) = around(&one_line(&line), problem.column.saturating_sub(1));
        let before = line.chars().take(column);
        let pad = " ".repeat(unicode_width::UnicodeWidthStr::width(
            before.collect::<String>().as_str(),
        ));
        text.push_str(&format!("    {line}\n    {pad}{}\n", paint.bad("^")));
    }
    if !problem.hint.is_empty() {
        text.push_str(&format!(
            "    {} {}\n",
            paint.open("hint:"),
            one_line(&problem.hint)
        ));
    }
    text
}

/// What fits on a terminal of a long line, around the character at `column` from 0, and where that is then.
fn around(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    let from = column.saturating_sub(WIDTH / 2);
    let mut part: String = line.chars().skip(from).take(WIDTH).collect();
    let mut column = column - from;
    if from > 0 {
        part.insert(0, '…');
        column += 1;
    }
    if line.chars().count() > from + WIDTH {
        part.push('…');
    }
    (part, column)
}

/// The problem as the API answers it.
pub fn json(failure: &Failure) -> String {
    serde_json::to_string_pretty(&failure.problem)
        .unwrap_or_else(|_| r#"{"code":"internal"}"#.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_around_its_mistake() {
        assert_eq!(around("short", 2), ("short".to_owned(), 2));
        let (part, column) = around(&format!("{}X{}", "a".repeat(500), "b".repeat(500)), 500);
        assert_eq!(part.chars().nth(column), Some('X'));
        assert!(part.chars().count() < 110);
        assert_eq!(around("short", 900).1, 51);
    }

    #[test]
    fn errors_say_what_how_to_mend_it_and_their_code() {
        let failure = Failure::refused("name_taken", "there is a `staging` already")
            .hint("choose another name");
        assert_eq!(
            text(&failure, Paint::none()),
            "error: there is a `staging` already [name_taken]\nhint: choose another name\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json(&failure)).unwrap();
        assert_eq!(json["code"], "name_taken");
        assert_eq!(json["status"], 409);
    }
}
