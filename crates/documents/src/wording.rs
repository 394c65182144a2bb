//! Turns of phrase that error messages share.

/// The candidate that `given` was probably meant to be.
pub(crate) fn closest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const COMPARED_MAX: usize = 64;
    let length = given.chars().count();
    // A third of the letters may be wrong: more would suggest words that have nothing in common.
    let allowed = (length / 3).max(1);
    if length == 0 || length > COMPARED_MAX {
        return None;
    }
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count() <= COMPARED_MAX + allowed)
        .map(|candidate| {
            let distance = strsim::osa_distance(&given, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean X? known: A, B, C`, as far as there is something to say.
pub(crate) fn known_hint(given: &str, known: &[&str], what: &str) -> String {
    let list = match known {
        [] => format!("there are no {what} yet"),
        known => format!("known {what}: {}", quoted_list(known)),
    };
    match closest(given, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`? {list}"),
        None => list,
    }
}

/// `` `a`, `b`, `c` ``; a long list is cut and the rest counted.
pub(crate) fn quoted_list(words: &[&str]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown: Vec<String> = words
        .iter()
        .take(SHOWN_MAX)
        .map(|word| format!("`{}`", clip(word)))
        .collect();
    let rest = words.len().saturating_sub(SHOWN_MAX);
    match rest {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// The user's text on one line, cut where it is too long for a message.
pub(crate) fn clip(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// The name as names are compared: whatever the case of its letters.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// `Shop API (EU)` becomes `shop-api-eu`; empty when no letter or digit of ASCII is in it.
pub(crate) fn slugified(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["environment", "deployment", "version"];
        assert_eq!(closest("enviroment", known), Some("environment"));
        assert_eq!(closest("Versoin", known), Some("version"));
        assert_eq!(closest("banana", known), None);
        assert_eq!(closest(&"e".repeat(5000), known), None);
    }

    #[test]
    fn slugs_are_made_of_ascii_letters_digits_and_single_dashes() {
        assert_eq!(slugified("Shop API (EU)"), "shop-api-eu");
        assert_eq!(slugified("--A__b--"), "a-b");
        assert_eq!(slugified("日本"), "");
    }

    #[test]
    fn long_or_many_line_text_is_cut_to_one_short_line() {
        assert_eq!(clip("a\nb"), "a b");
        assert_eq!(clip(&"x".repeat(100)).chars().count(), 81);
    }
}
