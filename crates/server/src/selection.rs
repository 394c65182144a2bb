//! Which release targets an order is for: named one by one, or those of a deployment in an environment.

use crate::answer::{Answer, Failure};
use crate::references;
use stagegate_engine::{LaneKey, State};
use stagegate_model::{ResourceId, TargetKey};
use std::collections::BTreeSet;

/// The targets as a request names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub targets: Vec<String>,
    pub deployment: Option<String>,
    pub environment: Option<String>,
    pub resources: Vec<String>,
}

/// The targets that were meant, each once.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub targets: Vec<TargetKey>,
    /// Under which field they were named one by one, to be done whole or not at all; `None` for all of an
    /// environment, of which what cannot be moved stays.
    pub field: Option<&'static str>,
}

impl Named {
    /// Finds the targets.
    ///
    /// # Errors
    /// When it names none, in two ways at once, or one that is not there.
    pub fn find(&self, state: &State) -> Answer<Selection> {
        let by_lane =
            self.deployment.is_some() || self.environment.is_some() || !self.resources.is_empty();
        match (self.targets.is_empty(), by_lane) {
            (false, false) => self.by_key(),
            (false, true) => Err(Failure::new(
                "conflicting_fields",
                "the targets are named by key, and by deployment and environment",
            )
            .at("targets")
            .hint("keep one of the two")),
            (true, _) => self.by_lane(state),
        }
    }

    fn by_key(&self) -> Answer<Selection> {
        let mut seen = BTreeSet::new();
        let mut targets = Vec::new();
        for (index, text) in self.targets.iter().enumerate() {
            let key: TargetKey = text.parse().map_err(|what| {
                Failure::new("invalid_id", format!("`{text}` is not a release target"))
                    .at(format!("targets[{index}]"))
                    .hint(what)
            })?;
            if seen.insert(key) {
                targets.push(key);
            }
        }
        Ok(Selection {
            targets,
            field: Some("targets"),
        })
    }

    fn by_lane(&self, state: &State) -> Answer<Selection> {
        let missing = |field: &str| {
            Failure::new("missing_field", "it does not say for which targets")
                .at(field)
                .hint("name `targets`, or `deployment` and `environment`")
        };
        let deployment = self.deployment.as_deref();
        let deployment = deployment.ok_or_else(|| missing("deployment"))?;
        let environment = self.environment.as_deref();
        let environment = environment.ok_or_else(|| missing("environment"))?;
        let key = LaneKey {
            deployment: references::deployment(state, deployment)?.id,
            environment: references::environment(state, environment)?.id,
        };
        let lane = state.lane(key);
        let there = |id: ResourceId| {
            lane.and_then(|lane| lane.targets.get(&id))
                .is_some_and(|target| !target.leaving())
        };
        if !self.resources.is_empty() {
            return self.on_resources(state, key, there);
        }
        let targets = lane.into_iter().flat_map(|lane| &lane.targets);
        let targets: Vec<TargetKey> = targets
            .filter(|(_, target)| !target.leaving())
            .map(|(resource, _)| key.target(*resource))
            .collect();
        if targets.is_empty() {
            let message = format!("`{deployment}` has no release targets in `{environment}`");
            return Err(Failure::new("release_target_not_found", message).at("environment"));
        }
        Ok(Selection {
            targets,
            field: None,
        })
    }

    fn on_resources(
        &self,
        state: &State,
        key: LaneKey,
        there: impl Fn(ResourceId) -> bool,
    ) -> Answer<Selection> {
        let mut seen = BTreeSet::new();
        let mut targets = Vec::new();
        for (index, text) in self.resources.iter().enumerate() {
            let at = format!("resources[{index}]");
            let resource = references::resource(state, text).map_err(|it| it.at(&at))?;
            if !there(resource.id) {
                let message = format!("`{text}` is no release target there");
                return Err(Failure::new("release_target_not_found", message).at(at));
            }
            if seen.insert(resource.id) {
                targets.push(key.target(resource.id));
            }
        }
        Ok(Selection {
            targets,
            field: Some("resources"),
        })
    }
}
