//! The HTML half of a mail: a heading, paragraphs and a link; no images, no scripts, nothing fetched.

use crate::notify::Message;

/// The message as a page.
pub(super) fn page(message: &Message) -> String {
    let paragraphs: String = message
        .text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("<p>{}</p>\n", escaped(line)))
        .collect();
    // Only an HTTP address becomes a link.
    let link = message
        .link
        .as_deref()
        .filter(|link| link.starts_with("http://") || link.starts_with("https://"))
        .map(|link| {
            format!(
                "<p><a href=\"{}\">Open in Stagegate</a></p>\n",
                escaped(link)
            )
        })
        .unwrap_or_default();
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{subject}</title></head>\n\
         <body style=\"font-family: sans-serif\">\n<h2>{subject}</h2>\n{paragraphs}{link}\
         <p style=\"color: #666\">{workspace} · {time}</p>\n</body></html>\n",
        subject = escaped(&message.subject),
        workspace = escaped(&message.workspace.name),
        time = escaped(&message.timestamp),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests_support::message;

    #[test]
    fn text_of_others_is_never_markup() {
        let page = page(&Message {
            subject: "<script>alert(1)</script>".to_owned(),
            text: "a & b\n\n\"c\"".to_owned(),
            link: Some("javascript:alert(1)".to_owned()),
            ..message()
        });
        assert!(
            !page.contains("<script>") && !page.contains("javascript:"),
            "{page}"
        );
        assert!(
            page.contains("<p>a &amp; b</p>\n<p>&quot;c&quot;</p>"),
            "{page}"
        );
    }
}
