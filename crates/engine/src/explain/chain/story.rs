//! The chain in words.

use super::{Link, Links, Need, NeedKind};
use stagegate_model::EnvironmentId;
use std::collections::BTreeSet;

/// What was told so far.
#[derive(Default)]
struct Teller {
    clauses: Vec<String>,
    told: BTreeSet<EnvironmentId>,
    /// The links from the first to the one being told.
    path: Vec<EnvironmentId>,
    /// Something was told that names more, or less, than what is missing.
    loose: bool,
}

impl Teller {
    fn finish(mut self) -> String {
        if !self.loose && !self.clauses.is_empty() {
            self.clauses.push("nothing else is missing".to_owned());
        }
        self.clauses.join("; ")
    }
}

impl Links<'_> {
    /// What a link waits for, and what that waits for, to the end.
    pub(super) fn story(&self, environment: EnvironmentId) -> String {
        let mut teller = Teller::default();
        self.tell(environment, &mut teller);
        teller.finish()
    }

    /// The same for all of them, from the last to the first; those that have it are not told of.
    pub(super) fn story_of_all(&self, order: &[EnvironmentId]) -> String {
        let mut teller = Teller::default();
        let missing = |id: &&EnvironmentId| {
            let link = self.known.get(*id);
            link.is_some_and(|link| !link.has_arrived() && link.explanation.tally.total() > 0)
        };
        for environment in order.iter().rev().filter(missing) {
            self.tell(*environment, &mut teller);
        }
        if !teller.clauses.is_empty() {
            return teller.finish();
        }
        let tag = &self.version.tag;
        let there = order.iter().filter(|id| {
            let link = self.known.get(id);
            link.is_some_and(Link::has_arrived)
        });
        let there: Vec<&str> = there.map(|id| self.name(*id)).collect();
        match there.len() {
            0 => format!("{tag} has no release targets in any environment"),
            _ => format!("{tag}, or what is newer, is in {}", there.join(", ")),
        }
    }

    fn tell(&self, environment: EnvironmentId, teller: &mut Teller) {
        if !teller.told.insert(environment) {
            return;
        }
        let Some(link) = self.known.get(&environment) else {
            teller.loose = true;
            return;
        };
        if link.needs.is_empty() {
            teller.loose = true;
            teller.clauses.push(link.explanation.summary.clone());
            return;
        }
        let ended = link.explanation.status.is_some_and(|it| !it.is_open());
        teller.loose |= ended;
        let place = self.place(environment);
        teller.clauses.extend(self.clauses(&place, &link.needs));
        teller.path.push(environment);
        for next in link.needs.iter().flat_map(|need| &need.environments) {
            if teller.path.contains(next) {
                teller.loose = true;
                let (a, b) = (self.name(*next), self.name(environment));
                let text = format!("{a} and {b} wait for each other");
                if next != &environment && !teller.clauses.contains(&text) {
                    teller.clauses.push(text);
                }
            }
            self.tell(*next, teller);
        }
        teller.path.pop();
    }

    /// `Production`, or `p1 in Production` where it is about one target.
    fn place(&self, environment: EnvironmentId) -> String {
        let name = self.name(environment);
        let resource = self.target.get(&environment);
        match resource.and_then(|id| self.engine.state.resource(*id)) {
            Some(resource) => format!("{} in {name}", resource.name()),
            None => name.to_owned(),
        }
    }

    fn clauses(&self, place: &str, needs: &[Need]) -> Vec<String> {
        let mut awaited = Vec::new();
        let mut clauses = Vec::new();
        for need in needs {
            match (need.kind, need.until) {
                (NeedKind::Environment, _) if need.who.is_empty() => {
                    let names = need.environments.iter().map(|id| self.name(*id));
                    let names: Vec<&str> = names.collect();
                    awaited.push(names.join(" or "));
                }
                (NeedKind::Approval, _) => awaited.push(need.text.clone()),
                (NeedKind::Time, Some(until)) => {
                    clauses.push(format!("{place} waits until {until}: {}", need.text));
                }
                (NeedKind::Event | NeedKind::Time, _) => {
                    clauses.push(format!("{place} waits: {}", need.text));
                }
                (NeedKind::Environment | NeedKind::Change, _) => {
                    let opens = match need.opens.as_str() {
                        "" => String::new(),
                        opens => format!("; what would do: {opens}"),
                    };
                    let who = match need.who.as_str() {
                        "" => String::new(),
                        who => format!(" ({who})"),
                    };
                    clauses.push(format!("{place} is shut: {}{opens}{who}", need.text));
                }
            }
        }
        if !awaited.is_empty() {
            clauses.insert(
                0,
                format!("{place} waits for {}", awaited.join(" and for ")),
            );
        }
        clauses
    }
}
