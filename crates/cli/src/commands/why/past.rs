//! Why a job was started: what is on record of that moment.

use crate::output::{Paint, Tone, one_line, status_mark, status_tone, status_word, when};
use stagegate_api::{JobWhy, PastEntry, PastGate};

pub fn render(why: &JobWhy, paint: Paint) -> String {
    let status = format!("{} {}", status_mark(&why.status), status_word(&why.status));
    let mut text = format!(
        "{} {}\n{}\n\n{}\n",
        paint.strong(&one_line(&format!(
            "{} {} → {} in {}",
            why.deployment.slug, why.version.tag, why.resource, why.environment.name
        ))),
        paint.tone(status_tone(&why.status), &one_line(&status)),
        paint.dim(&one_line(&format!(
            "job {}, release #{}, promotion {}",
            why.job, why.number, why.promotion
        ))),
        paint.dim("STARTED BY")
    );
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!(
            "  {} {}\n",
            paint.dim(&format!("{label}:")),
            one_line(value)
        ));
    };
    if let Some(before) = &why.set_in_motion {
        line("set in motion", &entry(before));
    }
    line("decided", &entry(&why.started));
    if let Some(order) = &why.order {
        let by = order
            .by
            .as_ref()
            .map_or(String::new(), |by| format!(" by {by}"));
        let reason = match order.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        line(
            "ordered",
            &format!("{} ({}){by}{reason}", why.kind, order.cause),
        );
    }
    if let Some(before) = &why.tried_before {
        let status = before.status.as_deref().unwrap_or("not known any more");
        line("tried before", &format!("job {}, {status}", before.job));
    }
    for turn in &why.rollouts {
        let waves = match turn.waves {
            0 | 1 => String::new(),
            waves => format!(" of wave {} of {waves}", turn.wave),
        };
        let turn = format!(
            "position {} of {}{waves} in its rollout",
            turn.position, turn.size
        );
        line("turn", &turn);
    }
    text.push_str(&format!("\n{}\n", paint.dim("GATES, AS THEY STOOD")));
    if !why.gates_asked {
        text.push_str("  it went past them; this is how they stood\n");
    }
    if why.gates.is_empty() {
        text.push_str("  none is on record: no rule applied\n");
    }
    for it in &why.gates {
        text.push_str(&gate(it, paint));
    }
    if !why.votes.is_empty() {
        text.push_str(&format!("\n{}\n", paint.dim("VOTES, AS THEY STOOD")));
    }
    for vote in &why.votes {
        let reason = match vote.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let said = format!(
            "{} {} at {}{reason}",
            vote.user_name,
            vote.vote,
            when::moment(&vote.at)
        );
        text.push_str(&format!("  {}\n", one_line(&said)));
    }
    text.push('\n');
    if !why.complete {
        text.push_str("not everything before could be read; something may be missing\n");
    }
    text.push_str(&format!("{}\n", paint.strong(&one_line(&why.summary))));
    text
}

/// `castVote by ann at 2026-11-21 08:01:09 UTC (entry 12)`
fn entry(it: &PastEntry) -> String {
    let what = it.command.as_deref().unwrap_or(&it.cause);
    let at = when::moment(&it.at);
    format!("{what} by {} at {at} (entry {})", it.actor, it.seq)
}

fn gate(it: &PastGate, paint: Paint) -> String {
    let (mark, word, tone) = match it.state.as_str() {
        "allow" => ("✓", "open", Tone::Good),
        "deny" => ("✗", "shut", Tone::Bad),
        _ => ("○", "waited", Tone::Open),
    };
    let policy = match it.policy_name.as_str() {
        "" => "(of the version itself)".to_owned(),
        name => format!("(policy `{}`)", one_line(name)),
    };
    let last = if it.opened_last {
        ", the last to open"
    } else {
        ""
    };
    let latched = if it.latched { ", for good" } else { "" };
    let mut text = format!(
        "  {} {} {} {}\n      {}\n      {} {} (entry {}{last}{latched})\n",
        paint.tone(tone, mark),
        paint.strong(&one_line(&it.kind)),
        paint.tone(tone, word),
        paint.dim(&policy),
        one_line(&it.message),
        paint.dim("since:"),
        when::moment(&it.since),
        it.seq
    );
    if !it.who.is_empty() {
        text.push_str(&format!(
            "      {} {}\n",
            paint.dim("waited for:"),
            one_line(&it.who.join(", "))
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{DeploymentRef, EnvironmentRef, PastVote, VersionRef};

    #[test]
    fn who_started_it_and_every_gate_then_are_told() {
        let why = JobWhy {
            job: "j".to_owned(),
            deployment: DeploymentRef {
                slug: "api".to_owned(),
                ..DeploymentRef::default()
            },
            environment: EnvironmentRef {
                name: "Production".to_owned(),
                ..EnvironmentRef::default()
            },
            version: VersionRef {
                tag: "v2".to_owned(),
                ..VersionRef::default()
            },
            resource: "p1".to_owned(),
            promotion: "p".to_owned(),
            number: 3,
            kind: "forward".to_owned(),
            status: "successful".to_owned(),
            summary: "v2 went to p1 in Production: a vote by ann".to_owned(),
            started: PastEntry {
                seq: 12,
                at: "2026-11-21T08:01:09.000Z".to_owned(),
                actor: "ann".to_owned(),
                cause: "command".to_owned(),
                command: Some("castVote".to_owned()),
            },
            gates_asked: true,
            gates: vec![PastGate {
                kind: "anyApproval".to_owned(),
                policy_name: "Four Eyes".to_owned(),
                state: "allow".to_owned(),
                message: "1 of 1 approvals".to_owned(),
                since: "2026-11-21T08:01:09.000Z".to_owned(),
                seq: 12,
                latched: true,
                opened_last: true,
                ..PastGate::default()
            }],
            votes: vec![PastVote {
                user_name: "ann".to_owned(),
                vote: "approved".to_owned(),
                reason: "looks good".to_owned(),
                at: "2026-11-21T08:01:09.000Z".to_owned(),
                ..PastVote::default()
            }],
            complete: true,
            ..JobWhy::default()
        };
        assert_eq!(
            render(&why, Paint::none()),
            "api v2 → p1 in Production ✓ successful\njob j, release #3, promotion p\n\nSTARTED BY\n  \
             decided: castVote by ann at 2026-11-21 08:01:09 UTC (entry 12)\n\nGATES, AS THEY STOOD\n  \
             ✓ anyApproval open (policy `Four Eyes`)\n      1 of 1 approvals\n      \
             since: 2026-11-21 08:01:09 UTC (entry 12, the last to open, for good)\n\nVOTES, AS THEY STOOD\n  \
             ann approved at 2026-11-21 08:01:09 UTC: looks good\n\n\
             v2 went to p1 in Production: a vote by ann\n"
        );
    }
}
