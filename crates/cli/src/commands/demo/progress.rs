//! Tells what happens to promotions, one line for each thing that changed.

use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{Promotion, PromotionDetail, PromotionsQuery};
use std::collections::BTreeMap;
use std::time::Instant;

pub(super) struct Progress {
    workspace: Workspace,
    started: Instant,
    /// What was told last, by promotion and topic.
    told: BTreeMap<(String, String), String>,
}

impl Progress {
    pub fn new(workspace: Workspace, started: Instant) -> Self {
        Self {
            workspace,
            started,
            told: BTreeMap::new(),
        }
    }

    pub fn headline(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.started.elapsed().as_secs_f64());
    }

    /// Looks at all promotions and tells what is new.
    pub async fn look(&mut self) -> Result<Vec<Promotion>> {
        let page = self
            .workspace
            .promotions(&PromotionsQuery {
                limit: Some(50),
                ..Default::default()
            })
            .await?;
        let mut promotions = page.items;
        promotions.sort_by(|a, b| {
            (&a.opened_at, &a.environment.name).cmp(&(&b.opened_at, &b.environment.name))
        });
        promotions.sort_by_key(|it| it.environment.name != "Staging");
        for promotion in &promotions {
            self.tell(promotion).await?;
        }
        Ok(promotions)
    }

    pub async fn promotion(&self, tag: &str, environment: &str) -> Result<Option<Promotion>> {
        let query = PromotionsQuery {
            version: Some(tag.to_owned()),
            environment: Some(environment.to_owned()),
            ..Default::default()
        };
        Ok(self
            .workspace
            .promotions(&query)
            .await?
            .items
            .into_iter()
            .next())
    }

    async fn tell(&mut self, promotion: &Promotion) -> Result<()> {
        if promotion.status != "waiting" {
            let detail = self.workspace.promotion(&promotion.id).await?;
            self.tell_measurements(&detail);
        }
        self.tell_status(promotion);
        for gate in &promotion.gates {
            let state = if gate.allowed { "open" } else { "shut" };
            let text = format!(
                "gate {state:<4}  {} ({}): {}",
                gate.kind, gate.policy_name, gate.message
            );
            if promotion.status == "waiting" {
                self.line(promotion, &gate.rule_id, text);
            }
        }
        Ok(())
    }

    fn tell_status(&mut self, promotion: &Promotion) {
        let reason = promotion.reason.as_deref().unwrap_or_default();
        let text = if promotion.is_open() || reason.is_empty() {
            promotion.status.clone()
        } else {
            format!("{}: {reason}", promotion.status)
        };
        self.line(promotion, "status", text);
    }

    fn tell_measurements(&mut self, detail: &PromotionDetail) {
        for verification in &detail.verifications {
            for metric in &verification.metrics {
                let taken = metric.measurements.len();
                let Some(last) = metric.measurements.last() else {
                    continue;
                };
                let name = &metric.name;
                let mut text = format!(
                    "measured   {name}: {taken} of {}, {}",
                    metric.count, last.status
                );
                if let Some(message) = last
                    .message
                    .as_deref()
                    .filter(|message| !message.is_empty())
                {
                    text = format!("{text}: {message}");
                }
                self.line(
                    &detail.promotion,
                    &format!("{}/{name}", verification.id),
                    text,
                );
            }
        }
    }

    fn line(&mut self, promotion: &Promotion, topic: &str, text: String) {
        let key = (promotion.id.clone(), topic.to_owned());
        if self.told.get(&key) == Some(&text) {
            return;
        }
        let place = format!("{} → {}", promotion.version.tag, promotion.environment.name);
        println!(
            "{:>6.1} s  {place:<20}  {text}",
            self.started.elapsed().as_secs_f64()
        );
        self.told.insert(key, text);
    }
}
