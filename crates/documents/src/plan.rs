//! From texts to what would change.

use crate::catalog::Catalog;
use crate::difference::FieldChange;
use crate::draft::{self, Draft};
use crate::error::{DocumentError, arrange, code};
use crate::limits::{DOCUMENTS_MAX, TEXT_BYTES_MAX};
use crate::reader::Reader;
use crate::resolve::{self, Intake};
use crate::yaml::{self, Node, Position, Value, join, join_index};
use serde::{Deserialize, Serialize};
use stagegate_model::{Change, Rejection, Timestamp};
use std::fmt;
use uuid::Uuid;

/// What a document declares; its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    System,
    RelationshipRule,
    JobAgent,
    Resource,
    Environment,
    Deployment,
    VariableSet,
    Policy,
    Notifier,
}

impl Kind {
    /// All of them, in the order in which changes are made: what is mentioned comes first.
    pub const ALL: [Self; 9] = [
        Self::System,
        Self::RelationshipRule,
        Self::JobAgent,
        Self::Resource,
        Self::Environment,
        Self::Deployment,
        Self::VariableSet,
        Self::Policy,
        Self::Notifier,
    ];

    /// The word after `type:`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::RelationshipRule => "RelationshipRule",
            Self::JobAgent => "JobAgent",
            Self::Resource => "Resource",
            Self::Environment => "Environment",
            Self::Deployment => "Deployment",
            Self::VariableSet => "VariableSet",
            Self::Policy => "Policy",
            Self::Notifier => "Notifier",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What becomes of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Created,
    Changed,
    Unchanged,
}

/// A document and what it would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    pub kind: Kind,
    pub name: String,
    pub file: String,
    /// Which document of the file, from 1.
    pub document: usize,
    /// Where its name stands. For the system `default` that no document declares, the first document that needs it.
    pub line: usize,
    pub action: Action,
    /// What would change; for something created, all it starts with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// What applying the texts would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In an order in which each finds what it mentions; unchanged documents have none.
    pub changes: Vec<Change>,
    /// In the order of the texts, a system `default` that no document declares before them.
    pub documents: Vec<Planned>,
    /// For each change, which of `sources` asked for it.
    origins: Vec<usize>,
    sources: Vec<Source>,
}

/// A document as it was written.
#[derive(Clone, Debug)]
struct Source {
    file: String,
    document: usize,
    root: Node,
}

/// What making the workspace as one text says would take. See [`plan_many`].
///
/// # Errors
/// All that is wrong with the text.
pub fn plan(
    source_name: &str,
    text: &str,
    catalog: &dyn Catalog,
    new_id: &mut dyn FnMut() -> Uuid,
    now: Timestamp,
) -> Result<Plan, Vec<DocumentError>> {
    plan_many(&[(source_name, text)], catalog, new_id, now)
}

/// What making the workspace as the texts say would take. Each text comes with the name used in messages. The
/// texts are one whole: a document may mention what another text declares, and one error refuses all.
///
/// # Errors
/// All that is wrong with the texts, in their order.
pub fn plan_many(
    texts: &[(&str, &str)],
    catalog: &dyn Catalog,
    new_id: &mut dyn FnMut() -> Uuid,
    now: Timestamp,
) -> Result<Plan, Vec<DocumentError>> {
    let files: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    let (drafts, sources, incomplete, mut errors) = read_all(texts)?;
    let intake = Intake {
        drafts: &drafts,
        places: &sources
            .iter()
            .map(|source| (source.file.as_str(), source.document))
            .collect::<Vec<_>>(),
        incomplete,
    };
    let resolved = resolve::resolve(&intake, catalog, new_id, now, &mut errors);
    if !errors.is_empty() {
        return Err(arrange(errors, &files));
    }
    let (changes, origins) = resolved.changes.into_iter().unzip();
    Ok(Plan {
        changes,
        documents: resolved.documents,
        origins,
        sources,
    })
}

type Read = (Vec<Draft>, Vec<Source>, bool, Vec<DocumentError>);

/// Every document of every text on its own. A draft and the source at the same index belong together.
fn read_all(texts: &[(&str, &str)]) -> Result<Read, Vec<DocumentError>> {
    let mut errors = Vec::new();
    let refuse_file = |file: &str, code: &str, message: String, hint: &str| DocumentError {
        file: file.to_owned(),
        document: 0,
        line: Position::START.line,
        column: Position::START.column,
        field: String::new(),
        code: code.to_owned(),
        message,
        hint: hint.to_owned(),
    };
    let mut bytes = 0_usize;
    for (file, text) in texts {
        bytes = bytes.saturating_add(text.len());
        if bytes > TEXT_BYTES_MAX {
            let message = format!("more than {TEXT_BYTES_MAX} bytes of text");
            let hint = "apply it in several parts";
            return Err(vec![refuse_file(file, code::TOO_LARGE, message, hint)]);
        }
    }
    let mut drafts = Vec::new();
    let mut sources = Vec::new();
    let mut incomplete = false;
    let mut count = 0;
    for (file, text) in texts {
        let loaded = yaml::parse(text);
        incomplete |= loaded.incomplete;
        if loaded.documents.is_empty() && loaded.faults.is_empty() {
            let message = "there is no document in it".to_owned();
            let hint = "a document starts with `type:` and `name:`";
            errors.push(refuse_file(file, code::EMPTY_FILE, message, hint));
        }
        count += loaded.documents.len();
        if count > DOCUMENTS_MAX {
            let message = format!("more than {DOCUMENTS_MAX} documents");
            let hint = "apply them in several parts";
            return Err(vec![refuse_file(file, code::TOO_LARGE, message, hint)]);
        }
        for fault in loaded.faults {
            let mut reader = Reader {
                file,
                document: fault.document,
                errors: &mut errors,
            };
            reader.refuse(
                fault.at,
                &fault.field,
                fault.code,
                fault.message,
                fault.hint,
            );
        }
        for (document, root) in loaded.documents {
            let mut reader = Reader {
                file,
                document,
                errors: &mut errors,
            };
            match draft::read(&mut reader, &root) {
                Some(draft) => {
                    drafts.push(draft);
                    sources.push(Source {
                        file: (*file).to_owned(),
                        document,
                        root,
                    });
                }
                None => incomplete = true,
            }
        }
    }
    Ok((drafts, sources, incomplete, errors))
}

impl Plan {
    /// Whether applying it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Where in the texts the engine's refusal of one of the changes comes from: the field it names, or else
    /// the longest beginning of it that was written.
    #[must_use]
    pub fn locate(&self, rejection: &Rejection) -> DocumentError {
        let origin = rejection.change.and_then(|change| self.origins.get(change));
        let source = origin.and_then(|origin| self.sources.get(*origin));
        let (file, document, at) = match source.or_else(|| self.sources.first()) {
            // A refusal of the whole is shown at the beginning.
            Some(first) if source.is_none() => (first.file.clone(), 0, Position::START),
            Some(source) => {
                let change = rejection.change.and_then(|it| self.changes.get(it));
                let within = change.and_then(|it| place_of(&source.root, it));
                let field = match within {
                    Some(within) => join(&within, &rejection.field),
                    None => rejection.field.clone(),
                };
                let at = written(&source.root, &field);
                (source.file.clone(), source.document, at)
            }
            None => (String::new(), 0, Position::START),
        };
        DocumentError {
            file,
            document,
            line: at.line,
            column: at.column,
            field: rejection.field.clone(),
            code: rejection.code.clone(),
            message: rejection.message.clone(),
            hint: rejection.hint.clone(),
        }
    }
}

/// Where in a document the part stands of which a change is made; `None` when it is the whole.
fn place_of(root: &Node, change: &Change) -> Option<String> {
    let (Change::PutVariable(variable), Value::Mapping(entries)) = (change, &root.value) else {
        return None;
    };
    let list = entries.iter().find(|entry| &*entry.key == "variables")?;
    let Value::Sequence(items) = &list.value.value else {
        return None;
    };
    let key_of = |item: &Node| match &item.value {
        Value::Mapping(fields) => fields
            .iter()
            .find(|field| &*field.key == "key")
            .is_some_and(
                |field| matches!(&field.value.value, Value::Scalar(it) if *it.text == variable.key),
            ),
        _ => false,
    };
    let index = items.iter().position(key_of)?;
    Some(join_index("variables", index))
}

/// Where an entity's field was written; some have a short form in documents.
fn written(root: &Node, field: &str) -> Position {
    const SHORT_FORMS: [(&str, &str); 8] = [
        ("selector", "selectors"),
        ("jobAgentSelector", "jobAgent.name"),
        ("jobAgentSelector", "jobAgent"),
        ("jobAgentConfig", "jobAgent.config"),
        ("systems", "system"),
        ("type", "agentType"),
        ("type", "notifierType"),
        ("kind", "agentType"),
    ];
    let head_end = field.find(['.', '[']).unwrap_or(field.len());
    let (head, tail) = field.split_at(head_end);
    let has_type = root.locate("agentType").1 || root.locate("notifierType").1;
    for (long, short) in SHORT_FORMS {
        // `type` is in every document, but only an agent's or a notifier's is an entity's field.
        let instead = match long {
            "type" => has_type,
            _ => !root.locate(long).1,
        };
        if long == head && instead && root.locate(short).1 {
            return root.locate(&format!("{short}{tail}")).0;
        }
    }
    root.locate(field).0
}
