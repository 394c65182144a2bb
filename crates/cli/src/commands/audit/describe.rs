//! Facts in words.

use crate::output::counted;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{Entry, Json};
use std::collections::HashMap;

/// How much of an unknown fact is shown, in characters.
const UNKNOWN_CHARS_MAX: usize = 160;

/// What ids stand for.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// The names of what people name; versions are learned from the entries that create them.
    pub async fn of(workspace: &Workspace) -> Result<Self> {
        let mut names = HashMap::new();
        for it in workspace.users().all().await? {
            names.insert(it.id, it.name);
        }
        for it in workspace.environments().all().await? {
            names.insert(it.id, it.name);
        }
        for it in workspace.policies().all().await? {
            for rule in &it.rules {
                names.insert(rule.id.clone(), format!("{} of {}", rule.kind, it.name));
            }
            names.insert(it.id, it.name);
        }
        for it in workspace.groups().all().await? {
            names.insert(it.id, it.name);
        }
        for it in workspace.freezes().all().await? {
            names.insert(it.id, it.name);
        }
        for it in workspace.deployments().all().await? {
            names.insert(it.deployment.id.clone(), it.deployment.slug);
            // The newest ones; older ones stay ids.
            let versions = workspace.versions(&it.deployment.id).page(100, 0).await?;
            for it in versions.items {
                names.insert(it.version.id, it.version.tag);
            }
        }
        Ok(Self(names))
    }

    /// Remembers what an entry names.
    pub fn learn(&mut self, entry: &Entry) {
        for fact in &entry.facts {
            for (member, name) in [
                ("version", "tag"),
                ("environment", "name"),
                ("deployment", "slug"),
                ("policy", "name"),
                ("notifier", "name"),
                ("group", "name"),
                ("freeze", "name"),
            ] {
                let it = &fact[member];
                if let (Some(id), Some(name)) = (it["id"].as_str(), it[name].as_str()) {
                    self.0.insert(id.to_owned(), name.to_owned());
                }
            }
        }
    }

    /// Who did it.
    pub fn actor(&self, actor: &Json) -> String {
        match actor["user"].as_str() {
            Some(id) => self.name(id),
            None => "stagegate".to_owned(),
        }
    }

    fn name(&self, id: &str) -> String {
        self.0.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }
}

/// One fact as a line; of its list so many members are left out.
pub fn describe(fact: &Json, left_out: usize, names: &Names) -> String {
    let text = |member: &str| fact[member].as_str().unwrap_or_default().to_owned();
    let name = |member: &str| names.name(fact[member].as_str().unwrap_or_default());
    let because = |member: &str| match fact[member].as_str() {
        Some(reason) if !reason.is_empty() => format!(": {reason}"),
        _ => String::new(),
    };
    let count = |member: &str| fact[member].as_array().map_or(0, Vec::len) + left_out;
    let kind = fact["type"].as_str().unwrap_or_default();
    match kind {
        "workspaceCreated" => format!("workspace {} was created", text("slug")),
        "userCreated" => format!("user {} was created, role {}", name("id"), text("role")),
        "keyCreated" => {
            let (id, owner, role) = (text("id"), name("owner"), text("role"));
            format!("key {id} of {owner} was created, role {role}")
        }
        "keyRevoked" => format!("key {} was revoked", text("id")),
        "systemPut" | "environmentPut" | "deploymentPut" | "resourcePut" | "jobAgentPut"
        | "policyPut" | "notifierPut" => {
            let noun = kind.trim_end_matches("Put");
            let member = if noun == "jobAgent" { "agent" } else { noun };
            let named = fact[member]["name"].as_str().unwrap_or_default();
            format!("{} {named} was set", spaced(noun))
        }
        "systemDeleted" | "environmentDeleted" | "deploymentDeleted" | "resourceDeleted"
        | "jobAgentDeleted" | "policyDeleted" | "notifierDeleted" => {
            let noun = kind.trim_end_matches("Deleted");
            format!("{} {} was deleted", spaced(noun), name("id"))
        }
        "versionCreated" => {
            let version = &fact["version"];
            let deployment = names.name(version["deployment"].as_str().unwrap_or_default());
            let tag = version["tag"].as_str().unwrap_or_default();
            let status = version["status"].as_str().unwrap_or_default();
            format!("version {tag} of {deployment} was created, {status}")
        }
        "versionChanged" => {
            let status = match fact["status"].as_str() {
                Some(status) => format!(" to {status}"),
                None => String::new(),
            };
            format!(
                "version {} was changed{status}{}",
                name("id"),
                because("message")
            )
        }
        "voteCast" => {
            let (user, vote) = (name("user"), text("vote"));
            let (version, environment) = (name("version"), name("environment"));
            format!(
                "{user}: {vote} {version} in {environment}{}",
                because("reason")
            )
        }
        "groupPut" => {
            let group = &fact["group"];
            let members = group["members"].as_array().into_iter().flatten();
            let members = members
                .filter_map(|it| it.as_str())
                .map(|id| names.name(id));
            let members: Vec<String> = members.collect();
            let named = group["name"].as_str().unwrap_or_default();
            format!("group {named} was set: {}", members.join(", "))
        }
        "groupDeleted" => format!("group {} was deleted", name("id")),
        "skipCreated" => {
            let skip = &fact["skip"];
            let part = |member: &str| skip[member].as_str();
            let of =
                |member: &str, any: &str| part(member).map_or(any.to_owned(), |id| names.name(id));
            let (version, environment) = (
                of("version", "every version"),
                of("environment", "every environment"),
            );
            let resource =
                part("resource").map_or(String::new(), |id| format!(" on {}", names.name(id)));
            let until = part("expiresAt").map_or(String::new(), |at| format!(" until {at}"));
            format!(
                "{} was set aside for {version} in {environment}{resource}{until}: {}",
                of("rule", ""),
                part("reason").unwrap_or_default()
            )
        }
        "skipDeleted" => format!("skip {} was deleted{}", text("id"), because("reason")),
        "freezePut" => {
            let freeze = &fact["freeze"];
            let part = |member: &str| freeze[member].as_str().unwrap_or_default();
            let until = match part("endsAt") {
                "" => "until a person ends it".to_owned(),
                at => format!("until {at}"),
            };
            let (named, from, reason) = (part("name"), part("startsAt"), part("reason"));
            format!("freeze {named} was set from {from} {until}: {reason}")
        }
        "freezeDeleted" => format!("freeze {} was ended{}", name("id"), because("reason")),
        "targetsJoined" | "targetsLeft" => {
            let verb = if kind == "targetsJoined" {
                "joined"
            } else {
                "left"
            };
            let (deployment, environment) = (name("deployment"), name("environment"));
            format!(
                "{} of {deployment} {verb} {environment}",
                counted(count("resources"), "target")
            )
        }
        "promotionOpened" => {
            let (version, environment) = (name("version"), name("environment"));
            format!(
                "promotion of {version} into {environment} opened ({})",
                text("id")
            )
        }
        "gateChanged" => {
            let gate = &fact["gate"];
            let part = |member: &str| gate[member].as_str().unwrap_or_default();
            let policy = names.name(part("policy"));
            format!(
                "gate {} of {policy}: {}, {}",
                part("kind"),
                part("state"),
                part("message")
            )
        }
        "promotionMoved" => format!("promotion {}: {}", text("id"), text("status")),
        "promotionEnded" => {
            let (id, status) = (text("id"), text("status"));
            format!("promotion {id} ended: {status}{}", because("reason"))
        }
        "jobsCreated" => {
            let (version, environment) = (name("version"), name("environment"));
            let kind = match fact["kind"].as_str() {
                Some("breakGlass") => " (BREAK-GLASS)".to_owned(),
                Some(kind) => format!(" ({kind})"),
                None => String::new(),
            };
            format!(
                "{} created for {version} in {environment}{kind}",
                counted(count("jobs"), "job")
            )
        }
        "targetBlocked" => match fact["block"]["message"].as_str() {
            Some(message) => format!("a target is blocked: {message}"),
            None => "a target is no longer blocked".to_owned(),
        },
        "jobClaimed" => format!("job {} was claimed by {}", text("id"), text("runner")),
        "jobChanged" => {
            let (id, status) = (text("id"), text("status"));
            format!("job {id}: {status}{}", because("message"))
        }
        "reportIgnored" => {
            let (job, status, standing) = (text("job"), text("status"), text("standing"));
            format!("job {job}: late report of {status} ignored, it stands at {standing}")
        }
        "releaseEnded" => {
            let (job, status) = (text("job"), text("status"));
            format!("release of job {job} ended: {status}{}", because("reason"))
        }
        "verificationStarted" => {
            let (id, job) = (text("id"), text("job"));
            format!("verification {id} of job {job} started")
        }
        "measured" => {
            let (id, status) = (text("verification"), text("status"));
            format!("verification {id}: measured {status}{}", because("message"))
        }
        "verificationEnded" => {
            let (id, status) = (text("id"), text("status"));
            let by = match fact["decidedBy"].as_str() {
                Some(user) => format!(" by {}", names.name(user)),
                None => String::new(),
            };
            format!("verification {id} ended: {status}{by}{}", because("reason"))
        }
        "retryScheduled" => {
            let (job, at) = (text("job"), text("at"));
            let attempt = fact["attempt"].as_u64().unwrap_or_default();
            format!("job {job} is tried again: attempt {attempt} at {at}")
        }
        "targetOrdered" => {
            let order = &fact["order"];
            let part = |member: &str| order[member].as_str().unwrap_or_default();
            let version = names.name(part("version"));
            let what = match part("kind") {
                "rollback" => format!("a target is rolled back to {version}"),
                "breakGlass" => {
                    format!("BREAK-GLASS: a target is to get {version} past every gate")
                }
                _ => format!("a target is to get {version} once more"),
            };
            let place = names.name(fact["target"]["environment"].as_str().unwrap_or_default());
            let by = match order["by"].as_str() {
                Some(user) => format!(" by {}", names.name(user)),
                None => format!(" ({})", part("cause")),
            };
            let reason = match part("reason") {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            format!("{what} in {place}{by}{reason}")
        }
        "orderDropped" => format!("an order for a target is void{}", because("reason")),
        "holdReleased" => format!("a target is no longer held{}", because("reason")),
        "quarantined" | "quarantineCleared" => {
            let stands = if kind == "quarantined" {
                "is"
            } else {
                "is no longer"
            };
            let (version, environment) = (name("version"), name("environment"));
            format!(
                "{version} {stands} quarantined in {environment}{}",
                because("reason")
            )
        }
        "promotionCancelRequested" => {
            format!("promotion {} is cancelled{}", text("id"), because("reason"))
        }
        "promotionReopened" => {
            let (version, environment) = (name("version"), name("environment"));
            format!(
                "{version} may go into {environment} again{}",
                because("reason")
            )
        }
        "rolloutStarted" | "rolloutWaveStarted" | "rolloutPaused" | "rolloutResumed" => {
            let (version, environment) = (name("version"), name("environment"));
            let what = match kind {
                "rolloutStarted" => "begins".to_owned(),
                "rolloutPaused" => "is paused".to_owned(),
                "rolloutResumed" => "is resumed".to_owned(),
                _ => {
                    let wave = fact["wave"].as_u64().unwrap_or_default() + 1;
                    format!("comes to wave {wave}")
                }
            };
            format!(
                "the rollout of {version} into {environment} {what}{}",
                because("reason")
            )
        }
        "rolloutClock" => {
            let (version, environment) = (name("version"), name("environment"));
            let runs = fact["running"].as_bool().unwrap_or_default();
            let stands = if runs { "runs" } else { "stands still" };
            format!("the clock of the rollout of {version} into {environment} {stands}")
        }
        // A later server's facts.
        _ => fact.to_string().chars().take(UNKNOWN_CHARS_MAX).collect(),
    }
}

/// `jobAgent` as `job agent`.
fn spaced(noun: &str) -> &str {
    if noun == "jobAgent" {
        "job agent"
    } else {
        noun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_name_what_they_are_about() {
        let mut names = Names::default();
        names.learn(&Entry {
            facts: vec![
                json!({"type": "versionCreated", "version": {"id": "v", "tag": "v1.2.3"}}),
                json!({"type": "environmentPut", "environment": {"id": "e", "name": "production"}}),
            ],
            ..Entry::default()
        });
        let vote = json!({
            "type": "voteCast", "version": "v", "environment": "e", "user": "u",
            "vote": "approved", "reason": "fine",
        });
        assert_eq!(
            describe(&vote, 0, &names),
            "u: approved v1.2.3 in production: fine"
        );
        let put = json!({"type": "jobAgentPut", "agent": {"name": "local"}});
        assert_eq!(describe(&put, 0, &names), "job agent local was set");
        let order = json!({
            "type": "targetOrdered", "target": {"environment": "e"},
            "order": {"kind": "breakGlass", "version": "v", "cause": "person", "by": "u", "reason": "all down"},
        });
        assert_eq!(
            describe(&order, 0, &names),
            "BREAK-GLASS: a target is to get v1.2.3 past every gate in production by u: all down"
        );
        let skip = json!({"type": "skipCreated", "skip": {"rule": "r", "version": "v", "reason": "incident"}});
        assert_eq!(
            describe(&skip, 0, &names),
            "r was set aside for v1.2.3 in every environment: incident"
        );
        let freeze = json!({"type": "freezePut", "freeze": {"name": "Holidays", "startsAt": "a", "reason": "b"}});
        assert_eq!(
            describe(&freeze, 0, &names),
            "freeze Holidays was set from a until a person ends it: b"
        );
        let made =
            json!({"type": "jobsCreated", "version": "v", "environment": "e", "jobs": [{}, {}]});
        let told = describe(&made, 9_998, &names);
        assert_eq!(told, "10000 jobs created for v1.2.3 in production");
        let later = json!({"type": "notYetKnown", "a": 1});
        assert!(describe(&later, 0, &names).contains("notYetKnown"));
        assert_eq!(names.actor(&json!({"kind": "system"})), "stagegate");
    }
}
