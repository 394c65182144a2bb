//! `stagegate audit`

use super::describe::{Names, describe};
use crate::Answer;
use crate::failure::Failure;
use crate::output::{Output, Paint, one_line, when};
use crate::resolve;
use crate::session::Session;
use anyhow::Result;
use stagegate_api::client::Workspace;
use stagegate_api::{AuditQuery, Entry, LIMIT_MAX};
use tokio::signal::ctrl_c;

/// Facts of one entry that are shown; JSON has them all.
const FACTS_SHOWN_MAX: usize = 20;

#[derive(clap::Args, Debug)]
pub struct Filter {
    /// Only what touches this promotion: its id
    #[arg(long, value_name = "ID")]
    promotion: Option<String>,
    /// Only what touches this version: its tag or id
    #[arg(long, value_name = "TAG")]
    version: Option<String>,
    /// The deployment whose version is meant; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT", requires = "version")]
    deployment: Option<String>,
    /// Only what touches this environment: its name or id
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Only what touches this policy: its name or id
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// Only what this user did: the name or id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only entries after this number, from the oldest on; without it, the newest ones
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX as i64))]
    limit: u16,
    /// Go on with what is added, until interrupted
    #[arg(long, short)]
    follow: bool,
}

impl Filter {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let out = &session.out;
        let workspace = session.workspace().await?;
        let query = AuditQuery {
            // What programs read has all of it.
            whole: out.is_json().then_some(true),
            ..self.query(&workspace).await?
        };
        // Before the first page, so that nothing falls between it and the stream.
        let head = workspace.status(None).await?.seq;
        let names = if out.is_json() {
            Names::default()
        } else {
            Names::of(&workspace).await?
        };
        let first = match self.after {
            Some(after) => AuditQuery {
                after: Some(after),
                ..query.clone()
            },
            None => AuditQuery {
                before: Some(head.saturating_add(1)),
                ..query.clone()
            },
        };
        let entries = entries(&workspace, first, usize::from(self.limit)).await?;
        if !self.follow {
            out.show(&entries, |entries, paint| render(entries, &names, paint))?;
            return Ok(Answer::Yes);
        }
        show_each(&entries, &names, out)?;
        let last = entries
            .last()
            .map_or(self.after.unwrap_or(head), |entry| entry.seq);
        let seen = if self.after.is_some() {
            last
        } else {
            last.max(head)
        };
        follow(&workspace, &query, seen, names, out).await?;
        Ok(Answer::Yes)
    }

    async fn query(&self, workspace: &Workspace) -> Result<AuditQuery> {
        let version = match &self.version {
            None => None,
            Some(tag) => {
                let deployment = resolve::deployment(workspace, self.deployment.as_deref()).await?;
                Some(resolve::version(workspace, &deployment, tag).await?.id)
            }
        };
        let environment = match &self.environment {
            None => None,
            Some(name) => Some(resolve::environment(workspace, name).await?.id),
        };
        let policy = match &self.policy {
            None => None,
            Some(name) => {
                let all = workspace.policies().all().await?;
                let found = resolve::pick("policy", name, &all, |it| vec![&it.name, &it.id])?;
                Some(found.id.clone())
            }
        };
        let user = match &self.user {
            None => None,
            Some(name) => {
                let all = workspace.users().all().await?;
                let found = resolve::pick("user", name, &all, |it| vec![&it.name, &it.id])?;
                Some(found.id.clone())
            }
        };
        Ok(AuditQuery {
            promotion: self.promotion.clone(),
            version,
            environment,
            policy,
            user,
            limit: Some(usize::from(self.limit)),
            ..AuditQuery::default()
        })
    }
}

/// So many entries: a page of large ones has fewer.
async fn entries(workspace: &Workspace, mut query: AuditQuery, limit: usize) -> Result<Vec<Entry>> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        query.limit = Some(limit - all.len());
        let page = workspace.audit(&query).await?;
        let next = page.next;
        if query.after.is_none() && query.before.is_some() {
            all.splice(0..0, page.entries);
            query.before = next;
        } else {
            all.extend(page.entries);
            query.after = next;
        }
        if next.is_none() || all.len() >= limit {
            return Ok(all);
        }
    }
}

/// Shows what fits the query as it is added.
async fn follow(
    workspace: &Workspace,
    query: &AuditQuery,
    mut seen: u64,
    mut names: Names,
    out: &Output,
) -> Result<()> {
    let mut events = workspace.events(seen);
    loop {
        // What is there already comes first; the stream only says when to look.
        loop {
            let page = AuditQuery {
                after: Some(seen),
                ..query.clone()
            };
            let page = workspace.audit(&page).await?;
            let entries = page.entries;
            let Some(last) = entries.last().map(|it| it.seq).or(page.next) else {
                break;
            };
            if last <= seen {
                return Err(Failure::local("internal", "the server repeats itself").into());
            }
            seen = last;
            for entry in &entries {
                names.learn(entry);
            }
            show_each(&entries, &names, out)?;
        }
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                _ = ctrl_c() => return Ok(()),
            };
            if event.seq > seen {
                break;
            }
        }
    }
}

fn show_each(entries: &[Entry], names: &Names, out: &Output) -> Result<()> {
    for entry in entries {
        if out.is_json() {
            out.json_line(entry)?;
        } else {
            out.text(&render_entry(entry, names, out.paint()))?;
        }
    }
    Ok(())
}

fn render(entries: &[Entry], names: &Names, paint: Paint) -> String {
    if entries.is_empty() {
        return "no entries\n".to_owned();
    }
    let mut names = names.clone();
    for entry in entries {
        names.learn(entry);
    }
    entries
        .iter()
        .map(|entry| render_entry(entry, &names, paint))
        .collect()
}

fn render_entry(entry: &Entry, names: &Names, paint: Paint) -> String {
    let cause = match entry.cause.get("kind").and_then(|kind| kind.as_str()) {
        Some("command") => entry
            .cause
            .get("name")
            .and_then(|name| name.as_str())
            .unwrap_or("command"),
        Some(kind) => kind,
        None => "",
    };
    let mut text = format!(
        "{} {} {} {}\n",
        paint.strong(&format!("#{}", entry.seq)),
        paint.dim(&when::moment(&entry.time)),
        one_line(&names.actor(&entry.actor)),
        paint.dim(&one_line(cause))
    );
    let left_out = entry.left_out.clone().unwrap_or_default();
    for (place, fact) in entry.facts.iter().take(FACTS_SHOWN_MAX).enumerate() {
        let listed = left_out.listed.get(&place).copied().unwrap_or(0);
        let told = describe(fact, listed, names);
        text.push_str(&format!("    {}\n", one_line(&told)));
    }
    let more = entry.facts.len().saturating_sub(FACTS_SHOWN_MAX) + left_out.facts;
    if more > 0 {
        text.push_str(&paint.dim(&format!("    and {more} more\n")));
    }
    text
}
