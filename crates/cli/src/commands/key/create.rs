//! `stagegate key create`

use crate::Answer;
use crate::output::one_line;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::CreateKey;

/// Create a key and print it, this once. It acts as its owner.
///
/// The key alone goes to standard output, so that it can be put straight where it is needed.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate key create pipeline --role ci
  export STAGEGATE_API_KEY=$(stagegate key create runner-1 --role agent)
  stagegate key create laptop --user alice --role approver")]
pub struct Args {
    /// What the key is called, to recognise it by
    name: String,
    /// What it may do: `viewer`, `agent`, `ci`, `approver` or `admin`
    #[arg(long)]
    role: String,
    /// Whose it is: the user's name; yours when left out
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let out = &session.out;
        let workspace = session.workspace().await?;
        let body = CreateKey {
            name: self.name,
            role: self.role,
            user_id: None,
            user: self.user,
        };
        let created = workspace.create_key(&body).await?;
        out.show(&created, |created, _| created.key.clone())?;
        let key = &created.info;
        out.note(&format!(
            "key {} of {}, role {} (id {}); it is not shown again",
            one_line(&key.name),
            one_line(key.user_name.as_ref().unwrap_or(&key.user_id)),
            key.role,
            key.id
        ));
        Ok(Answer::Yes)
    }
}
