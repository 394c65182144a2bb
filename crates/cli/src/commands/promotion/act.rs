//! `stagegate promotion cancel`, `reopen`, `pause` and `resume`

use crate::Answer;
use crate::output::{Paint, one_line, status_mark, status_tone, status_word};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Promotion, PromotionAct};

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Cancel,
    Reopen,
    Pause,
    Resume,
}

/// The promotion and the reason. What is done stands on the subcommand.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate promotion pause 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10 --reason 'looking into latencies'
  stagegate promotion resume 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10")]
pub struct Args {
    /// The promotion's id, as `stagegate promotions` lists it
    id: String,
    /// Why
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

impl Args {
    pub async fn run(self, session: Session, act: Act) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = PromotionAct {
            reason: self.reason,
        };
        let standing = match act {
            Act::Cancel => workspace.cancel_promotion(&self.id, &body).await?,
            Act::Reopen => workspace.reopen_promotion(&self.id, &body).await?,
            Act::Pause => workspace.pause_promotion(&self.id, &body).await?,
            Act::Resume => workspace.resume_promotion(&self.id, &body).await?,
        };
        session.out.show(&standing, render)?;
        Ok(Answer::Yes)
    }
}

fn render(it: &Promotion, paint: Paint) -> String {
    let paused = if it.paused.is_some() { ", paused" } else { "" };
    let standing = format!("{} {}", status_mark(&it.status), status_word(&it.status));
    format!(
        "{} → {}, attempt {}: {}{paused}\n{}\n{}\n",
        paint.strong(&one_line(&format!(
            "{} {}",
            it.deployment.slug, it.version.tag
        ))),
        paint.strong(&one_line(&it.environment.name)),
        it.attempt,
        paint.tone(status_tone(&it.status), &standing),
        paint.dim(&format!("promotion {}", it.id)),
        one_line(it.reason.as_deref().unwrap_or_default())
    )
}
