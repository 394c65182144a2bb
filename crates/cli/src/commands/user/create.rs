//! `stagegate user create`

use crate::Answer;
use crate::output::one_line;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::CreateUser;

/// Create a user. What they act with is a key: see `stagegate key create`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate user create alice --email alice@example.org --role approver
  stagegate key create laptop --user alice --role approver")]
pub struct Args {
    /// How the person is called
    name: String,
    /// Where the person is written to
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// `viewer`, `agent`, `ci`, `approver` or `admin`
    #[arg(long, default_value = "viewer")]
    role: String,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let body = CreateUser {
            name: self.name,
            email: self.email,
            role: self.role,
        };
        let user = workspace.create_user(&body).await?;
        session.out.show(&user, |user, _| {
            format!(
                "user {} was created, role {} (id {})",
                one_line(&user.name),
                user.role,
                user.id
            )
        })?;
        Ok(Answer::Yes)
    }
}
