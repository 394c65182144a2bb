//! What a change of configuration would do at once, for people.

use crate::output::{Paint, counted, one_line};
use stagegate_api::{Effects, JobsEffect, TargetsEffect};

/// Resources that are named of several.
const NAMED_MAX: usize = 5;

/// A section, empty when nothing would happen and nothing was asked.
pub fn render(effects: Option<&Effects>, paint: Paint) -> String {
    let Some(effects) = effects else {
        return String::new();
    };
    let mut text = format!("\n{}\n", paint.strong("What it would do"));
    if effects.is_empty() {
        text.push_str("  nothing at once\n");
        return text;
    }
    let mut line = |painted: fn(Paint, &str) -> String, words: String| {
        text.push_str(&format!("  {}\n", painted(paint, &one_line(&words))));
    };
    for it in &effects.targets_joining {
        line(Paint::good, format!("+ {}", targets(it)));
    }
    for it in &effects.targets_leaving {
        line(Paint::bad, format!("- {}", targets(it)));
    }
    for it in &effects.gates {
        let (painted, verb): (fn(Paint, &str) -> String, _) = match it.to.as_str() {
            "shut" => (Paint::open, "shuts"),
            "open" => (Paint::good, "opens"),
            _ => (Paint::good, "goes"),
        };
        let why = match it.message.as_str() {
            "" => String::new(),
            why if it.to == "none" => format!(" (it was {}: {why})", it.from),
            why => format!(": {why}"),
        };
        let gate = match it.policy.as_str() {
            "" => it.rule.clone(),
            policy => format!("{} of {policy}", it.rule),
        };
        line(
            painted,
            format!(
                "{gate} {verb} for {} {} in {}{why}",
                it.deployment, it.version, it.environment
            ),
        );
    }
    for it in &effects.jobs {
        line(
            Paint::good,
            format!("{} at once: {}", started(it), jobs(it)),
        );
    }
    for it in &effects.orders {
        line(
            Paint::open,
            format!("{} as soon as it may: {}", ordered(it), jobs(it)),
        );
    }
    for it in &effects.promotions_ending {
        line(
            Paint::open,
            format!(
                "the promotion of {} {} into {} ends {}: {}",
                it.deployment, it.version, it.environment, it.status, it.reason
            ),
        );
    }
    if effects.more {
        line(Paint::dim, "and more, which is not told here".to_owned());
    }
    text
}

fn targets(it: &TargetsEffect) -> String {
    format!(
        "{} of {} in {}: {}",
        counted(it.count, "target"),
        it.deployment,
        it.environment,
        named(&it.resources, it.count)
    )
}

fn started(it: &JobsEffect) -> String {
    let verb = if it.count == 1 { "starts" } else { "start" };
    format!("{} {verb}", counted(it.count, "job"))
}

fn ordered(it: &JobsEffect) -> String {
    let verb = if it.count == 1 { "follows" } else { "follow" };
    format!("{} {verb}", counted(it.count, &it.kind))
}

fn jobs(it: &JobsEffect) -> String {
    let kind = match it.kind.as_str() {
        "forward" => String::new(),
        kind => format!(", {kind}"),
    };
    format!(
        "{} {} to {} ({}{kind})",
        it.deployment,
        it.version,
        it.environment,
        named(&it.resources, it.count)
    )
}

fn named(resources: &[String], count: usize) -> String {
    let shown: Vec<&str> = resources
        .iter()
        .take(NAMED_MAX)
        .map(String::as_str)
        .collect();
    match count.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{GateEffect, PromotionEffect};

    #[test]
    fn every_effect_has_its_line() {
        assert_eq!(render(None, Paint::none()), "");
        let nothing = Effects::default();
        let told = render(Some(&nothing), Paint::none());
        assert_eq!(told, "\nWhat it would do\n  nothing at once\n");
        let (deployment, environment, version) = ("api", "Production", "v2");
        let targets = |count| TargetsEffect {
            deployment: deployment.into(),
            environment: environment.into(),
            count,
            resources: (0..count.min(20)).map(|n| format!("eu-{n}")).collect(),
        };
        let gate = |from: &str, to: &str, message: &str| GateEffect {
            deployment: deployment.into(),
            environment: environment.into(),
            version: version.into(),
            policy: "careful".into(),
            rule: "anyApproval".into(),
            from: from.into(),
            to: to.into(),
            message: message.into(),
        };
        let jobs = |kind: &str, count| JobsEffect {
            deployment: deployment.into(),
            environment: environment.into(),
            version: version.into(),
            kind: kind.into(),
            count,
            resources: vec!["eu-0".into()],
        };
        let effects = Effects {
            targets_joining: vec![targets(1)],
            targets_leaving: vec![targets(30)],
            gates: vec![
                gate("none", "shut", "0 of 1 approvals"),
                gate("shut", "open", ""),
                gate("shut", "none", "0 of 1 approvals"),
            ],
            jobs: vec![jobs("forward", 1)],
            orders: vec![jobs("redeploy", 1)],
            promotions_ending: vec![PromotionEffect {
                id: "p".into(),
                deployment: deployment.into(),
                environment: environment.into(),
                version: version.into(),
                status: "cancelled".into(),
                reason: "gone".into(),
            }],
            more: true,
        };
        assert_eq!(
            render(Some(&effects), Paint::none()),
            "
What it would do
  + 1 target of api in Production: eu-0
  - 30 targets of api in Production: eu-0, eu-1, eu-2, eu-3, eu-4 and 25 more
  anyApproval of careful shuts for api v2 in Production: 0 of 1 approvals
  anyApproval of careful opens for api v2 in Production
  anyApproval of careful goes for api v2 in Production (it was shut: 0 of 1 approvals)
  1 job starts at once: api v2 to Production (eu-0)
  1 redeploy follows as soon as it may: api v2 to Production (eu-0, redeploy)
  the promotion of api v2 into Production ends cancelled: gone
  and more, which is not told here
"
        );
    }
}
