//! The schema, the guide and the reader speak of the same members.

use serde_json::Value as Json;
use std::collections::BTreeSet;

#[test]
fn the_schema_file_is_what_the_code_says() {
    let schema = format!("{:#}\n", stagegate_scenario::schema());
    crate::compare("../../../../docs/scenario.schema.json", &schema);
}

#[test]
fn the_guide_tells_of_every_member() {
    let guide = std::fs::read_to_string("../../docs/scenarios.md").unwrap();
    let mut names = BTreeSet::new();
    members(&stagegate_scenario::schema(), &mut names);
    assert!(names.len() > 80, "{names:?}");
    let words: BTreeSet<&str> = guide
        .split(|letter: char| !letter.is_alphanumeric())
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/scenarios.md has no word of {missing:?}"
    );
}

fn members(schema: &Json, names: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        names.extend(properties.keys().cloned());
    }
    if let Some(definitions) = schema.get("$defs").and_then(Json::as_object) {
        definitions.values().for_each(|it| members(it, names));
    }
}

#[test]
fn every_reference_in_the_schema_leads_somewhere() {
    let schema = stagegate_scenario::schema();
    let text = schema.to_string();
    for reference in text.split("\"$ref\":\"#/$defs/").skip(1) {
        let key = reference.split('"').next().unwrap();
        assert!(schema["$defs"][key].is_object(), "{key}");
    }
}
