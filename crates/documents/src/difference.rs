//! What differs between two states of an entity, field by field.

use crate::form::Form;
use crate::yaml::{join, join_index};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One field that would change; `None` where it is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// As in the document: `resourceSelector`, `metadata.env`, `rules[0].anyApproval.minApprovals`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Json>,
}

/// Every field that differs, in the order of the new form.
pub(crate) fn between(old: &Form, new: &Form) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let of = |form: &Form, wanted: &str| -> Option<Json> {
        let found = form.iter().find(|(key, _)| *key == wanted);
        found.map(|(_, value)| value.clone())
    };
    for (key, value) in new {
        compare(
            &mut changes,
            (*key).to_owned(),
            of(old, key).as_ref(),
            Some(value),
        );
    }
    for (key, value) in old {
        if of(new, key).is_none() {
            compare(&mut changes, (*key).to_owned(), Some(value), None);
        }
    }
    changes
}

fn compare(changes: &mut Vec<FieldChange>, path: String, old: Option<&Json>, new: Option<&Json>) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            for (key, value) in new {
                compare(changes, join(&path, key), old.get(key), Some(value));
            }
            for (key, value) in old {
                if !new.contains_key(key) {
                    compare(changes, join(&path, key), Some(value), None);
                }
            }
        }
        (Some(Json::Array(old)), Some(Json::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                let path = join_index(&path, index);
                compare(changes, path, old.get(index), new.get(index));
            }
        }
        (old, new) => changes.push(FieldChange {
            path,
            from: old.cloned(),
            to: new.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_the_innermost_fields_that_differ() {
        let old = vec![
            ("a", json!({"x": 1, "y.z": [1, 2]})),
            ("gone", json!("g")),
            ("same", json!(true)),
        ];
        let new = vec![
            ("a", json!({"x": 1, "y.z": [1, 3, 4]})),
            ("same", json!(true)),
            ("fresh", json!({"deep": 1})),
        ];
        let changes = between(&old, &new);
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (change.path.as_str(), change.from.clone(), change.to.clone()))
            .collect();
        assert_eq!(
            shown,
            [
                ("a[\"y.z\"][1]", Some(json!(2)), Some(json!(3))),
                ("a[\"y.z\"][2]", None, Some(json!(4))),
                ("fresh", None, Some(json!({"deep": 1}))),
                ("gone", Some(json!("g")), None),
            ]
        );
    }
}
