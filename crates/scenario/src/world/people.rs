//! Groups, skips and freezes; and names of people where the engine knows ids.

use super::{Trouble, World, wrong};
use crate::format::{FreezeAct, GroupAct, PeopleAct, Person, SkipAct};
use crate::reader::{known_hint, spelled};
use stagegate_model::{
    Actor, Command, Freeze, FreezeId, Group, RuleId, Skip, SkipId, Timestamp, UserId, VersionId,
};
use std::collections::BTreeMap;

/// A skip that was made, by what it was made of.
pub(crate) struct Made {
    id: SkipId,
    rule: String,
    version: Option<String>,
    environment: Option<String>,
    resource: Option<String>,
}

impl Made {
    fn fits(&self, act: &SkipAct) -> bool {
        let is = |wanted: &Option<String>, there: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == there
        };
        is(&act.rule, Some(&self.rule))
            && is(&act.version, self.version.as_ref())
            && is(&act.environment, self.environment.as_ref())
            && is(&act.resource, self.resource.as_ref())
    }
}

impl World {
    /// The groups that people say they are in, in the order in which they are named first.
    pub(super) fn found_groups(&mut self, people: &[Person]) -> Result<(), Trouble> {
        let mut order: Vec<&str> = Vec::new();
        let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for person in people {
            for group in &person.groups {
                if !order.contains(&group.as_str()) {
                    order.push(group);
                }
                members.entry(group).or_default().push(&person.name);
            }
        }
        for name in order {
            let add = members.remove(name).unwrap_or_default();
            let add = add.into_iter().map(str::to_owned).collect();
            let command = self.group_with(name, add, &[], None)?;
            self.execute(command, Actor::System)?;
        }
        Ok(())
    }

    pub(super) fn people_act(&mut self, act: &PeopleAct) -> Result<(), Trouble> {
        match act {
            PeopleAct::Group(act) => self.group(act),
            PeopleAct::Skip(act) => self.skip(act),
            PeopleAct::Unskip(act) => self.unskip(act),
            PeopleAct::Freeze(act) => self.freeze(act),
            PeopleAct::Unfreeze { name, by, reason } => {
                self.tell(format!("{} ends the freeze {name}", whoever(by)));
                let id = self.freeze_id(name)?;
                let reason = reason.clone();
                let actor = self.actor(by.as_deref())?;
                self.execute(Command::DeleteFreeze { id, reason }, actor)
            }
        }
    }

    fn person_id(&self, name: &str) -> Result<UserId, Trouble> {
        match self.user(name) {
            Some(id) => Ok(id),
            None => {
                let known: Vec<&str> = self.people.keys().map(String::as_str).collect();
                wrong(format!(
                    "there is no person `{name}` under `people:`; {}",
                    known_hint(name, &known)
                ))
            }
        }
    }

    fn group_with(
        &mut self,
        name: &str,
        add: Vec<String>,
        remove: &[String],
        rename: Option<&String>,
    ) -> Result<Command, Trouble> {
        let known = self.engine.state().group_by_name(name).cloned();
        let mut group = match known {
            Some(group) => Group::clone(&group),
            None => Group {
                id: self.new_id().into(),
                name: name.to_owned(),
                members: Default::default(),
            },
        };
        for person in add {
            group.members.insert(self.person_id(&person)?);
        }
        for person in remove {
            let id = self.person_id(person)?;
            if !group.members.remove(&id) {
                return wrong(format!("{person} is not in the group `{name}`"));
            }
        }
        if let Some(rename) = rename {
            group.name.clone_from(rename);
        }
        Ok(Command::PutGroup(group))
    }

    fn group(&mut self, act: &GroupAct) -> Result<(), Trouble> {
        let who = whoever(&act.by);
        let name = &act.name;
        let actor = self.actor(act.by.as_deref())?;
        if act.delete {
            self.tell(format!("{who} deletes the group {name}"));
            let Some(group) = self.engine.state().group_by_name(name) else {
                return wrong(format!("there is no group `{name}` to delete"));
            };
            let id = group.id;
            return self.execute(Command::DeleteGroup { id }, actor);
        }
        let mut parts = Vec::new();
        if !act.add.is_empty() {
            parts.push(format!("adds {} to", act.add.join(", ")));
        }
        if !act.remove.is_empty() {
            parts.push(format!("removes {} from", act.remove.join(", ")));
        }
        if parts.is_empty() {
            parts.push("saves".to_owned());
        }
        let renamed = act.rename.as_ref();
        let renamed = renamed.map_or_else(String::new, |it| format!(", now {it}"));
        let parts = parts.join(" and ");
        self.tell(format!("{who} {parts} the group {name}{renamed}"));
        let command = self.group_with(name, act.add.clone(), &act.remove, act.rename.as_ref())?;
        self.execute(command, actor)
    }

    fn skip(&mut self, act: &SkipAct) -> Result<(), Trouble> {
        let rule = act.rule.clone().unwrap_or_default();
        let expires_at = act.expires.map(|moment| moment.after(self.start));
        let mut scope = String::new();
        for (word, what) in [
            ("for", &act.version),
            ("in", &act.environment),
            ("on", &act.resource),
        ] {
            if let Some(what) = what {
                scope.push_str(&format!(" {word} {what}"));
            }
        }
        if let Some(at) = expires_at {
            let at = spelled(at.millis_since(self.start));
            scope.push_str(&format!(" until {at}"));
        }
        self.tell(format!(
            "{} sets {rule} aside{scope}: {}",
            whoever(&act.by),
            act.reason
        ));
        let version = self.skip_version(act)?;
        let environment = match &act.environment {
            None => None,
            Some(name) => Some(self.environment(name).map_err(Trouble::Wrong)?),
        };
        let resource = match &act.resource {
            None => None,
            Some(name) => match self.engine.state().resource_by_identifier(name) {
                Some(resource) => Some(resource.id),
                None => return wrong(format!("there is no resource `{name}`")),
            },
        };
        let skip = Skip {
            id: self.new_id().into(),
            rule: self.rule_id(&rule)?,
            version,
            environment,
            resource,
            reason: act.reason.clone(),
            expires_at,
            created_at: Timestamp(0),
            created_by: None,
        };
        let made = Made {
            id: skip.id,
            rule,
            version: act.version.clone(),
            environment: act.environment.clone(),
            resource: act.resource.clone(),
        };
        let actor = self.actor(act.by.as_deref())?;
        self.execute(Command::CreateSkip(skip), actor)?;
        self.skips.push(made);
        Ok(())
    }

    fn skip_version(&self, act: &SkipAct) -> Result<Option<VersionId>, Trouble> {
        let Some(tag) = &act.version else {
            return Ok(None);
        };
        let deployment = self
            .deployment(act.deployment.as_deref())
            .map_err(Trouble::Wrong)?;
        let version = self.version(deployment, tag).map_err(Trouble::Wrong)?;
        Ok(Some(version.id))
    }

    fn unskip(&mut self, act: &SkipAct) -> Result<(), Trouble> {
        let state = self.engine.state();
        let standing = |made: &&Made| state.skips().contains_key(&made.id);
        let fitting = self.skips.iter().filter(|made| made.fits(act));
        let ids: Vec<(SkipId, String)> = fitting
            .filter(standing)
            .map(|made| (made.id, made.rule.clone()))
            .collect();
        if ids.is_empty() {
            return wrong("there is no such skip to take back");
        }
        for (id, rule) in ids {
            self.tell(format!("{} has {rule} count again", whoever(&act.by)));
            let reason = act.reason.clone();
            let actor = self.actor(act.by.as_deref())?;
            self.execute(Command::DeleteSkip { id, reason }, actor)?;
        }
        Ok(())
    }

    /// The rule that `kind`, `Policy/kind` or `Policy/kind/2` means; `freeze` is the kind of freezes.
    fn rule_id(&self, text: &str) -> Result<RuleId, Trouble> {
        let mut rules: Vec<(String, RuleId)> = Vec::new();
        for policy in self.engine.state().policies().values() {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for rule in &policy.rules {
                let count = counts.entry(&rule.kind).or_default();
                *count += 1;
                let number = match *count {
                    1 => String::new(),
                    count => format!("/{count}"),
                };
                rules.push((format!("{}/{}{number}", policy.name, rule.kind), rule.id));
            }
        }
        for freeze in self.engine.state().freezes().values() {
            rules.push((format!("{}/freeze", freeze.name), RuleId(freeze.id.0)));
        }
        rules.sort();
        let of_kind = |name: &str| {
            let kind = name.rsplit('/').next();
            kind == Some(text) || name == text
        };
        let fitting: Vec<&(String, RuleId)> =
            rules.iter().filter(|(name, _)| of_kind(name)).collect();
        match fitting.as_slice() {
            [one] => Ok(one.1),
            several => {
                let all = if several.is_empty() {
                    rules.iter().map(|(name, _)| name.as_str()).collect()
                } else {
                    let names = several.iter().map(|(name, _)| name.as_str());
                    names.collect::<Vec<_>>()
                };
                let what = match several.len() {
                    0 => format!("there is no rule `{text}`"),
                    count => format!("there are {count} rules `{text}`"),
                };
                wrong(format!("{what}; {}", known_hint(text, &all)))
            }
        }
    }

    fn freeze_id(&self, name: &str) -> Result<FreezeId, Trouble> {
        let freezes = self.engine.state().freezes();
        let known: Vec<&str> = freezes.values().map(|it| it.name.as_str()).collect();
        let found = freezes.values().find(|it| it.name == name);
        match found {
            Some(freeze) => Ok(freeze.id),
            None => wrong(format!(
                "there is no freeze `{name}`; {}",
                known_hint(name, &known)
            )),
        }
    }

    fn freeze(&mut self, act: &FreezeAct) -> Result<(), Trouble> {
        let known = self.engine.state().freezes();
        let known = known.values().find(|it| it.name == act.name).cloned();
        let starts_at = act.starts.map(|moment| moment.after(self.start));
        let ends_at = act.ends.map(|moment| moment.after(self.start));
        let verb = if known.is_some() { "changes" } else { "makes" };
        let at = |word: &str, at: Option<Timestamp>| {
            let at = at.map(|at| spelled(at.millis_since(self.start)));
            at.map_or_else(String::new, |at| format!(", {word} {at}"))
        };
        let times = format!("{}{}", at("from", starts_at), at("until", ends_at));
        let name = &act.name;
        self.tell(format!(
            "{} {verb} the freeze {name}{times}",
            whoever(&act.by)
        ));
        let reason = act.reason.clone();
        let mut freeze = match known {
            Some(known) => Freeze::clone(&known),
            None => Freeze {
                id: self.new_id().into(),
                name: name.clone(),
                selector: "true".to_owned(),
                reason: "the scenario says so".to_owned(),
                starts_at: self.now,
                ends_at: None,
                allow_rollback: true,
                created_at: Timestamp(0),
                created_by: None,
            },
        };
        freeze.selector = act.selector.clone().unwrap_or(freeze.selector);
        freeze.reason = reason.unwrap_or(freeze.reason);
        freeze.starts_at = starts_at.unwrap_or(freeze.starts_at);
        freeze.ends_at = ends_at.or(freeze.ends_at);
        freeze.allow_rollback = act.allow_rollback.unwrap_or(freeze.allow_rollback);
        let actor = self.actor(act.by.as_deref())?;
        self.execute(Command::PutFreeze(freeze), actor)
    }

    /// A text of documents with ids for the names of people in `user:NAME`, as who writes a policy sees to it.
    pub(super) fn with_ids(&self, text: &str) -> String {
        let mut made = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("user:") {
            let (before, after) = rest.split_at(at + "user:".len());
            made.push_str(before);
            let is_name = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
            let end = after.find(|letter| !is_name(letter));
            let (name, after) = after.split_at(end.unwrap_or(after.len()));
            match self.user(name) {
                Some(id) => made.push_str(&id.to_string()),
                None => made.push_str(name),
            }
            rest = after;
        }
        made.push_str(rest);
        made
    }

    /// A text for people, with names for the ids of users.
    pub fn with_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, (id, _)) in &self.people {
            let id = id.to_string();
            if text.contains(&id) {
                text = text.replace(&id, name);
            }
        }
        text
    }
}

fn whoever(by: &Option<String>) -> &str {
    by.as_deref().unwrap_or("someone")
}
