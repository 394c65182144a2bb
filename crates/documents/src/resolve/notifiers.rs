//! Notifiers: the environments they name become ids.

use super::{Resolver, kept};
use crate::draft::{Body, Draft, NotifierDraft};
use crate::error::code;
use crate::form;
use crate::wording::folded;
use stagegate_model::{Change, EnvironmentId, Notifier};
use std::collections::BTreeSet;

impl<'a> Resolver<'a> {
    pub(super) fn put_notifiers(&mut self) {
        let intake = self.intake;
        let mut known = false;
        for (index, draft) in intake.drafts.iter().enumerate() {
            let Body::Notifier(body) = &draft.body else {
                continue;
            };
            if !std::mem::replace(&mut known, true) {
                self.know_environments();
            }
            self.put_notifier(index, draft, body);
        }
    }

    /// Those of the workspace beside those of the texts.
    fn know_environments(&mut self) {
        for environment in self.catalog.environments() {
            self.environments
                .entry(folded(&environment.name))
                .or_insert(environment.id);
            self.names
                .environments
                .entry(environment.id)
                .or_insert(environment.name);
        }
    }

    fn put_notifier(&mut self, index: usize, draft: &'a Draft, body: &'a NotifierDraft) {
        let old = self.catalog.notifier_by_name(&draft.name);
        let mut environments: BTreeSet<EnvironmentId> = BTreeSet::new();
        for reference in &body.environments {
            match self.environments.get(&folded(&reference.name)) {
                Some(id) => {
                    environments.insert(*id);
                }
                None => {
                    let known: Vec<String> = self.names.environments.values().cloned().collect();
                    let code = code::UNKNOWN_ENVIRONMENT;
                    self.unknown(index, reference, code, "environment", &known);
                }
            }
        }
        let notifier = Notifier {
            id: old
                .as_ref()
                .map_or_else(|| self.fresh().into(), |old| old.id),
            name: draft.name.clone(),
            kind: body.kind.clone(),
            config: kept(old.as_ref().map(|old| &old.config), &body.config),
            events: body.events.iter().map(|it| it.name.clone()).collect(),
            environments,
            selector: body.selector.clone(),
            metadata: body.metadata.clone(),
            created_at: old.as_ref().map_or(self.now, |old| old.created_at),
        };
        let equal = old.as_ref() == Some(&notifier);
        let old = old.as_ref().map(|old| form::notifier(old, &self.names));
        let new = form::notifier(&notifier, &self.names);
        self.settle(index, old, &new, equal, || Change::PutNotifier(notifier));
    }
}
