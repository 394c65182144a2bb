//! Waiting until a version has arrived somewhere, telling what happens on the way.

use crate::Answer;
use crate::output::{Output, gates, one_line, status_mark, status_word};
use anyhow::Result;
use serde::Serialize;
use stagegate_api::client::Workspace;
use stagegate_api::{Deployment, DeploymentVersion, Environment, Promotion, PromotionsQuery};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Events come in bursts; one look serves them all.
const BURST: Duration = Duration::from_millis(150);

/// A look is taken at least this often, should events not come through (a proxy that holds them back).
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

/// What is waited for.
pub struct Arrival<'a> {
    pub workspace: &'a Workspace,
    pub deployment: &'a Deployment,
    pub version: &'a DeploymentVersion,
    /// Where it is to arrive; all of them.
    pub environments: &'a [Environment],
    pub timeout: Duration,
}

/// How it ended in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    pub environment: String,
    /// A promotion's status; empty when there was none.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Arrived {
    fn of(environment: &Environment, promotion: Option<&Promotion>) -> Self {
        let reason = promotion.map(|it| match &it.reason {
            Some(reason) if !reason.is_empty() => reason.clone(),
            _ => gates::reasons(&it.gates).join("; "),
        });
        Self {
            environment: environment.name.clone(),
            status: promotion.map_or(String::new(), |it| it.status.clone()),
            promotion: promotion.map(|it| it.id.clone()),
            reason: reason.unwrap_or_default(),
        }
    }

    fn has_ended(&self) -> bool {
        !matches!(
            self.status.as_str(),
            "" | "waiting" | "deploying" | "verifying"
        )
    }

    fn line(&self) -> String {
        let word = if self.status.is_empty() {
            "nothing to deploy yet"
        } else {
            status_word(&self.status)
        };
        let reason = if self.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", one_line(&self.reason))
        };
        let mark = status_mark(&self.status);
        format!("{mark} {}: {word}{reason}", self.environment)
    }
}

impl Arrival<'_> {
    /// Waits until the version succeeded everywhere, ended otherwise anywhere, or the time is up; the second part
    /// says how it stands.
    ///
    /// # Errors
    /// As every call; a server that is away for a while is waited for.
    pub async fn wait(&self, out: &Output) -> Result<(Answer, Vec<Arrived>)> {
        let deadline = Instant::now() + self.timeout;
        let seq = self.workspace.status(Some(&self.deployment.id)).await?.seq;
        let mut events = self.workspace.events(seq);
        let mut told = BTreeMap::new();
        loop {
            let standing = self.look().await?;
            for one in &standing {
                let line = one.line();
                if told.insert(one.environment.clone(), line.clone()) != Some(line.clone()) {
                    out.note(&line);
                }
            }
            if standing
                .iter()
                .any(|one| one.has_ended() && one.status != "succeeded")
            {
                return Ok((Answer::No, standing));
            }
            if standing.iter().all(|one| one.status == "succeeded") {
                return Ok((Answer::Yes, standing));
            }
            let look = deadline.min(Instant::now() + LOOK_INTERVAL);
            match timeout_at(look, events.next()).await {
                Ok(event) => {
                    event?;
                    sleep(BURST).await;
                }
                Err(_) if look == deadline => {
                    out.remark(&format!(
                        "not there after {} s; it goes on without being watched",
                        self.timeout.as_secs()
                    ));
                    return Ok((Answer::No, standing));
                }
                Err(_) => {}
            }
        }
    }

    /// How the version stands in each environment.
    async fn look(&self) -> Result<Vec<Arrived>> {
        let query = PromotionsQuery {
            deployment: Some(self.deployment.id.clone()),
            version: Some(self.version.id.clone()),
            ..PromotionsQuery::default()
        };
        let promotions = self.workspace.all_promotions(&query).all().await?;
        let latest = |environment: &Environment| {
            promotions
                .iter()
                .filter(|it| it.environment.id == environment.id)
                .max_by_key(|it| it.attempt)
        };
        let environments = self.environments.iter();
        Ok(environments
            .map(|environment| Arrived::of(environment, latest(environment)))
            .collect())
    }
}
