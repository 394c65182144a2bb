//! Persons by name. The log knows them by their ids alone, so that a name can be erased: whoever writes a policy turns
//! `user:NAME` into `user:ID` before, and whoever shows one turns it back.

use serde_json::Value as Json;
use stagegate_engine::visit_approvers;
use stagegate_model::UserId;
use std::collections::BTreeMap;

/// What stands before a person among approvers.
const PREFIX: &str = "user:";
/// Characters of an id as text.
const ID_CHARS: usize = 36;

/// The persons of a workspace by name.
#[derive(Clone, Debug, Default)]
pub struct Persons {
    by_id: BTreeMap<UserId, String>,
}

/// A name that is nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPerson {
    pub name: String,
    /// Its place in the rule's spec: `stages[0].approvers[1]`.
    pub place: String,
}

impl FromIterator<(UserId, String)> for Persons {
    fn from_iter<T: IntoIterator<Item = (UserId, String)>>(persons: T) -> Self {
        Self {
            by_id: persons.into_iter().collect(),
        }
    }
}

impl Persons {
    /// A person's name, where it is known.
    #[must_use]
    pub fn name(&self, id: UserId) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_id.values().map(String::as_str)
    }

    /// The person of that name or id: spelled exactly so, or else but for the case of letters if that is one person.
    #[must_use]
    pub fn id(&self, text: &str) -> Option<UserId> {
        if let Ok(id) = text.trim().parse() {
            return Some(id);
        }
        for wanted in [text, text.trim()] {
            let mut all = self.by_id.iter();
            if let Some((id, _)) = all.find(|(_, name)| *name == wanted) {
                return Some(*id);
            }
        }
        let folded = text.trim().to_lowercase();
        let all = self.by_id.iter();
        let mut alike = all.filter(|(_, name)| name.to_lowercase() == folded);
        match (alike.next(), alike.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    /// Puts ids where a rule's spec names persons.
    ///
    /// # Errors
    /// The names that are nobody's; the others are ids then.
    pub fn resolve(&self, kind: &str, spec: &mut Json) -> Result<(), Vec<UnknownPerson>> {
        let mut unknown = Vec::new();
        visit_approvers(kind, spec, &mut |place, approver| {
            let Some(name) = approver.strip_prefix(PREFIX) else {
                return;
            };
            match self.id(name) {
                Some(id) => *approver = format!("{PREFIX}{id}"),
                None => unknown.push(UnknownPerson {
                    name: name.trim().to_owned(),
                    place: place.to_owned(),
                }),
            }
        });
        if unknown.is_empty() {
            return Ok(());
        }
        Err(unknown)
    }

    /// The spec with ids for names, as far as they are known.
    pub(crate) fn resolved(&self, kind: &str, spec: &Json) -> Json {
        let mut spec = spec.clone();
        // Who is unknown was told already, with the place in the text.
        let _ = self.resolve(kind, &mut spec);
        spec
    }

    /// The spec with names for ids; an id stays where no name means it.
    #[must_use]
    pub fn shown(&self, kind: &str, spec: &Json) -> Json {
        let mut spec = spec.clone();
        visit_approvers(kind, &mut spec, &mut |_, approver| {
            if let Some(shown) = self.approver(approver) {
                *approver = shown;
            }
        });
        spec
    }

    /// A text with names for ids: `user:0190…, group:qa` is `user:alice, group:qa`.
    #[must_use]
    pub fn shown_in(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(PREFIX) {
            let (before, from) = rest.split_at(at);
            shown.push_str(before);
            let length = PREFIX.len() + ID_CHARS;
            match from.get(..length).and_then(|it| self.approver(it)) {
                Some(approver) => {
                    shown.push_str(&approver);
                    rest = from.get(length..).unwrap_or_default();
                }
                None => {
                    shown.push_str(PREFIX);
                    rest = from.get(PREFIX.len()..).unwrap_or_default();
                }
            }
        }
        shown.push_str(rest);
        shown
    }

    /// `user:NAME` for `user:ID`, if that name leads back to the person.
    fn approver(&self, approver: &str) -> Option<String> {
        let id: UserId = approver.strip_prefix(PREFIX)?.parse().ok()?;
        let name = self.name(id)?;
        (self.id(name) == Some(id)).then(|| format!("{PREFIX}{name}"))
    }
}

/// The names of persons in a rule's spec, with their places in it; ids are none.
pub(crate) fn persons_in(kind: &str, spec: &Json) -> Vec<(String, String)> {
    let mut named = Vec::new();
    let mut spec = spec.clone();
    visit_approvers(kind, &mut spec, &mut |place, approver| {
        let name = approver.strip_prefix(PREFIX).map(str::trim);
        let name = name.filter(|name| name.parse::<UserId>().is_err());
        named.extend(name.map(|name| (place.to_owned(), name.to_owned())));
    });
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(n: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(n))
    }

    fn persons() -> Persons {
        let named = ["alice", "Bob", "bob", "carol, ops"];
        let named = named.iter().zip(1..);
        named.map(|(name, n)| (id(n), (*name).to_owned())).collect()
    }

    #[test]
    fn names_become_ids_and_names_again() {
        let written = json!({"stages": [{
            "approvers": ["user:Alice", "group:user:x", "user:bob", format!("user:{}", id(9))],
            "escalateTo": ["user:carol, ops", "role:admin"],
        }]});
        let mut stored = written.clone();
        persons().resolve("approval", &mut stored).unwrap();
        let stage = &stored["stages"][0];
        assert_eq!(stage["approvers"][0], format!("user:{}", id(1)));
        assert_eq!(stage["approvers"][1], "group:user:x");
        assert_eq!(stage["approvers"][2], format!("user:{}", id(3)));
        assert_eq!(stage["escalateTo"][0], format!("user:{}", id(4)));
        let shown = persons().shown("approval", &stored);
        assert_eq!(shown["stages"][0]["approvers"][0], "user:alice");
        // Who was erased stays an id, and can be written back.
        assert_eq!(
            shown["stages"][0]["approvers"][3],
            format!("user:{}", id(9))
        );
        let mut again = shown;
        persons().resolve("approval", &mut again).unwrap();
        assert_eq!(again, stored);
        // Another kind may have such members and mean something else.
        let mut other = written.clone();
        persons().resolve("verification", &mut other).unwrap();
        assert_eq!(other, written);
    }

    #[test]
    fn nobody_is_told_with_the_place() {
        let mut spec = json!({"stages": [
            {"approvers": ["user:alice"]}, {"approvers": ["user:dave"], "escalateTo": ["user:BOB"]},
        ]});
        let unknown = persons().resolve("approval", &mut spec).unwrap_err();
        let told: Vec<_> = unknown.iter().map(|it| (&*it.name, &*it.place)).collect();
        // `BOB` could be two persons.
        assert_eq!(
            told,
            [
                ("dave", "stages[1].approvers[0]"),
                ("BOB", "stages[1].escalateTo[0]")
            ]
        );
    }

    #[test]
    fn texts_name_persons() {
        let text = format!("they are: user:{}, user:{}, user:x and user:", id(1), id(9));
        let shown = format!("they are: user:alice, user:{}, user:x and user:", id(9));
        assert_eq!(persons().shown_in(&text), shown);
        assert_eq!(persons().shown_in("ünser:ü"), "ünser:ü");
    }
}
