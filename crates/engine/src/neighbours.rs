//! What else runs on a resource: the targets that other deployments have there, and what became of them.

use crate::settle::is_usable;
use crate::state::{LaneKey, State, TargetView};
use stagegate_model::{
    Deployment, DeploymentId, Environment, ReleaseStatus, ResourceId, Timestamp, Version,
    VersionStatus,
};
use std::sync::Arc;

/// A target of another deployment on the same resource.
pub(crate) struct Neighbour<'s> {
    pub deployment: &'s Arc<Deployment>,
    pub environment: &'s Arc<Environment>,
    /// What runs there with success, or why nothing does.
    pub runs: Result<Running<'s>, String>,
}

/// A version that runs on a target, by a release that succeeded and was not undone since.
#[derive(Clone, Copy)]
pub(crate) struct Running<'s> {
    pub version: &'s Arc<Version>,
    /// When its release succeeded.
    pub since: Timestamp,
}

impl Neighbour<'_> {
    /// What is there, in words.
    pub fn told(&self) -> String {
        let (name, place) = (&self.deployment.slug, &self.environment.name);
        match &self.runs {
            Ok(running) => format!("{name} {} ({place})", running.version.tag),
            Err(why) => format!("{name} {why} ({place})"),
        }
    }

    /// What is there, for programs.
    pub fn details(&self) -> serde_json::Value {
        let version = self.runs.as_ref().ok().map(|it| &it.version.tag);
        serde_json::json!({
            "deployment": self.deployment.slug,
            "environment": self.environment.name,
            "version": version,
            "reason": self.runs.as_ref().err(),
        })
    }
}

/// What is on a resource, in words: the first few, and how many more.
pub(crate) fn told(neighbours: &[Neighbour<'_>]) -> String {
    const NAMED_MAX: usize = 5;
    let named = neighbours.iter().take(NAMED_MAX).map(Neighbour::told);
    let mut text = named.collect::<Vec<_>>().join(", ");
    if let Some(more) = neighbours.len().checked_sub(NAMED_MAX).filter(|it| *it > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl State {
    /// The targets on a resource of deployments other than `own`, in the order of their deployments.
    pub(crate) fn neighbours(
        &self,
        resource: ResourceId,
        own: DeploymentId,
    ) -> impl Iterator<Item = Neighbour<'_>> {
        let lanes = self.resources.lanes(resource).iter();
        lanes
            .filter(move |key| key.deployment != own)
            .filter_map(move |key| {
                let target = self.lane(*key)?.targets.get(&resource)?;
                // What is no target any more stays only until it is free.
                (!target.leaving()).then_some(())?;
                Some(Neighbour {
                    deployment: self.deployments.get(&key.deployment)?,
                    environment: self.environments.get(&key.environment)?,
                    runs: self.runs(*key, target),
                })
            })
    }

    /// What runs on a target: its last successful release, unless something else was brought there since, or it was
    /// rolled back, rejected or quarantined.
    fn runs(&self, key: LaneKey, target: TargetView<'_>) -> Result<Running<'_>, String> {
        let known = |id| {
            let release = self.brief(target, id)?;
            Some((release, self.versions.get(&release.version)?))
        };
        let Some((release, version)) = target.current().and_then(known) else {
            return Err("has not succeeded there yet".to_owned());
        };
        let tag = &version.tag;
        if target.brought() != target.current() {
            let brought = target.brought().and_then(known);
            let tag = brought.map_or(tag, |(_, version)| &version.tag);
            let verified = target.active().is_some();
            return Err(match verified {
                true => format!("{tag} has not been found good there yet"),
                false => format!("{tag} was not found good there"),
            });
        }
        if release.status != ReleaseStatus::Succeeded {
            return Err(format!("{tag} was rolled back there"));
        }
        if version.status == VersionStatus::Rejected {
            return Err(format!("{tag} was rejected"));
        }
        if !is_usable(self, key.environment, version.id) {
            return Err(format!("{tag} is quarantined"));
        }
        Ok(Running {
            version,
            since: release.at,
        })
    }
}
