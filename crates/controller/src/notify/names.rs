//! Names of what the log knows by its id. What is gone stays an id.

use stagegate_model::{ResourceId, UserId, VersionId};
use std::collections::BTreeMap;

/// How approvers that are persons begin where rules name them.
const PREFIX: &str = "user:";
/// Characters of an id.
const ID_CHARS: usize = 36;

/// The names that a message needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub people: BTreeMap<UserId, String>,
    pub resources: BTreeMap<ResourceId, String>,
    pub versions: BTreeMap<VersionId, String>,
}

impl Names {
    pub fn person(&self, id: UserId) -> String {
        let name = self.people.get(&id).cloned();
        name.unwrap_or_else(|| format!("user {id}"))
    }

    pub fn resource(&self, id: ResourceId) -> String {
        let name = self.resources.get(&id).cloned();
        name.unwrap_or_else(|| id.to_string())
    }

    pub fn version(&self, id: VersionId) -> String {
        let tag = self.versions.get(&id).cloned();
        tag.unwrap_or_else(|| id.to_string())
    }

    /// A text of the engine's with names for the ids of persons: `user:0190…` is `user:alice`.
    pub fn shown_in(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(PREFIX) {
            shown.push_str(before);
            shown.push_str(PREFIX);
            let id = after.get(..ID_CHARS).and_then(|it| it.parse().ok());
            rest = match id.and_then(|id| self.people.get(&id)) {
                Some(name) => {
                    shown.push_str(name);
                    after.get(ID_CHARS..).unwrap_or_default()
                }
                None => after,
            };
        }
        shown.push_str(rest);
        shown
    }

    /// The persons that such a text names.
    pub fn persons_in(text: &str) -> impl Iterator<Item = UserId> {
        let after = text.split(PREFIX).skip(1);
        after.filter_map(|it| it.get(..ID_CHARS)?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn persons_are_shown_by_name_and_what_is_unknown_stays() {
        let (known, unknown) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let names = Names {
            people: BTreeMap::from([(known, "alice".to_owned())]),
            ..Names::default()
        };
        let text = format!("from 9 on also user:{known}, user:{unknown}, group:qa, user:ü may");
        let shown = format!("from 9 on also user:alice, user:{unknown}, group:qa, user:ü may");
        assert_eq!(names.shown_in(&text), shown);
        let persons: Vec<_> = Names::persons_in(&text).collect();
        assert_eq!(persons, [known, unknown]);
        assert_eq!(names.person(unknown), format!("user {unknown}"));
    }
}
