//! Forms are taken only from our own pages.

use crate::answer::{Answer, Failure};
use axum::http::{HeaderMap, header};

/// Refuses a form that another site's page sent. Browsers say where a form comes from; what is no browser carries
/// no one's session.
pub(super) fn check(headers: &HeaderMap) -> Answer<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host != text(header::HOST.as_str())
        }
        (None, None) => false,
    };
    if foreign {
        return Err(
            Failure::new("forbidden", "the form was sent by a page of another site")
                .hint("open this server's own page and try again"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        check(&headers).is_ok()
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        assert!(allowed(&[("sec-fetch-site", "same-origin")]));
        assert!(!allowed(&[("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&[("sec-fetch-site", "same-site")]));
        assert!(allowed(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(!allowed(&[("host", "a:1"), ("origin", "http://b:1")]));
        assert!(!allowed(&[("host", "a:1"), ("origin", "null")]));
        assert!(allowed(&[]));
    }
}
