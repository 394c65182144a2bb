//! The JSON Schema of the format, made of the same table that the reader uses.

use super::members::{Object, SCENARIO, Shape};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// The JSON Schema of a scenario file, for editors and checkers.
#[must_use]
pub fn schema() -> Json {
    let mut definitions = BTreeMap::new();
    let mut root = object(&SCENARIO, &mut definitions);
    let definitions: Map<String, Json> = definitions.into_iter().collect();
    if let Json::Object(root) = &mut root {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("Stagegate scenario"));
        root.insert("required".to_owned(), json!(["name", "steps"]));
        root.insert("$defs".to_owned(), Json::Object(definitions));
    }
    root
}

type Definitions = BTreeMap<String, Json>;

fn object(object: &'static Object, definitions: &mut Definitions) -> Json {
    let mut properties = Map::new();
    for member in object.members {
        let mut property = shape(&member.shape, definitions);
        if let Json::Object(property) = &mut property {
            property.insert("description".to_owned(), json!(member.doc));
        }
        properties.insert(member.name.to_owned(), property);
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn shape(of: &'static Shape, definitions: &mut Definitions) -> Json {
    match of {
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Duration => json!({ "anyOf": [
            { "type": "string", "pattern": "^[-+]?([0-9]+(ms|s|m|h|d))+$" },
            { "const": 0 },
        ] }),
        Shape::Moment => json!({ "anyOf": [
            { "type": "string", "pattern": "^[-+]?([0-9]+(ms|s|m|h|d))+$" },
            { "type": "string", "format": "date-time" },
            { "const": 0 },
        ] }),
        Shape::Null => json!({ "type": "null" }),
        Shape::Anything => json!({}),
        Shape::AnyObject => json!({ "type": "object" }),
        Shape::Word(words) => json!({ "enum": words() }),
        Shape::Object(inner) => {
            let key = key(inner.name);
            // Entered before it is made: an object may hold itself.
            if !definitions.contains_key(&key) {
                definitions.insert(key.clone(), Json::Null);
                let made = object(inner, definitions);
                definitions.insert(key.clone(), made);
            }
            json!({ "$ref": format!("#/$defs/{key}") })
        }
        Shape::OneOrMany(inner) => {
            let one = shape(inner, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Shape::MapOf(inner) => {
            json!({ "type": "object", "additionalProperties": shape(inner, definitions) })
        }
        Shape::Either(shapes) => {
            let any: Vec<Json> = shapes
                .iter()
                .map(|inner| shape(inner, definitions))
                .collect();
            json!({ "anyOf": any })
        }
    }
}

/// `an agent's script` becomes `agentsScript`.
fn key(name: &str) -> String {
    let words = name
        .split(' ')
        .filter(|word| !matches!(*word, "a" | "an" | "the"));
    let mut key = String::new();
    for word in words {
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        let (first, rest) = word.split_at(word.len().min(1));
        match key.is_empty() {
            true => key.push_str(&word),
            false => key.push_str(&format!("{}{rest}", first.to_uppercase())),
        }
    }
    key
}
