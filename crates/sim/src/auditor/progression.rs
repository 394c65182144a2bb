//! The auditor's own reading of `environmentProgression`.

use super::ledger::{Attempt, Ledger};
use super::selector::{Subject, holds};
use stagegate_model::*;

impl Ledger {
    /// Why the rule does not let the version in; `None` when it does.
    pub(super) fn progression_shut(
        &self,
        rule: &Rule,
        version: &Version,
        environment: &Environment,
        deployment: &Deployment,
    ) -> Option<String> {
        let spec = &rule.spec;
        let upstream: Vec<&Environment> = self
            .environments
            .values()
            .filter(|other| other.id != environment.id)
            .filter(|other| !other.systems.is_disjoint(&environment.systems))
            .filter(|other| {
                if let Some(name) = spec.get("waitFor").and_then(Json::as_str) {
                    return other.name.eq_ignore_ascii_case(name);
                }
                let selector = spec.get("dependsOnEnvironmentSelector");
                let subject = Subject {
                    environment: Some(other),
                    ..Subject::default()
                };
                holds(selector.and_then(Json::as_str).unwrap_or("false"), subject)
            })
            .collect();
        if upstream.is_empty() {
            return Some("no environment to wait for".to_owned());
        }
        let mut reasons = Vec::new();
        for other in upstream {
            let members: Vec<TargetKey> = self
                .members(deployment.id, other.id)
                .map(|(key, _)| *key)
                .collect();
            if members.is_empty() {
                continue;
            }
            match self.stage_shut(spec, version, &members) {
                None => return None,
                Some(why) => reasons.push(format!("{}: {why}", other.name)),
            }
        }
        let may_be_empty = spec.get("allowNoTargets").and_then(Json::as_bool);
        if reasons.is_empty() && may_be_empty == Some(true) {
            return None;
        }
        reasons.push("(no other stage helps)".to_owned());
        Some(reasons.join("; "))
    }

    fn stage_shut(&self, spec: &Json, version: &Version, members: &[TargetKey]) -> Option<String> {
        let required = {
            let percentage = spec.get("minimumSuccessPercentage").and_then(Json::as_u64);
            let product = members.len() as u64 * percentage.unwrap_or(100);
            usize::try_from(product.div_ceil(100)).unwrap_or(usize::MAX)
        };
        let mut stays: Vec<(i64, Option<i64>)> = members
            .iter()
            .filter(|target| {
                let stops = self.stops.get(&(version.id, target.environment));
                stops.is_none_or(|stops| !stops.quarantined)
            })
            .filter_map(|target| self.attempt(version.id, *target))
            .filter(|attempt| !attempt.undone)
            .filter_map(|attempt| {
                let from = counts_from(spec, &attempt)?;
                Some((from.0, attempt.replaced.map(|(_, at)| at.0)))
            })
            .collect();
        stays.sort_unstable();
        if stays.len() < required {
            return Some(format!("{} of {required} succeeded", stays.len()));
        }
        let reached = required
            .checked_sub(1)
            .map_or(version.created_at.0, |last| stays[last].0);
        let minutes = spec.get("minimumSoakTimeMinutes").and_then(Json::as_i64);
        let needed = minutes.unwrap_or(0) * 60_000;
        if needed > 0 && self.longest_stay(&stays, reached, required) < needed {
            return Some(format!("it has not soaked for {needed} ms"));
        }
        let newest = stays.last().map_or(reached, |(from, _)| *from);
        let hours = spec.get("maximumAgeHours").and_then(Json::as_i64);
        match hours {
            Some(hours) if self.now.0 - newest > hours * 3_600_000 => {
                Some(format!("the last success is older than {hours} h"))
            }
            _ => None,
        }
    }

    /// The longest time from `reached` until now during which enough targets had the version without a break.
    fn longest_stay(&self, stays: &[(i64, Option<i64>)], reached: i64, required: usize) -> i64 {
        if required == 0 {
            return self.now.0 - reached;
        }
        let mut longest = 0;
        // A stretch can only begin where a target came to count.
        for (start, _) in stays.iter().filter(|(from, _)| *from >= reached) {
            let there = stays
                .iter()
                .filter(|(from, to)| from <= start && to.is_none_or(|to| to > *start));
            // Leaving ends the stretch as soon as fewer than required of all that came and stayed are left.
            let mut ends: Vec<i64> = stays.iter().filter_map(|(_, to)| *to).collect();
            ends.retain(|end| end > start);
            ends.sort_unstable();
            if there.count() < required {
                continue;
            }
            let broken = ends.into_iter().find(|end| {
                let staying = stays
                    .iter()
                    .filter(|(from, to)| from < end && to.is_none_or(|to| to > *end));
                staying.count() < required
            });
            longest = longest.max(broken.unwrap_or(self.now.0).min(self.now.0) - start);
        }
        longest
    }
}

/// When a success came to count; `None` when it does not.
fn counts_from(spec: &Json, attempt: &Attempt) -> Option<Timestamp> {
    let statuses = spec.get("successStatuses").and_then(Json::as_array);
    let counts = match statuses {
        Some(statuses) => statuses
            .iter()
            .any(|status| status.as_str() == Some(attempt.status.as_str())),
        None => attempt.status == JobStatus::Successful,
    };
    if !counts {
        return None;
    }
    let required = spec
        .get("requireVerificationPassed")
        .and_then(Json::as_bool)
        != Some(false);
    match attempt.ended {
        _ if !required || !attempt.asked => Some(attempt.completed_at),
        Some((ReleaseStatus::Succeeded, at)) => Some(attempt.completed_at.max(at)),
        _ => None,
    }
}
