//! What must run beside a version: rules over what other deployments have on the resource, and what a version names.

use super::ledger::Ledger;
use super::selector::{Subject, holds};
use stagegate_model::*;

impl Ledger {
    /// What a target lacks on its resource for a version; `None` when nothing is. What has begun is not asked again.
    pub fn lacks(&self, version: &Version, target: TargetKey) -> Option<String> {
        let beside = self.beside(target);
        let matches = |selector: &str, deployment: Option<DeploymentId>| {
            beside.iter().any(|(of, running)| {
                let subject = Subject {
                    deployment: self.deployments.get(of),
                    version: Some(running),
                    ..Subject::default()
                };
                deployment.is_none_or(|wanted| wanted == *of) && holds(selector, subject)
            })
        };
        let rules = self.rules_for("deploymentDependency", version, target);
        for rule in rules.filter(|it| !self.excused(it.id, version.id, target)) {
            let selector = rule.spec.get("dependsOn").and_then(Json::as_str);
            let selector = selector.unwrap_or("false");
            if !matches(selector, None) {
                return Some(format!("nothing beside it matches `{selector}`"));
            }
        }
        let mut needed = version.dependencies.iter();
        let missing = needed.find(|(of, needed)| !matches(&needed.version_selector, Some(**of)));
        missing.map(|(of, needed)| {
            let selector = &needed.version_selector;
            format!("it needs {of} to match `{selector}` beside it")
        })
    }

    /// The versions that run well on a target's resource, of other deployments.
    fn beside(&self, own: TargetKey) -> Vec<(DeploymentId, &Version)> {
        let others = self.targets.iter().filter(|(key, target)| {
            key.resource == own.resource && key.deployment != own.deployment && target.member
        });
        others
            .filter_map(|(key, target)| {
                let (release, version) = target.current?;
                let version = self.versions.get(&version)?;
                let stops = self.stops.get(&(version.id, key.environment));
                let well = target.brought == Some(release)
                    && !self.undone.contains(&release)
                    && version.status != VersionStatus::Rejected
                    && stops.is_none_or(|stops| !stops.quarantined);
                well.then_some((key.deployment, version))
            })
            .collect()
    }
}
