//! Drafts to entities: names become ids, what exists keeps its id, and only what differs becomes a change.

mod notifiers;
mod policies;
mod variables;

use crate::catalog::Catalog;
use crate::difference::between;
use crate::draft::{AgentChoice, Body, DeploymentDraft, Draft, EnvironmentDraft, Links, Reference};
use crate::error::{DocumentError, code};
use crate::form::{self, Form, Names, agent_selector, is_empty};
use crate::plan::{Action, Kind, Planned};
use crate::reader::Reader;
use crate::wording::{clip, folded, known_hint, quoted_list};
use crate::yaml::Position;
use serde_json::Value as Json;
use stagegate_model::{
    Change, Deployment, Environment, EnvironmentId, JobAgent, Resource, System, SystemId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// All drafts of a request.
pub(crate) struct Intake<'a> {
    pub drafts: &'a [Draft],
    /// File and number of each draft's document.
    pub places: &'a [(&'a str, usize)],
    /// Some documents could not be read, so a name that is not found may well be declared in one of them.
    pub incomplete: bool,
}

#[derive(Default)]
pub(crate) struct Resolved {
    /// Each with the index of the draft that asked for it.
    pub changes: Vec<(Change, usize)>,
    pub documents: Vec<Planned>,
}

/// The name of the system that is made when there is none.
const DEFAULT_SYSTEM: &str = "default";

pub(crate) fn resolve(
    intake: &Intake<'_>,
    catalog: &dyn Catalog,
    new_id: &mut dyn FnMut() -> Uuid,
    now: Timestamp,
    errors: &mut Vec<DocumentError>,
) -> Resolved {
    let mut resolver = Resolver {
        intake,
        catalog,
        new_id,
        now,
        errors,
        names: Names {
            persons: catalog.persons().cloned().unwrap_or_default(),
            ..Names::default()
        },
        systems: BTreeMap::new(),
        environments: BTreeMap::new(),
        agents: BTreeMap::new(),
        references: BTreeSet::new(),
        by_file: BTreeMap::new(),
        homes: BTreeMap::new(),
        default_system: None,
        outcomes: BTreeMap::new(),
        changes: Vec::new(),
    };
    resolver.refuse_duplicates();
    resolver.put_systems();
    resolver.put_agents();
    resolver.put_relationship_rules();
    resolver.put_resources();
    resolver.put_environments();
    resolver.put_deployments();
    resolver.put_variable_sets();
    resolver.put_policies();
    resolver.put_notifiers();
    resolver.finish()
}

struct Resolver<'a> {
    intake: &'a Intake<'a>,
    catalog: &'a dyn Catalog,
    new_id: &'a mut dyn FnMut() -> Uuid,
    now: Timestamp,
    errors: &'a mut Vec<DocumentError>,
    names: Names,
    /// Declared in the texts and in the workspace, by folded name.
    systems: BTreeMap<String, SystemId>,
    /// Declared in the texts and in the workspace, by folded name.
    environments: BTreeMap<String, EnvironmentId>,
    /// Names as they are spelled where they are declared, by folded name; the texts go before the workspace.
    agents: BTreeMap<String, String>,
    /// Of the relationship rules in the texts and in the workspace.
    references: BTreeSet<String>,
    /// Declared in each file.
    by_file: BTreeMap<&'a str, Vec<SystemId>>,
    /// Where things of each file belong that do not say so.
    homes: BTreeMap<&'a str, Option<SystemId>>,
    default_system: Option<(System, usize)>,
    outcomes: BTreeMap<usize, (Action, Vec<crate::FieldChange>)>,
    changes: Vec<(Kind, Change, usize)>,
}

impl<'a> Resolver<'a> {
    fn refuse(
        &mut self,
        draft: usize,
        at: Position,
        field: &str,
        code: &str,
        text: (String, String),
    ) {
        let (file, document) = self.intake.places.get(draft).copied().unwrap_or_default();
        let mut reader = Reader {
            file,
            document,
            errors: self.errors,
        };
        reader.refuse(at, field, code, text.0, text.1);
    }

    fn refuse_duplicates(&mut self) {
        let intake = self.intake;
        let mut first: BTreeMap<(Kind, String), usize> = BTreeMap::new();
        for (index, draft) in intake.drafts.iter().enumerate() {
            // Without a usable slug or identifier it is not known what is declared.
            if draft.identity().is_empty() {
                continue;
            }
            let earlier = *first
                .entry((draft.kind(), draft.identity()))
                .or_insert(index);
            let (Some(original), Some((file, _))) =
                (intake.drafts.get(earlier), intake.places.get(earlier))
            else {
                continue;
            };
            if earlier == index {
                continue;
            }
            let what = match draft.kind() {
                Kind::Deployment => format!("slug `{}`", draft.identity()),
                Kind::Resource => format!("identifier `{}`", clip(&draft.identity())),
                _ => format!("name `{}`", clip(&draft.name)),
            };
            let message = format!(
                "a second {} with the {what}; the first is in {file}, line {}",
                draft.kind(),
                original.at.line
            );
            let hint = "keep one of them, or rename it".to_owned();
            self.refuse(
                index,
                draft.at,
                "name",
                code::DUPLICATE_DOCUMENT,
                (message, hint),
            );
        }
    }

    fn fresh(&mut self) -> Uuid {
        (self.new_id)()
    }

    /// Notes what becomes of a draft's entity.
    fn settle(
        &mut self,
        draft: usize,
        old: Option<Form>,
        new: &Form,
        equal: bool,
        change: impl FnOnce() -> Change,
    ) {
        let action = match (&old, equal) {
            (None, _) => Action::Created,
            (Some(_), true) => Action::Unchanged,
            (Some(_), false) => Action::Changed,
        };
        let fields = match action {
            Action::Unchanged => Vec::new(),
            _ => between(&old.unwrap_or_default(), new),
        };
        if action != Action::Unchanged
            && let Some(kind) = self.intake.drafts.get(draft).map(Draft::kind)
        {
            self.changes.push((kind, change(), draft));
        }
        self.outcomes.insert(draft, (action, fields));
    }

    fn put_systems(&mut self) {
        for system in self.catalog.systems() {
            self.systems.insert(folded(&system.name), system.id);
            self.names.systems.insert(system.id, system.name);
        }
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::System(body) = &draft.body else {
                continue;
            };
            let old = self.catalog.system_by_name(&draft.name);
            let system = System {
                id: old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id),
                name: draft.name.clone(),
                slug: body.slug.clone(),
                description: body.description.clone(),
                metadata: body.metadata.clone(),
            };
            self.systems.insert(folded(&draft.name), system.id);
            self.names.systems.insert(system.id, system.name.clone());
            if let Some((file, _)) = intake.places.get(index) {
                self.by_file.entry(file).or_default().push(system.id);
            }
            let equal = old.as_ref() == Some(&system);
            let old = old.as_ref().map(form::system);
            let new = form::system(&system);
            self.settle(index, old, &new, equal, || Change::PutSystem(system));
        }
    }

    fn put_agents(&mut self) {
        for agent in self.catalog.job_agents() {
            self.names.add_agent(&agent.name);
            self.agents.insert(folded(&agent.name), agent.name);
        }
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::JobAgent(body) = &draft.body else {
                continue;
            };
            let old = self.catalog.job_agent_by_name(&draft.name);
            let agent = JobAgent {
                job_limits: body.limits,
                id: old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id),
                name: draft.name.clone(),
                kind: body.kind.clone(),
                config: kept(old.as_ref().map(|old| &old.config), &body.config),
                metadata: body.metadata.clone(),
            };
            self.names.add_agent(&agent.name);
            self.agents.insert(folded(&agent.name), agent.name.clone());
            let equal = old.as_ref() == Some(&agent);
            let old = old.as_ref().map(form::job_agent);
            let new = form::job_agent(&agent);
            self.settle(index, old, &new, equal, || Change::PutJobAgent(agent));
        }
    }

    fn put_resources(&mut self) {
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::Resource(body) = &draft.body else {
                continue;
            };
            let old = self.catalog.resource_by_identifier(&body.identifier);
            let mut resource = Resource {
                id: old
                    .as_ref()
                    .map_or_else(|| self.fresh().into(), |old| old.id),
                name: draft.name.clone(),
                identifier: body.identifier.clone(),
                kind: body.kind.clone(),
                version: body.version.clone(),
                metadata: body.metadata.clone(),
                config: kept(old.as_ref().map(|old| &old.config), &body.config),
                created_at: old.as_ref().map_or(self.now, |old| old.created_at),
                updated_at: old.as_ref().and_then(|old| old.updated_at),
            };
            let equal = old.as_ref() == Some(&resource);
            if old.is_some() && !equal {
                resource.updated_at = Some(self.now);
            }
            let known = old.as_ref().map(|old| self.catalog.variables_on(old.id));
            let known = known.unwrap_or_default();
            let own = match &body.variables {
                Some(own) => self.values(index, own),
                None => known.clone(),
            };
            let equal = equal && own == known;
            let old = old.as_ref().map(|old| form::resource(old, &known));
            let new = form::resource(&resource, &own);
            let id = resource.id;
            self.settle(index, old, &new, equal, || Change::PutResource(resource));
            if own != known {
                let change = Change::PutResourceVariables {
                    resource: id,
                    variables: own,
                };
                self.changes.push((Kind::Resource, change, index));
            }
        }
    }

    fn put_environments(&mut self) {
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            if let Body::Environment(body) = &draft.body {
                self.put_environment(index, draft, body);
            }
        }
    }

    fn put_environment(&mut self, index: usize, draft: &'a Draft, body: &'a EnvironmentDraft) {
        let old = self.catalog.environment_by_name(&draft.name);
        let systems = self.links(index, &body.systems, old.as_ref().map(|old| &old.systems));
        let environment = Environment {
            id: old
                .as_ref()
                .map_or_else(|| self.fresh().into(), |old| old.id),
            name: draft.name.clone(),
            description: body.description.clone(),
            metadata: body.metadata.clone(),
            resource_selector: body.resource_selector.clone(),
            systems,
            created_at: old.as_ref().map_or(self.now, |old| old.created_at),
        };
        self.environments
            .insert(folded(&environment.name), environment.id);
        self.names
            .environments
            .insert(environment.id, environment.name.clone());
        let equal = old.as_ref() == Some(&environment);
        let old = old.as_ref().map(|old| form::environment(old, &self.names));
        let new = form::environment(&environment, &self.names);
        self.settle(index, old, &new, equal, || {
            Change::PutEnvironment(environment)
        });
    }

    fn put_deployments(&mut self) {
        let intake = self.intake;
        for (index, draft) in intake.drafts.iter().enumerate() {
            if let Body::Deployment(body) = &draft.body {
                self.put_deployment(index, draft, body);
            }
        }
    }

    fn put_deployment(&mut self, index: usize, draft: &'a Draft, body: &'a DeploymentDraft) {
        let old = self.catalog.deployment_by_slug(&body.slug);
        let systems = self.links(index, &body.systems, old.as_ref().map(|old| &old.systems));
        let deployment = Deployment {
            job_limits: body.limits,
            redeploy_on_variable_change: body.redeploys,
            id: old
                .as_ref()
                .map_or_else(|| self.fresh().into(), |old| old.id),
            name: draft.name.clone(),
            slug: body.slug.clone(),
            description: body.description.clone(),
            metadata: body.metadata.clone(),
            resource_selector: body.resource_selector.clone(),
            job_agent_selector: self.agent_selector(index, &body.agent),
            job_agent_config: kept(
                old.as_ref().map(|old| &old.job_agent_config),
                &body.agent_config,
            ),
            systems,
            created_at: old.as_ref().map_or(self.now, |old| old.created_at),
        };
        let known = old.as_ref().map(|old| self.catalog.variables_of(old.id));
        let known = known.unwrap_or_default();
        let declared = match &body.variables {
            Some(drafts) => self.declared(index, deployment.id, drafts, &known),
            None => known.clone(),
        };
        let changes = variables::changes(&known, &declared);
        let equal = old.as_ref() == Some(&deployment) && changes.is_empty();
        let old = old
            .as_ref()
            .map(|old| form::deployment(old, &known, &self.names));
        let new = form::deployment(&deployment, &declared, &self.names);
        self.settle(index, old, &new, equal, || {
            Change::PutDeployment(deployment)
        });
        let changes = changes.into_iter();
        let changes = changes.map(|change| (Kind::Deployment, change, index));
        self.changes.extend(changes);
    }

    /// A named agent must be known: CEL compares letters exactly, so its name is taken as it is spelled where
    /// it is declared.
    fn agent_selector(&mut self, index: usize, choice: &AgentChoice) -> String {
        let reference = match choice {
            AgentChoice::Selector(selector) => return selector.clone(),
            AgentChoice::Named(reference) => reference,
        };
        if let Some(name) = self.agents.get(&folded(&reference.name)) {
            return agent_selector(name);
        }
        let known: Vec<String> = self.names.agents.values().cloned().collect();
        self.unknown(
            index,
            reference,
            code::UNKNOWN_JOB_AGENT,
            "job agent",
            &known,
        );
        "false".to_owned()
    }

    fn unknown(
        &mut self,
        draft: usize,
        reference: &Reference,
        code: &str,
        what: &str,
        known: &[String],
    ) {
        if self.intake.incomplete {
            return;
        }
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let message = format!("there is no {what} `{}`", clip(&reference.name));
        let plural = match what {
            "policy" => "policies".to_owned(),
            what => format!("{what}s"),
        };
        let hint = known_hint(&reference.name, &known, &plural);
        self.refuse(draft, reference.at, &reference.field, code, (message, hint));
    }

    fn links(
        &mut self,
        index: usize,
        links: &'a Links,
        existing: Option<&BTreeSet<SystemId>>,
    ) -> BTreeSet<SystemId> {
        let named = match (links, existing) {
            (Links::Named(named), _) => named,
            (Links::Absent, Some(existing)) => return existing.clone(),
            (Links::Absent, None) => return self.home(index).into_iter().collect(),
        };
        let mut systems = BTreeSet::new();
        for reference in named {
            match self.systems.get(&folded(&reference.name)) {
                Some(id) => {
                    systems.insert(*id);
                }
                None => {
                    let known: Vec<String> = self.names.systems.values().cloned().collect();
                    self.unknown(index, reference, code::UNKNOWN_SYSTEM, "system", &known);
                }
            }
        }
        systems
    }

    /// The system of things that name none: the file's only one, else the only one at all, else `default`.
    fn home(&mut self, index: usize) -> Option<SystemId> {
        let (file, _) = *self.intake.places.get(index)?;
        if let Some(Some(home)) = self.homes.get(file) {
            return Some(*home);
        }
        let own = self.by_file.get(file).cloned().unwrap_or_default();
        let all: Vec<SystemId> = match own.as_slice() {
            [] => self.names.systems.keys().copied().collect(),
            _ => own,
        };
        let home = match all.as_slice() {
            [only] => Some(*only),
            [] => Some(self.make_default_system(index)),
            several => {
                self.refuse_ambiguous(index, several);
                None
            }
        };
        self.homes.insert(file, home);
        home
    }

    fn make_default_system(&mut self, index: usize) -> SystemId {
        let system = System {
            id: self.fresh().into(),
            name: DEFAULT_SYSTEM.to_owned(),
            slug: DEFAULT_SYSTEM.to_owned(),
            description: String::new(),
            metadata: BTreeMap::new(),
        };
        let id = system.id;
        self.systems.insert(folded(&system.name), id);
        self.names.systems.insert(id, system.name.clone());
        self.default_system = Some((system, index));
        id
    }

    fn refuse_ambiguous(&mut self, index: usize, systems: &[SystemId]) {
        let Some(draft) = self
            .intake
            .drafts
            .get(index)
            .filter(|_| !self.intake.incomplete)
        else {
            return;
        };
        let names = &self.names.systems;
        let mut several: Vec<String> = systems
            .iter()
            .filter_map(|id| names.get(id).cloned())
            .collect();
        several.sort();
        let several: Vec<&str> = several.iter().map(String::as_str).collect();
        let message = format!(
            "`{}` does not say which system it belongs to, and there are several",
            clip(&draft.name)
        );
        let hint = format!("add `system:` with one of {}", quoted_list(&several));
        self.refuse(
            index,
            draft.at,
            "system",
            code::AMBIGUOUS_SYSTEM,
            (message, hint),
        );
    }

    fn finish(self) -> Resolved {
        let mut resolved = Resolved::default();
        let planned =
            |draft: usize, kind: Kind, name: &str, line: usize, outcome: (Action, Vec<_>)| {
                let (file, document) = self.intake.places.get(draft).copied().unwrap_or_default();
                Planned {
                    kind,
                    name: name.to_owned(),
                    file: file.to_owned(),
                    document,
                    line,
                    action: outcome.0,
                    fields: outcome.1,
                }
            };
        if let Some((system, draft)) = self.default_system {
            let line = self
                .intake
                .drafts
                .get(draft)
                .map_or(1, |draft| draft.at.line);
            let fields = between(&Form::new(), &form::system(&system));
            let outcome = (Action::Created, fields);
            resolved
                .documents
                .push(planned(draft, Kind::System, &system.name, line, outcome));
            resolved.changes.push((Change::PutSystem(system), draft));
        }
        for (draft, outcome) in self.outcomes {
            if let Some(known) = self.intake.drafts.get(draft) {
                let line = known.at.line;
                resolved
                    .documents
                    .push(planned(draft, known.kind(), &known.name, line, outcome));
            }
        }
        let mut changes = self.changes;
        // Stable: within a kind the order stands.
        changes.sort_by_key(|(kind, ..)| *kind);
        let changes = changes
            .into_iter()
            .map(|(_, change, draft)| (change, draft));
        resolved.changes.extend(changes);
        resolved
    }
}

/// An empty mapping where nothing was before is no change.
fn kept(old: Option<&Json>, new: &Json) -> Json {
    match old {
        Some(old) if is_empty(old) && is_empty(new) => old.clone(),
        _ => new.clone(),
    }
}
