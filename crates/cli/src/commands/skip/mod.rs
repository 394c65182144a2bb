//! Rules set aside.

mod create;
mod delete;
mod list;

use crate::Answer;
use crate::output::{one_line, when};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::PolicySkip;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Create(create::Args),
    List(list::Args),
    Delete(delete::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::Delete(args) => args.run(session).await,
        }
    }
}

/// What is set aside: `approval of Four Eyes`.
fn what(skip: &PolicySkip) -> String {
    match skip.kind.as_str() {
        "" => "a rule that is no more".to_owned(),
        kind => one_line(&format!("{kind} of {}", skip.policy_name)),
    }
}

/// For what: `v1.2.3 in production`.
fn scope(skip: &PolicySkip) -> String {
    let version = skip.version_tag.as_deref().unwrap_or("every version");
    let environment = skip.environment_name.as_deref();
    let environment = environment.unwrap_or("every environment");
    let resource = match &skip.resource_name {
        Some(resource) => format!(" on {resource}"),
        None => String::new(),
    };
    one_line(&format!("{version} in {environment}{resource}"))
}

fn until(skip: &PolicySkip) -> String {
    match &skip.expires_at {
        Some(at) if skip.expired => format!("expired {}", when::distance(at, when::now())),
        Some(at) => format!("until {}", when::both(at, when::now())),
        None => "until it is deleted".to_owned(),
    }
}
