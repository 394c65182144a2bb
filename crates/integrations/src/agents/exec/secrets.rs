//! Secrets in a job's configuration: each stands there as a mark, and its value comes from the runner's own
//! environment, `STAGEGATE_SECRET_<NAME>`. It goes nowhere but to the process that is started.

use crate::config::ConfigError;
use crate::notify::Secrets;
use serde_json::Value;
use std::collections::BTreeMap;

/// What every mark contains; what still has it when all are filled in was changed on its way here.
const MARK: &str = "stagegate-secret:";

/// Puts the values of `marks` (the secret's name by its mark) in their places. What was put in is added to `filled`.
pub(super) fn fill(
    config: Value,
    marks: &BTreeMap<String, String>,
    secrets: &Secrets,
    filled: &mut Vec<String>,
) -> Result<Value, ConfigError> {
    if marks.is_empty() {
        return Ok(config);
    }
    let mut values = BTreeMap::new();
    let whole = config.to_string();
    // A secret that the configuration does not use need not be there.
    for (mark, name) in marks.iter().filter(|(mark, _)| whole.contains(&***mark)) {
        let value = secrets.find(name).ok_or_else(|| {
            ConfigError::invalid(
                "secrets",
                format!("this runner has no secret `{name}`"),
                format!(
                    "start it with the environment variable `{}`",
                    crate::notify::secret_variable(name)
                ),
            )
        })?;
        filled.push(value.clone());
        values.insert(mark.as_str(), value);
    }
    walk(config, "config", &values)
}

fn walk(json: Value, path: &str, values: &BTreeMap<&str, String>) -> Result<Value, ConfigError> {
    Ok(match json {
        Value::String(mut text) => {
            if !text.to_ascii_lowercase().contains(MARK) {
                return Ok(Value::String(text));
            }
            for (mark, value) in values {
                text = text.replace(mark, value);
            }
            if text.to_ascii_lowercase().contains(MARK) {
                return Err(ConfigError::invalid(
                    path,
                    "a secret was changed before it came here",
                    "write it as `{{ variables.NAME }}`, without filters",
                ));
            }
            Value::String(text)
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| walk(item, &format!("{path}[{index}]"), values))
                .collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let value = walk(value, &format!("{path}.{key}"), values)?;
                Ok((key, value))
            });
            fields.collect::<Result<_, ConfigError>>()?
        }
        plain => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn marks() -> BTreeMap<String, String> {
        let mark = |name: &str| format!("[[stagegate-secret:7:{name}]]");
        ["DB", "OTHER"]
            .map(|name| (mark(name), name.to_owned()))
            .into()
    }

    fn secrets() -> Secrets {
        Secrets::from_fn(|name| (name == "DB").then(|| "hunter22".to_owned()))
    }

    #[test]
    fn marks_are_filled_and_values_remembered() {
        let mut filled = Vec::new();
        let config = json!({ "env": { "URL": "pg://[[stagegate-secret:7:DB]]@h" }, "n": [1] });
        let done = fill(config, &marks(), &secrets(), &mut filled).unwrap();
        assert_eq!(
            done,
            json!({ "env": { "URL": "pg://hunter22@h" }, "n": [1] })
        );
        assert_eq!(filled, ["hunter22"]);
    }

    #[test]
    fn a_missing_secret_names_its_variable() {
        let config = json!({ "command": ["[[stagegate-secret:7:OTHER]]"] });
        let error = fill(config, &marks(), &secrets(), &mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains("STAGEGATE_SECRET_OTHER"),
            "{error}"
        );
    }

    #[test]
    fn a_mark_that_was_changed_or_is_of_another_release_is_refused() {
        for wrong in ["[[STAGEGATE-SECRET:7:DB]]", "[[stagegate-secret:8:DB]]"] {
            let config = json!({ "command": [wrong] });
            let error = fill(config, &marks(), &secrets(), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("command[0]"), "{error}");
        }
    }
}
