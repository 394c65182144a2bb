//! Notifiers: who is told. Nothing that is decided depends on them.

use super::{Draft, NAME_CHARS_MAX, check_name, lookup, missing, taken, view};
use crate::expressions::{check_cel, notifier_schema};
use crate::state::same_name;
use stagegate_model::{EnvironmentId, Fact, NotificationEvent, Notifier, NotifierId, Rejection};
use std::sync::Arc;

/// Notifiers in a workspace, at most: each follows the log.
pub const NOTIFIERS_MAX: usize = 100;
/// Bytes of a notifier's config as JSON, at most.
const CONFIG_BYTES_MAX: usize = 64 * 1024;

impl Draft<'_> {
    pub(super) fn put_notifier(&mut self, mut notifier: Notifier) -> Result<(), Rejection> {
        check_name("name", &notifier.name)?;
        check_name("type", &notifier.kind)?;
        // What stands in it is for the integration to judge; `{{ secret.NAME }}` is no template of ours.
        if !notifier.config.is_object() {
            return Err(Rejection::invalid("wrong_type", "it must be an object").at("config"));
        }
        if notifier.config.to_string().len() > CONFIG_BYTES_MAX {
            let message = format!("it is larger than {CONFIG_BYTES_MAX} bytes");
            return Err(Rejection::invalid("too_large", message).at("config"));
        }
        for event in &notifier.events {
            if NotificationEvent::parse(event).is_none() {
                let shown: String = event.chars().take(NAME_CHARS_MAX).collect();
                let known: Vec<_> = NotificationEvent::ALL
                    .iter()
                    .map(|it| it.as_str())
                    .collect();
                let message = format!("there is no event `{shown}`");
                return Err(Rejection::invalid("invalid_value", message)
                    .at("events")
                    .hint(format!("the events are: {}", known.join(", "))));
            }
        }
        for id in &notifier.environments {
            let known = lookup(&self.state.environments, &self.environments, id);
            if known.is_none() {
                return Err(missing("environment", id).at("environments"));
            }
        }
        if !notifier.selector.is_empty() {
            check_cel(&notifier.selector, notifier_schema(), "selector")?;
        }
        let all = || view(&self.state.notifiers, &self.notifiers);
        if all().any(|other| other.id != notifier.id && same_name(&other.name, &notifier.name)) {
            return Err(taken("notifier", &notifier.name));
        }
        let old = lookup(&self.state.notifiers, &self.notifiers, &notifier.id);
        match old {
            Some(old) => {
                // From when on it is told does not change with what it is told.
                notifier.created_at = old.created_at;
                if **old == notifier {
                    return Ok(());
                }
            }
            None if all().count() >= NOTIFIERS_MAX => {
                let message = format!("a workspace has at most {NOTIFIERS_MAX} notifiers");
                return Err(Rejection::conflict("too_large", message));
            }
            None => {}
        }
        self.notifiers
            .insert(notifier.id, Some(Arc::new(notifier.clone())));
        self.facts.push(Fact::NotifierPut { notifier });
        Ok(())
    }

    pub(super) fn delete_notifier(&mut self, id: NotifierId) -> Result<(), Rejection> {
        lookup(&self.state.notifiers, &self.notifiers, &id)
            .ok_or_else(|| missing("notifier", id))?;
        self.notifiers.insert(id, None);
        self.facts.push(Fact::NotifierDeleted { id });
        Ok(())
    }

    /// Refuses to delete an environment that a notifier names: without it, it would tell of all of them.
    pub(super) fn keep_for_notifiers(
        &self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<(), Rejection> {
        let user = view(&self.state.notifiers, &self.notifiers)
            .find(|notifier| notifier.environments.contains(&environment));
        match user {
            None => Ok(()),
            Some(notifier) => {
                let message = format!("the notifier `{}` names `{name}`", notifier.name);
                Err(Rejection::conflict("in_use", message)
                    .hint("take it out of `environments` there first"))
            }
        }
    }
}
