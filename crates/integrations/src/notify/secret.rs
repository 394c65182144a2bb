//! References to secrets: `{{ secret.NAME }}` in a notifier's configuration.
//!
//! The value stays with the server: it is read from its environment variable `STAGEGATE_SECRET_<NAME>`, the name
//! in capitals. The prefix keeps whoever may configure notifiers from reading the rest of that environment.

use super::outcome::DeliveryError;
use crate::config::ConfigError;
use crate::redact::Redactor;
use std::fmt;
use std::sync::Arc;

/// What stands before a secret's name in the server's environment.
pub const SECRET_VARIABLE_PREFIX: &str = "STAGEGATE_SECRET_";

const NAME_CHARS_MAX: usize = 100;

/// Where secrets come from.
#[derive(Clone)]
pub struct Secrets(Arc<Find>);

type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Secrets from this process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_fn(|name| std::env::var(variable(name)).ok())
    }

    /// Secrets by name from `find`.
    #[must_use]
    pub fn from_fn(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// A secret's value; `None` when it is not there or empty.
    pub(crate) fn find(&self, name: &str) -> Option<String> {
        let value = (self.0)(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty())
    }

    /// `text` with every reference replaced; what was put in is made known to `redactor`.
    pub(super) fn fill(
        &self,
        path: &str,
        text: &str,
        redactor: &mut Redactor,
    ) -> Result<String, DeliveryError> {
        let mut filled = String::new();
        for part in parts(path, text)? {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Secret(name) => {
                    let value = self.find(name).ok_or_else(|| {
                        let message = format!(
                            "`{path}`: the server has no secret `{name}`; start it with the environment variable `{}`",
                            variable(name)
                        );
                        DeliveryError::again("secret_missing", message)
                    })?;
                    redactor.add(&value);
                    redactor.add_url(&value);
                    filled.push_str(&value);
                }
            }
        }
        Ok(filled)
    }
}

/// The environment variable that holds a secret.
pub(crate) fn variable(name: &str) -> String {
    format!("{SECRET_VARIABLE_PREFIX}{}", name.to_ascii_uppercase())
}

enum Part<'t> {
    Text(&'t str),
    Secret(&'t str),
}

/// Checks that every template in `text` names a secret.
pub(super) fn check(path: &str, text: &str) -> Result<(), ConfigError> {
    parts(path, text).map(drop)
}

/// Checks that `text` is nothing but the name of a secret, so that no secret is ever stored.
pub(super) fn check_only_reference(path: &str, text: &str) -> Result<(), ConfigError> {
    match parts(path, text.trim())?.as_slice() {
        [Part::Secret(_)] => Ok(()),
        _ => Err(ConfigError::invalid(
            path,
            "a secret cannot stand here itself",
            format!(
                "write `{{{{ secret.NAME }}}}` and start the server with the environment variable `{SECRET_VARIABLE_PREFIX}NAME`"
            ),
        )),
    }
}

fn parts<'t>(path: &str, text: &'t str) -> Result<Vec<Part<'t>>, ConfigError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, opened) = rest.split_at(start);
        let Some(end) = opened.find("}}") else {
            let what = "a template is opened with `{{` and never closed";
            return Err(ConfigError::invalid(path, what, "close it with `}}`"));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let expression = opened[2..end].trim();
        let name = expression.trim_start_matches('.').strip_prefix("secret.");
        parts.push(Part::Secret(name.filter(|it| is_name(it)).ok_or_else(
            || {
                ConfigError::invalid(
                    path,
                    "only secrets can be referred to here",
                    "write `{{ secret.NAME }}`; a name has letters, digits and `_`",
                )
            },
        )?));
        rest = &opened[end + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::from_fn(|name| (name == "hook").then(|| " s3cret-value\n".to_owned()))
    }

    #[test]
    fn references_are_filled_and_their_values_redacted() {
        let mut redactor = Redactor::default();
        let filled = secrets().fill("url", "https://x/{{ secret.hook }}/y", &mut redactor);
        assert_eq!(filled.unwrap(), "https://x/s3cret-value/y");
        assert_eq!(redactor.text("at s3cret-value"), "at [redacted]");
    }

    #[test]
    fn a_missing_secret_names_its_variable() {
        let missing = secrets().fill("password", "{{secret.smtp}}", &mut Redactor::default());
        let error = missing.unwrap_err();
        assert_eq!((error.code, error.is_final), ("secret_missing", false));
        assert!(error.message.contains("`STAGEGATE_SECRET_SMTP`"), "{error}");
    }

    #[test]
    fn nothing_but_secrets_can_be_referred_to() {
        for wrong in [
            "{{ env.HOME }}",
            "{{ secret.a-b }}",
            "{{ secret. }}",
            "{{ secret.a",
            "{{ secret.1 }}",
            "{{ resource.name }}",
        ] {
            assert_eq!(check("url", wrong).unwrap_err().path, "url", "{wrong}");
        }
        for right in ["", "plain", "a {{ secret.A_1 }} b {{.secret.b}}"] {
            assert_eq!(check("url", right), Ok(()), "{right}");
        }
    }

    #[test]
    fn where_a_secret_belongs_only_a_reference_may_stand() {
        assert_eq!(
            check_only_reference("secret", " {{ secret.hook }} "),
            Ok(())
        );
        for wrong in ["whsec_abc", "", "x{{ secret.hook }}"] {
            let error = check_only_reference("secret", wrong).unwrap_err();
            assert!(!error.to_string().contains("whsec_abc"), "{error}");
        }
    }
}
