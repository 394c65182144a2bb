//! Gates in words: what is open, what is shut, what opens it, who can, and when.

use super::{Paint, Tone, one_line, when};
use stagegate_api::Gate;

/// How a gate stands, in one word: `allow`, `wait` or `deny`.
#[must_use]
pub fn state(gate: &Gate) -> &'static str {
    match (gate.allowed, gate.action_type.as_str()) {
        (true, _) => "allow",
        (false, "none") => "deny",
        (false, _) => "wait",
    }
}

fn mark_and_word(gate: &Gate) -> (&'static str, &'static str, Tone) {
    match state(gate) {
        "allow" => ("✓", "open", Tone::Good),
        "deny" => ("✗", "shut", Tone::Bad),
        _ => ("○", "waits", Tone::Open),
    }
}

/// Every gate with all that is known of it, indented by two.
#[must_use]
pub fn render(gates: &[Gate], paint: Paint) -> String {
    let now = when::now();
    let mut text = String::new();
    for gate in gates {
        let (mark, word, tone) = mark_and_word(gate);
        text.push_str(&format!(
            "  {} {} {} {}\n",
            paint.tone(tone, mark),
            paint.strong(&one_line(&gate.kind)),
            paint.tone(tone, word),
            paint.dim(&match gate.policy_name.as_str() {
                "" => "(of the version itself)".to_owned(),
                name => format!("(policy `{}`)", one_line(name)),
            })
        ));
        text.push_str(&format!("      {}\n", one_line(&gate.message)));
        let mut line = |label: &str, value: String| {
            text.push_str(&format!(
                "      {} {value}\n",
                paint.dim(&format!("{label}:"))
            ));
        };
        for stage in stages(gate) {
            line("stage", stage);
        }
        if gate.allowed {
            if let Some(since) = &gate.satisfied_at {
                line("since", when::both(since, now));
            }
            if gate.latched {
                line("stays open", "the rollout has begun".to_owned());
            }
        } else {
            if !gate.opens.is_empty() {
                line("opens with", one_line(&gate.opens));
            }
            if !gate.who.is_empty() {
                line("who can", one_line(&gate.who.join(", ")));
            }
            if let Some(since) = &gate.since {
                line("since", when::both(since, now));
            }
            if let Some(next) = &gate.next_evaluation_time {
                let label = match gate.action_type.as_str() {
                    "approval" => "asked anew",
                    _ => "at the earliest",
                };
                line(label, when::both(next, now));
            }
        }
    }
    text
}

/// The stages of an approval, each in a line; none for other gates.
#[must_use]
pub fn stages(gate: &Gate) -> Vec<String> {
    let now = when::now();
    let stages = gate.details["stages"].as_array();
    let stages = stages.into_iter().flatten().map(|stage| {
        let text = |member: &str| stage[member].as_str().unwrap_or_default();
        let given = stage["approvals"].as_array();
        let names: Vec<&str> = given
            .into_iter()
            .flatten()
            .filter_map(|it| it["userName"].as_str().or(it["userId"].as_str()))
            .collect();
        let minimum = stage["minimum"].as_u64().unwrap_or(1);
        let approvers = stage["approvers"].as_array().into_iter().flatten();
        let approvers: Vec<&str> = approvers.filter_map(|it| it.as_str()).collect();
        let mut line = format!("{}: {} of {minimum}", text("name"), names.len());
        if !names.is_empty() {
            line.push_str(&format!(" ({})", names.join(", ")));
        }
        if names.len() as u64 >= minimum {
            return one_line(&line);
        }
        if text("openedAt").is_empty() {
            line.push_str(", asked after the stages before");
        } else {
            line.push_str(&format!(
                ", asked {}",
                when::distance(text("openedAt"), now)
            ));
        }
        line.push_str(&format!(", of {}", approvers.join(", ")));
        if !text("escalatesAt").is_empty() && stage["escalated"] == false {
            let at = when::distance(text("escalatesAt"), now);
            line.push_str(&format!(", others are asked too {at}"));
        }
        one_line(&line)
    });
    stages.collect()
}

/// Why the gates that are shut are shut, each in a sentence.
#[must_use]
pub fn reasons(gates: &[Gate]) -> Vec<String> {
    gates
        .iter()
        .filter(|gate| !gate.allowed)
        .map(|gate| one_line(&gate.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_say_who_approved_and_who_is_asked() {
        let gate = Gate {
            details: serde_json::json!({"stages": [
                {"name": "QA", "minimum": 1, "approvers": ["group:qa"], "openedAt": "then",
                    "approvals": [{"userId": "u", "userName": "alice"}]},
                {"name": "Release", "minimum": 2, "approvers": ["user:bob", "role:admin"], "openedAt": "now",
                    "escalatesAt": "later", "escalated": false, "approvals": []},
                {"name": "Board", "minimum": 1, "approvers": ["group:board"], "openedAt": null, "approvals": []},
            ]}),
            ..Gate::default()
        };
        assert_eq!(
            stages(&gate),
            [
                "QA: 1 of 1 (alice)",
                "Release: 0 of 2, asked now, of user:bob, role:admin, others are asked too later",
                "Board: 0 of 1, asked after the stages before, of group:board",
            ]
        );
    }

    #[test]
    fn a_shut_gate_says_what_opens_it_and_who_can() {
        let shut = Gate {
            kind: "anyApproval".to_owned(),
            policy_name: "production".to_owned(),
            action_type: "approval".to_owned(),
            message: "0 of 1 approvals".to_owned(),
            opens: "one more approval".to_owned(),
            who: vec!["admin".to_owned(), "approver".to_owned()],
            since: Some("then".to_owned()),
            ..Gate::default()
        };
        let open = Gate {
            kind: "environmentProgression".to_owned(),
            policy_name: "chain".to_owned(),
            allowed: true,
            latched: true,
            message: "`staging` has it".to_owned(),
            ..Gate::default()
        };
        assert_eq!(
            render(&[shut.clone(), open.clone()], Paint::none()),
            "  ○ anyApproval waits (policy `production`)\n      0 of 1 approvals\n      \
             opens with: one more approval\n      who can: admin, approver\n      since: then (then)\n  \
             ✓ environmentProgression open (policy `chain`)\n      `staging` has it\n      \
             stays open: the rollout has begun\n"
        );
        assert_eq!(reasons(&[shut, open]), ["0 of 1 approvals"]);
    }
}
