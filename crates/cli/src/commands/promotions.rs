//! `stagegate promotions`

use crate::Answer;
use crate::output::{Cell, Paint, Table, gates, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{LIMIT_MAX, Promotion, PromotionsQuery};

/// List promotions, newest first: versions on their way into environments, and how it went.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate promotions --open
  stagegate promotions --deployment api --environment production --limit 10")]
pub struct Args {
    /// Only those that have not ended
    #[arg(long)]
    open: bool,
    /// Only this deployment's: its slug, name or id
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// Only into this environment: its name or id
    #[arg(long, short, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Only this version: its tag or id
    #[arg(long, short, value_name = "TAG")]
    version: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX as i64))]
    limit: u16,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = match &self.deployment {
            Some(name) => Some(resolve::deployment(&workspace, Some(name)).await?.id),
            None => None,
        };
        let environment = match &self.environment {
            Some(name) => Some(resolve::environment(&workspace, name).await?.id),
            None => None,
        };
        let query = PromotionsQuery {
            deployment,
            environment,
            version: self.version.clone(),
            open: self.open.then_some(true),
            limit: Some(usize::from(self.limit)),
            offset: None,
        };
        let page = workspace.promotions(&query).await?;
        session
            .out
            .show(&page.items, |items, paint| render(items, paint))?;
        let more = page.total.saturating_sub(page.items.len());
        if more > 0 {
            session.out.note(&format!("{more} more; see --limit"));
        }
        Ok(Answer::Yes)
    }
}

/// Promotions as a table.
pub fn render(promotions: &[Promotion], paint: Paint) -> String {
    if promotions.is_empty() {
        return "no promotions\n".to_owned();
    }
    let now = when::now();
    let mut table = Table::new([
        "ID",
        "DEPLOYMENT",
        "VERSION",
        "ENVIRONMENT",
        "STATUS",
        "TARGETS",
        "SINCE",
        "WHY",
    ]);
    for it in promotions {
        let why = match &it.reason {
            Some(reason) if !reason.is_empty() => reason.clone(),
            _ if it.is_open() => gates::reasons(&it.gates).join("; "),
            _ => String::new(),
        };
        table.row([
            Cell::from(&it.id),
            Cell::from(&it.deployment.slug),
            Cell::strong(&it.version.tag),
            Cell::from(&it.environment.name),
            Cell::status(&it.status),
            Cell::from(format!("{}/{}", it.targets.succeeded, it.targets.total)),
            Cell::dim(when::distance(
                it.ended_at.as_ref().unwrap_or(&it.opened_at),
                now,
            )),
            Cell::from(why),
        ]);
    }
    table.render(paint)
}
