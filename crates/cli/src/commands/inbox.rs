//! `stagegate inbox`

use crate::Answer;
use crate::output::{Paint, Tone, clean, counted, one_line, status_mark, status_word, when};
use crate::session::Session;
use anyhow::Result;
use stagegate_api::{Inbox, InboxApproval, InboxUpstream, InboxVerification, InboxVote};

/// Show what waits for you: versions you may approve, and verifications you may decide.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  stagegate inbox")]
pub struct Args {}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let inbox = session.workspace().await?.inbox().await?;
        session.out.show(&inbox, render)?;
        Ok(Answer::Yes)
    }
}

fn render(inbox: &Inbox, paint: Paint) -> String {
    let name = one_line(&inbox.user.name);
    if inbox.approvals.is_empty() && inbox.verifications.is_empty() {
        return format!("nothing waits for {name}\n");
    }
    let mut text = String::new();
    for approval in &inbox.approvals {
        text.push_str(&render_approval(approval, paint));
        text.push('\n');
    }
    for verification in &inbox.verifications {
        text.push_str(&render_verification(verification, paint));
        text.push('\n');
    }
    text
}

fn render_approval(it: &InboxApproval, paint: Paint) -> String {
    let now = when::now();
    let mut text = format!(
        "{} {} → {}: {}\n",
        paint.tone(Tone::Open, "○"),
        paint.strong(&one_line(&format!(
            "{} {}",
            it.deployment.slug, it.version.tag
        ))),
        paint.strong(&one_line(&it.environment.name)),
        match &it.stage {
            Some(stage) => format!(
                "{} missing in the stage {}",
                counted(usize::try_from(it.missing).unwrap_or(0), "approval"),
                one_line(stage)
            ),
            None => format!(
                "{} missing",
                counted(usize::try_from(it.missing).unwrap_or(0), "approval")
            ),
        }
    );
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!(
                "    {} {value}\n",
                paint.dim(&format!("{label}:"))
            ));
        }
    };
    line("asked", &when::both(&it.since, now));
    line("policy", &one_line(&it.policy_name));
    if let Some(at) = &it.escalates_at {
        line("others are asked too", &when::both(at, now));
    }
    if let Some(at) = &it.expires_at {
        line("expires", &when::both(at, now));
    }
    for also in &it.also_asked_by {
        line("also asked by", &one_line(also));
    }
    for also in &it.also_waits_for {
        line("also waits", &one_line(also));
    }
    let by = it.version_created_by.as_deref();
    let by = by.map_or_else(String::new, |by| format!(" by {}", one_line(by)));
    line(
        "created",
        &format!("{}{by}", when::both(&it.version_created_at, now)),
    );
    if it.version_name != it.version.tag {
        line("name", &one_line(&it.version_name));
    }
    line("message", &clean(&it.version_message));
    for (key, value) in &it.version_metadata {
        line(&one_line(key), &one_line(value));
    }
    for upstream in &it.upstream {
        line(&one_line(&upstream.environment.name), &fared(upstream));
    }
    for vote in &it.votes {
        line("vote", &told(vote));
    }
    line(
        "answer with",
        &format!(
            "stagegate approve {} --deployment {} --environment {}",
            quoted(&it.version.tag),
            quoted(&it.deployment.slug),
            quoted(&it.environment.name)
        ),
    );
    text
}

fn fared(it: &InboxUpstream) -> String {
    let mut parts = vec![
        format!("{} {}", status_mark(&it.status), status_word(&it.status)),
        format!("{} of {} targets", it.targets.succeeded, it.targets.total),
    ];
    if it.verified > 0 {
        parts.push(format!("verified on {}", it.verified));
    }
    if it.verification_failed > 0 {
        parts.push(format!("verification failed on {}", it.verification_failed));
    }
    let results = it.results.iter().map(|result| one_line(result));
    parts.extend(results);
    parts.join(", ")
}

fn told(it: &InboxVote) -> String {
    let now = when::now();
    let mut text = format!(
        "{} {} {}",
        one_line(&it.user_name),
        it.status,
        when::distance(&it.at, now)
    );
    if let Some(reason) = &it.reason {
        text.push_str(&format!(": {}", one_line(reason)));
    }
    if it.void {
        text.push_str(" (for other content; it does not count)");
    } else if it.changed_since {
        text.push_str(" (the metadata was changed since)");
    }
    text
}

fn render_verification(it: &InboxVerification, paint: Paint) -> String {
    let now = when::now();
    format!(
        "{} {} → {}: the verification on {} is {}\n    {} {}\n    {} {}\n    {} stagegate verification pass|fail|rerun {} --reason TEXT\n",
        paint.tone(Tone::Open, "?"),
        paint.strong(&one_line(&format!(
            "{} {}",
            it.deployment.slug, it.version.tag
        ))),
        paint.strong(&one_line(&it.environment.name)),
        one_line(&it.resource),
        it.status,
        paint.dim("since:"),
        when::both(&it.since, now),
        paint.dim("because:"),
        one_line(&it.reason),
        paint.dim("answer with:"),
        it.id
    )
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@+".contains(letter);
    let word = one_line(word);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{DeploymentRef, EnvironmentRef, Member, VersionRef};

    #[test]
    fn an_empty_inbox_says_so() {
        let inbox = Inbox {
            user: Member {
                name: "alice".to_owned(),
                ..Member::default()
            },
            ..Inbox::default()
        };
        assert_eq!(render(&inbox, Paint::none()), "nothing waits for alice\n");
    }

    #[test]
    fn an_approval_says_what_there_is_to_go_by() {
        let approval = InboxApproval {
            deployment: DeploymentRef {
                slug: "api".to_owned(),
                ..DeploymentRef::default()
            },
            environment: EnvironmentRef {
                name: "Prod EU".to_owned(),
                ..EnvironmentRef::default()
            },
            version: VersionRef {
                tag: "v1".to_owned(),
                ..VersionRef::default()
            },
            version_name: "v1".to_owned(),
            stage: Some("QA".to_owned()),
            missing: 2,
            since: "soon".to_owned(),
            version_created_at: "then".to_owned(),
            votes: vec![InboxVote {
                user_name: "bob".to_owned(),
                status: "approved".to_owned(),
                at: "once".to_owned(),
                changed_since: true,
                ..InboxVote::default()
            }],
            ..InboxApproval::default()
        };
        assert_eq!(
            render_approval(&approval, Paint::none()),
            "○ api v1 → Prod EU: 2 approvals missing in the stage QA\n    asked: soon (soon)\n    \
             created: then (then)\n    vote: bob approved once (the metadata was changed since)\n    \
             answer with: stagegate approve v1 --deployment api --environment 'Prod EU'\n"
        );
    }
}
