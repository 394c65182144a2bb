//! What people do about people and time: groups, skips, freezes. And who there is.

use super::Person;
use super::members::{self, FREEZE, GROUP, PERSON_KEYS, SKIP, UNFREEZE, UNSKIP};
use crate::reader::{Fields, Moment, Reader};
use crate::yaml::{Node, Value};
use stagegate_model::Role;

#[derive(Debug)]
pub(crate) enum PeopleAct {
    Group(GroupAct),
    Skip(SkipAct),
    /// Every skip with these members.
    Unskip(SkipAct),
    Freeze(FreezeAct),
    Unfreeze {
        name: String,
        by: Option<String>,
        reason: String,
    },
}

#[derive(Debug)]
pub(crate) struct GroupAct {
    pub name: String,
    pub add: Vec<String>,
    pub remove: Vec<String>,
    /// Its new name.
    pub rename: Option<String>,
    pub delete: bool,
    pub by: Option<String>,
}

#[derive(Debug)]
pub(crate) struct SkipAct {
    /// `anyApproval`, `Policy/anyApproval`, `Policy/anyApproval/2`.
    pub rule: Option<String>,
    pub deployment: Option<String>,
    pub version: Option<String>,
    pub environment: Option<String>,
    pub resource: Option<String>,
    pub by: Option<String>,
    pub reason: String,
    pub expires: Option<Moment>,
}

#[derive(Debug)]
pub(crate) struct FreezeAct {
    pub name: String,
    pub selector: Option<String>,
    pub starts: Option<Moment>,
    pub ends: Option<Moment>,
    pub allow_rollback: Option<bool>,
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// Reads the act `name`; `None` when there is no such act, `Some(None)` when it is wrong.
pub(super) fn act(reader: &mut Reader, name: &str, node: &Node) -> Option<Option<PeopleAct>> {
    Some(match name {
        "group" => reader.object(node, &GROUP).map(|fields| {
            PeopleAct::Group(GroupAct {
                name: reader.required(fields, "name", "sre"),
                add: reader.texts_of(fields, "add"),
                remove: reader.texts_of(fields, "remove"),
                rename: reader.text_of(fields, "rename"),
                delete: reader.boolean_of(fields, "delete").unwrap_or(false),
                by: reader.text_of(fields, "by"),
            })
        }),
        "skip" => reader.object(node, &SKIP).map(|fields| {
            if fields.get("rule").is_none() {
                reader.missing(fields.at, "rule", "anyApproval");
            }
            let mut skip = skip(reader, fields);
            skip.expires = reader.moment_of(fields, "expires");
            PeopleAct::Skip(skip)
        }),
        "unskip" => reader
            .object(node, &UNSKIP)
            .map(|fields| PeopleAct::Unskip(skip(reader, fields))),
        "freeze" => reader.object(node, &FREEZE).map(|fields| {
            PeopleAct::Freeze(FreezeAct {
                name: reader.required(fields, "name", "Christmas"),
                selector: reader.text_of(fields, "selector"),
                starts: reader.moment_of(fields, "starts"),
                ends: reader.moment_of(fields, "ends"),
                allow_rollback: reader.boolean_of(fields, "allowRollback"),
                by: reader.text_of(fields, "by"),
                reason: reader.text_of(fields, "reason"),
            })
        }),
        "unfreeze" => unfreeze(reader, node),
        _ => return None,
    })
}

fn skip(reader: &mut Reader, fields: Fields<'_>) -> SkipAct {
    SkipAct {
        rule: reader.text_of(fields, "rule"),
        deployment: reader.text_of(fields, "deployment"),
        version: reader.text_of(fields, "version"),
        environment: reader.text_of(fields, "environment"),
        resource: reader.text_of(fields, "resource"),
        by: reader.text_of(fields, "by"),
        reason: reader.text_of(fields, "reason").unwrap_or_default(),
        expires: None,
    }
}

fn unfreeze(reader: &mut Reader, node: &Node) -> Option<PeopleAct> {
    if let Value::Scalar(_) = node.value {
        return Some(PeopleAct::Unfreeze {
            name: reader.text(node)?,
            by: None,
            reason: String::new(),
        });
    }
    let fields = reader.object(node, &UNFREEZE)?;
    Some(PeopleAct::Unfreeze {
        name: reader.required(fields, "name", "Christmas"),
        by: reader.text_of(fields, "by"),
        reason: reader.text_of(fields, "reason").unwrap_or_default(),
    })
}

/// A person in full: a role or several keys, and groups. `None`: it is wrong, and noted.
pub(super) fn person(reader: &mut Reader, name: &str, node: &Node) -> Option<Person> {
    let role = |reader: &mut Reader, node: &Node| reader.word(node, &members::roles(), Role::parse);
    let Value::Mapping(_) = node.value else {
        return Some(Person {
            name: name.to_owned(),
            keys: vec![(String::new(), role(reader, node)?)],
            groups: Vec::new(),
        });
    };
    let fields = reader.object(node, &PERSON_KEYS)?;
    let keys = match (fields.get("role"), fields.get("keys")) {
        (Some(_), Some(keys)) => {
            let hint = "each key has a role of its own";
            reader.refuse(keys.at, "`role` and `keys` exclude each other", hint);
            return None;
        }
        (Some(node), None) => vec![(String::new(), role(reader, node)?)],
        (None, Some(keys)) => {
            let keys = reader.mapping(keys)?.entries().iter();
            keys.filter_map(|key| Some((key.key.clone(), role(reader, &key.value)?)))
                .collect()
        }
        (None, None) => {
            reader.missing(node.at, "keys", "{ laptop: approver }");
            return None;
        }
    };
    Some(Person {
        name: name.to_owned(),
        keys,
        groups: reader.texts_of(fields, "groups"),
    })
}
