//! Documents in place and in files, applied as `stagegate apply` would.

use super::{Refusal, Trouble, World, wrong};
use crate::format::Inline;
use crate::yaml::Position;
use stagegate_documents::{DocumentError, TEXT_BYTES_MAX, plan_many};
use stagegate_model::{Actor, Command};
use std::path::{Component, Path, PathBuf};

/// A text of documents, and where it stands.
pub(crate) struct Source {
    /// As it is shown.
    file: String,
    text: String,
    /// Set when the text is part of the scenario's file.
    inside: Option<Inside>,
}

struct Inside {
    at: Position,
    /// Lines of the file before the text's first line, and columns before its first column; `None` when the text
    /// does not keep the file's lines.
    before: Option<(usize, usize)>,
}

impl Source {
    /// A file beside the scenario's.
    pub fn file(folder: &Path, name: &str) -> Result<Self, String> {
        let path = plain(&folder.join(name));
        let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
        let size = std::fs::metadata(&path).map_err(failed)?.len();
        if size > TEXT_BYTES_MAX as u64 {
            return Err(format!(
                "`{}` has more than {TEXT_BYTES_MAX} bytes",
                path.display()
            ));
        }
        Ok(Self {
            file: path.display().to_string(),
            text: std::fs::read_to_string(&path).map_err(failed)?,
            inside: None,
        })
    }

    pub fn inline(file: &str, inline: &Inline) -> Self {
        // The parser places a block at its first line that is not blank, behind its indentation.
        let before = inline.literal.then(|| {
            let blank = inline
                .text
                .lines()
                .take_while(|line| line.trim().is_empty());
            let first = inline.at.line.saturating_sub(blank.count());
            (first.saturating_sub(1), inline.at.column.saturating_sub(1))
        });
        Self {
            file: file.to_owned(),
            text: inline.text.clone(),
            inside: Some(Inside {
                at: inline.at,
                before,
            }),
        }
    }
}

/// The path without `folder/..` pairs, as a person would write it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let back = matches!(part, Component::ParentDir)
            && matches!(plain.components().next_back(), Some(Component::Normal(_)));
        if back {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

impl World {
    /// Applies documents, all or nothing.
    pub fn apply(&mut self, sources: &[Source], actor: Actor) -> Result<(), Trouble> {
        if sources.is_empty() {
            return Ok(());
        }
        let labels = labels(sources);
        let resolved: Vec<String> = sources
            .iter()
            .map(|source| self.with_ids(&source.text))
            .collect();
        let texts: Vec<(&str, &str)> = labels
            .iter()
            .zip(&resolved)
            .map(|(label, text)| (label.as_str(), text.as_str()))
            .collect();
        let now = self.now;
        let mut ids = self.ids;
        let plan = {
            let catalog = self.engine.state();
            let mut new_id = || {
                ids += 1;
                super::id(now, ids)
            };
            plan_many(&texts, catalog, &mut new_id, now)
        };
        self.ids = ids;
        let plan = match plan {
            Ok(plan) => plan,
            Err(errors) => {
                let errors = errors
                    .iter()
                    .map(|error| located(sources, &labels, error))
                    .collect();
                return Err(Trouble::Refused(errors));
            }
        };
        if plan.is_empty() {
            return Ok(());
        }
        let context = self.context(actor);
        let command = Command::Configure(plan.changes.clone());
        let name = command.name().to_owned();
        match self.engine.execute(command, context) {
            Ok(facts) => {
                self.append(facts, actor, stagegate_model::Cause::Command { name })?;
                self.settle_rest()
            }
            Err(rejection) => {
                let error = plan.locate(&rejection);
                Err(Trouble::Refused(vec![located(sources, &labels, &error)]))
            }
        }
    }

    /// Sources of documents in place.
    pub fn inline_sources(&self, documents: &[Inline]) -> Vec<Source> {
        let documents = documents.iter();
        documents
            .map(|inline| Source::inline(&self.file, inline))
            .collect()
    }

    /// Sources of the named files.
    pub fn file_sources(&self, files: &[(String, Position)]) -> Result<Vec<Source>, Trouble> {
        let mut sources = Vec::new();
        for (name, at) in files {
            match Source::file(&self.folder, name) {
                Ok(source) => sources.push(source),
                Err(message) => {
                    return wrong(format!(
                        "{}:{}:{}: {message}",
                        self.file, at.line, at.column
                    ));
                }
            }
        }
        Ok(sources)
    }
}

/// What each text is called in messages; two texts may be of one file.
fn labels(sources: &[Source]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(sources.len());
    for source in sources {
        let before = sources[..labels.len()]
            .iter()
            .filter(|earlier| earlier.file == source.file)
            .count();
        labels.push(match before {
            0 => source.file.clone(),
            before => format!("{} (text {})", source.file, before + 1),
        });
    }
    labels
}

fn located(sources: &[Source], labels: &[String], error: &DocumentError) -> Refusal {
    let index = labels.iter().position(|label| *label == error.file);
    let source = index.and_then(|index| sources.get(index));
    let place = source.map(|source| {
        let line = match &source.inside {
            None => error.line,
            Some(Inside {
                before: Some((lines, _)),
                ..
            }) => error.line + lines,
            Some(inside) => inside.at.line,
        };
        let column = match &source.inside {
            None => error.column,
            Some(Inside {
                before: Some((_, columns)),
                ..
            }) => error.column + columns,
            Some(inside) => inside.at.column,
        };
        (source.file.clone(), line, column)
    });
    Refusal {
        code: error.code.clone(),
        message: error.message.clone(),
        field: error.field.clone(),
        hint: error.hint.clone(),
        place,
    }
}
