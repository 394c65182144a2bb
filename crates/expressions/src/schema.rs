//! What expressions may name, checked when they are compiled.

/// What lies at one place of the data.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Anything; what lies below is not checked.
    Any,
    /// A plain value: nothing can be selected below it.
    Scalar,
    /// Exactly these fields.
    Fields(&'static [(&'static str, Shape)]),
    /// Any key; each value is text.
    Map,
}

/// The roots that an expression may name, with what lies below them.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Name and shape of each root.
    pub roots: Vec<(&'static str, Shape)>,
}

/// Why a path does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Which step of the path is wrong; 0 is the root itself.
    pub(crate) step: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

impl Schema {
    /// Checks a path of a root and the fields selected from it. A step that is
    /// only known at run time is `None` and passes.
    pub(crate) fn check(&self, root: &str, steps: &[Option<&str>]) -> Result<(), Misfit> {
        let Some((_, mut shape)) = self
            .roots
            .iter()
            .find(|(name, _)| *name == root)
            .map(|(name, shape)| (name, shape))
        else {
            let names = self.roots.iter().map(|(name, _)| *name);
            return Err(Misfit {
                step: 0,
                message: format!("`{root}` is not known here"),
                hint: suggest(root, names.clone())
                    .or_else(|| Some(format!("known here: {}", listed(names)))),
            });
        };
        let mut path = root.to_owned();
        for (i, step) in steps.iter().enumerate() {
            match shape {
                Shape::Any => return Ok(()),
                Shape::Scalar => {
                    return Err(Misfit {
                        step: i + 1,
                        message: match step {
                            Some(step) => {
                                format!("`{path}` is a plain value, it has no field `{step}`")
                            }
                            None => format!("`{path}` is a plain value, it has no fields"),
                        },
                        hint: None,
                    });
                }
                Shape::Map => shape = &Shape::Scalar,
                Shape::Fields(fields) => {
                    let Some(step) = step else { return Ok(()) };
                    match fields.iter().find(|(name, _)| name == step) {
                        Some((_, below)) => shape = below,
                        None => {
                            let names = fields.iter().map(|(name, _)| *name);
                            return Err(Misfit {
                                step: i + 1,
                                message: format!("`{path}` has no field `{step}`"),
                                hint: suggest(step, names.clone())
                                    .or_else(|| Some(format!("its fields: {}", listed(names)))),
                            });
                        }
                    }
                }
            }
            path.push('.');
            path.push_str(step.unwrap_or("…"));
        }
        Ok(())
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// `did you mean …?` when one of the names is near enough to be meant.
pub(crate) fn suggest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = written.chars().count();
    if length > 64 {
        return None;
    }
    // One slip per three letters: `knd` may be `kind`, `x` may not be `id`.
    let allowed = (length / 3).clamp(1, 3);
    names
        .map(|name| (distance(written, name), name))
        .filter(|(far, name)| *far <= allowed && *far < name.chars().count() && *far < length)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Edits (insert, delete, replace, swap of neighbours) between two words,
/// letter case aside.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i * width + j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let replaced = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (table[(i - 1) * width + j] + 1)
                    .min(table[i * width + j - 1] + 1)
                    .min(table[(i - 1) * width + j - 1] + replaced);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema {
            roots: vec![
                (
                    "resource",
                    Shape::Fields(&[
                        ("kind", Shape::Scalar),
                        ("name", Shape::Scalar),
                        ("metadata", Shape::Map),
                        ("config", Shape::Any),
                    ]),
                ),
                ("result", Shape::Any),
            ],
        }
    }

    fn hint_of(root: &str, steps: &[&str]) -> Option<String> {
        let steps: Vec<Option<&str>> = steps.iter().copied().map(Some).collect();
        schema().check(root, &steps).unwrap_err().hint
    }

    #[test]
    fn a_misspelt_field_or_root_is_refused_with_the_name_that_was_meant() {
        assert_eq!(
            hint_of("resource", &["knd"]).unwrap(),
            "did you mean `kind`?"
        );
        assert_eq!(
            hint_of("resource", &["Kind"]).unwrap(),
            "did you mean `kind`?"
        );
        assert_eq!(
            hint_of("resource", &["metadat", "env"]).unwrap(),
            "did you mean `metadata`?"
        );
        assert_eq!(
            hint_of("resurce", &["kind"]).unwrap(),
            "did you mean `resource`?"
        );
    }

    #[test]
    fn without_a_near_name_the_known_ones_are_listed() {
        assert_eq!(
            hint_of("zebra", &[]).unwrap(),
            "known here: `resource`, `result`"
        );
        assert_eq!(
            hint_of("resource", &["x"]).unwrap(),
            "its fields: `kind`, `name`, `metadata`, `config`"
        );
    }

    #[test]
    fn open_places_take_any_path_and_plain_values_none() {
        let schema = schema();
        let some = |steps: &[&'static str]| -> Vec<Option<&'static str>> {
            steps.iter().copied().map(Some).collect()
        };
        assert!(
            schema
                .check("resource", &some(&["config", "a", "b"]))
                .is_ok()
        );
        assert!(
            schema
                .check("resource", &some(&["metadata", "any"]))
                .is_ok()
        );
        assert!(schema.check("resource", &[None]).is_ok());
        assert_eq!(
            schema
                .check("resource", &some(&["kind", "a"]))
                .unwrap_err()
                .step,
            2
        );
        assert!(
            schema
                .check("resource", &some(&["metadata", "a", "b"]))
                .is_err()
        );
        assert!(schema.check("result", &some(&["whatever"])).is_ok());
    }

    #[test]
    fn swapped_letters_are_one_slip() {
        assert_eq!(distance("knid", "kind"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
