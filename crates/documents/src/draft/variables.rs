//! Variables of deployments and resources, sets of them, and relationships between resources.

use crate::error::code;
use crate::limits::NAME_CHARS_MAX;
use crate::reader::{Fields, Reader};
use crate::wording::clip;
use crate::yaml::{Node, Position, join, join_index};
use stagegate_model::{Metadata, VariableValue};
use std::collections::BTreeMap;

pub(crate) struct VariableDraft {
    pub key: String,
    pub description: String,
    pub default: Option<ValueDraft>,
    pub values: Vec<SelectedDraft>,
}

pub(crate) struct SelectedDraft {
    /// Everything, when empty.
    pub resource_selector: String,
    pub priority: i64,
    pub value: ValueDraft,
}

/// A value, and where it stands.
pub(crate) struct ValueDraft {
    pub value: VariableValue,
    pub at: Position,
    pub field: String,
}

pub(crate) struct VariableSetDraft {
    pub description: String,
    pub selector: String,
    pub priority: i64,
    pub variables: BTreeMap<String, ValueDraft>,
}

pub(crate) struct RelationshipRuleDraft {
    pub description: String,
    pub reference: String,
    pub cel: String,
    pub metadata: Metadata,
}

pub(super) const VARIABLE_SET: &[&str] = &[
    "type",
    "name",
    "description",
    "selector",
    "priority",
    "variables",
];
pub(super) const RELATIONSHIP_RULE: &[&str] = &[
    "type",
    "name",
    "description",
    "reference",
    "cel",
    "metadata",
];
const VARIABLE: &[&str] = &["key", "description", "default", "values"];
const SELECTED: &[&str] = &["resourceSelector", "priority", "value"];

/// What a deployment declares; `None` when the document does not speak of it.
pub(super) fn declared(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<Vec<VariableDraft>> {
    let node = fields.get("variables")?;
    let items = reader.list(node, "variables");
    let mut drafts: Vec<VariableDraft> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = join_index("variables", index);
        let Some((draft, at)) = variable(reader, item, &path) else {
            continue;
        };
        if drafts.iter().any(|other| other.key == draft.key) {
            let message = format!("a second variable `{}`", clip(&draft.key));
            let field = join(&path, "key");
            let hint = "give it one entry, with several `values`";
            reader.refuse(at, &field, code::INVALID_VARIABLE, message, hint);
            continue;
        }
        drafts.push(draft);
    }
    Some(drafts)
}

fn variable(reader: &mut Reader<'_>, item: &Node, path: &str) -> Option<(VariableDraft, Position)> {
    let fields = reader.fields(item, path)?;
    reader.refuse_unknown(fields, VARIABLE);
    let key = reader.required(fields, "key", "…");
    let at = fields.get("key").map_or(item.at, |node| node.at);
    if let Some(key) = &key {
        reader.checked_name(key, at, &fields.path_of("key"), NAME_CHARS_MAX);
    }
    let description = reader.text_of(fields, "description").unwrap_or_default();
    let default = fields.get("default");
    let default = default.and_then(|node| value(reader, node, fields.path_of("default")));
    let list = fields.path_of("values");
    let items = match fields.get("values") {
        Some(node) => reader.list(node, &list),
        None => &[],
    };
    let items = items.iter().enumerate();
    let values = items
        .filter_map(|(index, item)| selected(reader, item, &join_index(&list, index)))
        .collect();
    let draft = VariableDraft {
        key: key?,
        description,
        default,
        values,
    };
    Some((draft, at))
}

fn selected(reader: &mut Reader<'_>, item: &Node, path: &str) -> Option<SelectedDraft> {
    let fields = reader.fields(item, path)?;
    reader.refuse_unknown(fields, SELECTED);
    let resource_selector = reader.expression_of(fields, "resourceSelector");
    let priority = reader.integer_of(fields, "priority");
    let Some(node) = fields.get("value") else {
        let field = fields.path_of("value");
        let hint = "add `value:`";
        reader.refuse(
            item.at,
            &field,
            code::MISSING_FIELD,
            "`value` is missing",
            hint,
        );
        return None;
    };
    let value = value(reader, node, fields.path_of("value"))?;
    Some(SelectedDraft {
        resource_selector: resource_selector.unwrap_or_default(),
        priority,
        value,
    })
}

fn value(reader: &mut Reader<'_>, node: &Node, field: String) -> Option<ValueDraft> {
    let json = reader.json(node, &field);
    match VariableValue::read(&json) {
        Ok(value) => Some(ValueDraft {
            value,
            at: node.at,
            field,
        }),
        Err((message, hint)) => {
            reader.refuse(node.at, &field, code::INVALID_VARIABLE, message, hint);
            None
        }
    }
}

/// Values by key.
fn values(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, ValueDraft> {
    let Some(fields) = reader.fields(node, "variables") else {
        return BTreeMap::new();
    };
    let mut values = BTreeMap::new();
    for entry in fields.entries() {
        let field = join("variables", &entry.key);
        reader.checked_name(&entry.key, entry.at, &field, NAME_CHARS_MAX);
        if let Some(value) = value(reader, &entry.value, field) {
            values.insert(entry.key.to_string(), value);
        }
    }
    values
}

/// A resource's own variables; `None` when the document does not speak of them.
pub(super) fn own(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
) -> Option<BTreeMap<String, ValueDraft>> {
    let node = fields.get("variables")?;
    Some(values(reader, node))
}

pub(super) fn set(reader: &mut Reader<'_>, fields: Fields<'_>) -> VariableSetDraft {
    if fields.get("selector").is_none() {
        reader.required(fields, "selector", "\"true\"");
    }
    VariableSetDraft {
        description: reader.text_of(fields, "description").unwrap_or_default(),
        selector: reader
            .expression_of(fields, "selector")
            .unwrap_or_else(|| "false".to_owned()),
        priority: reader.integer_of(fields, "priority"),
        variables: match fields.get("variables") {
            Some(node) => values(reader, node),
            None => BTreeMap::new(),
        },
    }
}

pub(super) fn relationship_rule(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    metadata: Metadata,
) -> RelationshipRuleDraft {
    let reference = reader.required(fields, "reference", "…");
    if let (Some(word), Some(node)) = (&reference, fields.get("reference")) {
        reader.checked_name(word, node.at, "reference", NAME_CHARS_MAX);
    }
    if fields.get("cel").is_none() {
        reader.required(fields, "cel", "from.metadata.x == to.identifier");
    }
    RelationshipRuleDraft {
        description: reader.text_of(fields, "description").unwrap_or_default(),
        reference: reference.unwrap_or_default(),
        cel: reader
            .expression_of(fields, "cel")
            .unwrap_or_else(|| "false".to_owned()),
        metadata,
    }
}
