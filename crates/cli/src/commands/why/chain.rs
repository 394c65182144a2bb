//! A version in every environment: each with its gates, and who waits for whom.

use crate::output::{Paint, gates, one_line, status_mark, status_tone, status_word, when};
use stagegate_api::{Why, WhyChain};

pub fn render(chain: &WhyChain, paint: Paint) -> String {
    let mut text = format!(
        "{}\n",
        paint.strong(&one_line(&format!(
            "{} {}",
            chain.deployment.slug, chain.version.tag
        )))
    );
    if chain.environments.is_empty() {
        text.push_str("\n  its deployment shares a system with no environment\n");
    }
    for link in &chain.environments {
        text.push_str(&environment(link, paint));
    }
    text.push_str(&format!("\n{}\n", paint.strong(&one_line(&chain.summary))));
    text
}

fn environment(link: &Why, paint: Paint) -> String {
    let status = format!(
        "{} {}",
        status_mark(&link.status),
        status_word(&link.status)
    );
    let total: usize = link.target_counts.values().sum();
    let there = link.target_counts.get("succeeded").unwrap_or(&0);
    let count = format!("{there} of {total} targets");
    let mut text = format!(
        "\n{} {} {}\n",
        paint.strong(&one_line(&link.environment.name)),
        paint.tone(status_tone(&link.status), &one_line(&status)),
        paint.dim(&count)
    );
    if !link.gates.is_empty() {
        text.push_str(&gates::render(&link.gates, paint));
    }
    for need in &link.waits_for {
        let names: Vec<&str> = need
            .environments
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let after = match names.is_empty() {
            true => String::new(),
            false => format!(" → {}", names.join(" or ")),
        };
        let line = one_line(&format!("{}{after}", need.text));
        text.push_str(&format!("  {} {line}\n", paint.dim("missing:")));
    }
    if let Some(earliest) = &link.earliest {
        let at = when::both(earliest, when::now());
        text.push_str(&format!("  {} {at}\n", paint.dim("at the earliest:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{DeploymentRef, EnvironmentRef, Need, VersionRef};

    #[test]
    fn environments_stand_in_their_order_with_what_each_misses() {
        let named = |name: &str| EnvironmentRef {
            name: name.to_owned(),
            ..EnvironmentRef::default()
        };
        let link = |name: &str, needs: Vec<Need>| Why {
            environment: named(name),
            status: "waiting".to_owned(),
            waits_for: needs,
            target_counts: [("pending".to_owned(), 1)].into(),
            ..Why::default()
        };
        let approval = Need {
            kind: "approval".to_owned(),
            text: "approval by group:sre".to_owned(),
            ..Need::default()
        };
        let staging = Need {
            kind: "environment".to_owned(),
            text: "v2 succeeded on 0 of 1 targets in Staging, 1 needed".to_owned(),
            environments: vec![named("Staging")],
            ..Need::default()
        };
        let chain = WhyChain {
            deployment: DeploymentRef {
                slug: "api".to_owned(),
                ..DeploymentRef::default()
            },
            version: VersionRef {
                tag: "v2".to_owned(),
                ..VersionRef::default()
            },
            summary: "Production waits for Staging".to_owned(),
            environments: vec![
                link("Staging", vec![approval]),
                link("Production", vec![staging]),
            ],
        };
        assert_eq!(
            render(&chain, Paint::none()),
            "api v2\n\nStaging ○ waiting 0 of 1 targets\n  missing: approval by group:sre\n\n\
             Production ○ waiting 0 of 1 targets\n  missing: v2 succeeded on 0 of 1 targets in Staging, 1 needed \
             → Staging\n\nProduction waits for Staging\n"
        );
    }
}
