//! What differs between two JSON values, path by path.

use stagegate_api::{ConfigChange, Json};

/// How many differences are told.
const TOLD_MAX: usize = 1000;

/// The differences, in order of the paths; everything is new where there was nothing before.
pub(crate) fn differences(before: Option<&Json>, after: &Json) -> Vec<ConfigChange> {
    let mut changes = Vec::new();
    collect(String::new(), before, Some(after), &mut changes);
    changes
}

fn collect(
    path: String,
    before: Option<&Json>,
    after: Option<&Json>,
    changes: &mut Vec<ConfigChange>,
) {
    let nothing = |it: Option<&Json>| it.is_none_or(Json::is_null);
    if before == after || (nothing(before) && nothing(after)) || changes.len() >= TOLD_MAX {
        return;
    }
    let members = |it: Option<&Json>| it.and_then(Json::as_object).cloned().unwrap_or_default();
    let is_map = |it: Option<&Json>| nothing(it) || it.is_some_and(Json::is_object);
    let one_is = [before, after].into_iter().flatten().any(Json::is_object);
    if one_is && is_map(before) && is_map(after) {
        let (old, new) = (members(before), members(after));
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            collect(path, old.get(name), new.get(name), changes);
        }
        return;
    }
    let told = |it: Option<&Json>| it.filter(|it| !it.is_null()).cloned();
    changes.push(ConfigChange {
        path,
        before: told(before),
        after: told(after),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(before: Json, after: Json) -> Vec<(String, Option<Json>, Option<Json>)> {
        let changes = differences(Some(&before), &after).into_iter();
        changes.map(|it| (it.path, it.before, it.after)).collect()
    }

    #[test]
    fn only_what_differs_is_told_by_its_path() {
        let before = json!({"tag": "v1", "config": {"image": "a:1", "replicas": 2, "old": true}});
        let after = json!({"tag": "v2", "config": {"image": "a:2", "replicas": 2, "new": [1]}});
        assert_eq!(
            paths(before.clone(), after),
            [
                (
                    "config.image".into(),
                    Some(json!("a:1")),
                    Some(json!("a:2"))
                ),
                ("config.new".into(), None, Some(json!([1]))),
                ("config.old".into(), Some(json!(true)), None),
                ("tag".into(), Some(json!("v1")), Some(json!("v2"))),
            ]
        );
        assert_eq!(paths(before.clone(), before), []);
    }

    #[test]
    fn a_map_that_becomes_something_else_is_one_difference() {
        assert_eq!(
            paths(json!({"a": {"b": 1}}), json!({"a": 7})),
            [("a".into(), Some(json!({"b": 1})), Some(json!(7)))]
        );
        assert_eq!(
            differences(None, &json!({"a": {"b": 1}})).len(),
            1,
            "what is new is told by its parts"
        );
    }
}
