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
            paint.dim(&format!("(policy `{}`)", one_line(&gate.policy_name)))
        ));
        text.push_str(&format!("      {}\n", one_line(&gate.message)));
        let mut line = |label: &str, value: String| {
            text.push_str(&format!(
                "      {} {value}\n",
                paint.dim(&format!("{label}:"))
            ));
        };
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
            if let Some(next) = &gate.next_evaluation_time {
                line("at the earliest", when::both(next, now));
            }
        }
    }
    text
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
    fn a_shut_gate_says_what_opens_it_and_who_can() {
        let shut = Gate {
            kind: "anyApproval".to_owned(),
            policy_name: "production".to_owned(),
            action_type: "approval".to_owned(),
            message: "0 of 1 approvals".to_owned(),
            opens: "one more approval".to_owned(),
            who: vec!["admin".to_owned(), "approver".to_owned()],
            ..Gate::default()
        };
        let open = Gate {
            kind: "environmentProgression".to_owned(),
            allowed: true,
            latched: true,
            message: "`staging` has it".to_owned(),
            ..Gate::default()
        };
        assert_eq!(
            render(&[shut.clone(), open.clone()], Paint::none()),
            "  ○ anyApproval waits (policy `production`)\n      0 of 1 approvals\n      \
             opens with: one more approval\n      who can: admin, approver\n  \
             ✓ environmentProgression open (policy ``)\n      `staging` has it\n      \
             stays open: the rollout has begun\n"
        );
        assert_eq!(reasons(&[shut, open]), ["0 of 1 approvals"]);
    }
}
