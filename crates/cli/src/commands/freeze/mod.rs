//! Freezes: times in which nothing new starts.

mod create;
mod end;
mod list;

use crate::Answer;
use crate::output::when;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::Freeze;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Create(create::Args),
    List(list::Args),
    End(end::Args),
}

impl Command {
    pub async fn run(self, session: Session) -> Result<Answer> {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::End(args) => args.run(session).await,
        }
    }
}

/// `production, staging`, as far as is known.
fn places(freeze: &Freeze) -> String {
    let names: Vec<&str> = freeze
        .environments
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    match names[..] {
        [] => "nothing at present".to_owned(),
        _ => names.join(", "),
    }
}

/// `from … until …`.
fn time(freeze: &Freeze) -> String {
    let end = match &freeze.ends_at {
        Some(at) => format!("until {}", when::both(at, when::now())),
        None => "until a person ends it".to_owned(),
    };
    match freeze.status.as_str() {
        "inForce" => end,
        _ => format!("from {} {end}", when::both(&freeze.starts_at, when::now())),
    }
}

/// The word for its status.
fn status(freeze: &Freeze) -> &str {
    match freeze.status.as_str() {
        "inForce" => "in force",
        other => other,
    }
}
