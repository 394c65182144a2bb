//! `stagegate forecast`

use crate::Answer;
use crate::output::{Cell, Paint, Table, one_line, when};
use crate::resolve;
use crate::session::Session;
use crate::values::duration;
use anyhow::Result;
use stagegate_api::{Forecast, ForecastAssumption, ForecastEnvironment, ForecastQuery};
use std::time::Duration;

/// Say when a version will be where, if approvals and jobs take their usual time.
///
/// Their usual time is the median of what has ended; it is shown with how many that were. Of what never ended before
/// nothing is assumed, unless it is said here.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate forecast
  stagegate forecast --deployment api --version v1.2.3
  stagegate forecast --approval 2h --job 5m")]
pub struct Args {
    /// The deployment's slug, name or id; may be left out when there is only one
    #[arg(long, short, value_name = "DEPLOYMENT")]
    deployment: Option<String>,
    /// The version's tag or id; the newest when left out
    #[arg(long, short, value_name = "TAG")]
    version: Option<String>,
    /// How long an approval takes, from when it is asked for; such as `2h`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    approval: Option<Duration>,
    /// How long a job takes, from when it is created; such as `5m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    job: Option<Duration>,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        let deployment = resolve::deployment(&workspace, self.deployment.as_deref()).await?;
        let version = match &self.version {
            Some(tag) => Some(resolve::version(&workspace, &deployment, tag).await?.id),
            None => None,
        };
        let query = ForecastQuery {
            deployment: deployment.id,
            version,
            approval_seconds: self.approval.map(|it| it.as_secs()),
            job_seconds: self.job.map(|it| it.as_secs()),
        };
        let forecast = workspace.forecast(&query).await?;
        session.out.show(&forecast, render)?;
        Ok(Answer::Yes)
    }
}

fn render(forecast: &Forecast, paint: Paint) -> String {
    let mut text = format!(
        "{} {}\n\n",
        paint.strong(&one_line(&format!(
            "{} {}",
            forecast.deployment.slug, forecast.version.tag
        ))),
        paint.dim(&format!("from {}", when::moment(&forecast.from)))
    );
    if forecast.environments.is_empty() {
        text.push_str("its deployment shares a system with no environment\n");
        return text;
    }
    let mut table = Table::new(["ENVIRONMENT", "FIRST TARGET", "ALL TARGETS", "TARGETS"]);
    for it in &forecast.environments {
        let (first, all) = moments(it, &forecast.from);
        table.row([
            Cell::strong(&it.environment.name),
            Cell::from(&first),
            Cell::from(&all),
            Cell::from(format!("{} of {}", it.reached, it.targets)),
        ]);
    }
    text.push_str(&table.render(paint));
    for it in &forecast.environments {
        if !it.because.is_empty() {
            let line = format!(
                "{}: {}, because: {}",
                it.environment.name,
                outcome(it),
                it.because
            );
            text.push_str(&format!("\n{}\n", one_line(&line)));
        }
    }
    text.push_str(&format!("\n{}\n", paint.dim("ASSUMING")));
    for it in &forecast.assumptions {
        text.push_str(&format!("  {}\n", one_line(&assumption(it))));
    }
    for it in &forecast.presumed {
        text.push_str(&format!("  {}\n", one_line(it)));
    }
    text
}

/// When the first target has it and when all have, or what there is to say instead.
fn moments(it: &ForecastEnvironment, from: &str) -> (String, String) {
    let now = from.parse().unwrap_or_else(|_| when::now());
    let at = |time: &Option<String>| match (time, it.outcome.as_str()) {
        (Some(time), _) if time == from => "now".to_owned(),
        (Some(time), _) => when::both(time, now),
        (None, _) => outcome(it).to_owned(),
    };
    (at(&it.first), at(&it.all))
}

fn outcome(it: &ForecastEnvironment) -> &str {
    match it.outcome.as_str() {
        "beyond" => "not within the time looked at",
        other => other,
    }
}

/// `a job of api in Staging takes 2 min (the median of 12 there)`
fn assumption(it: &ForecastAssumption) -> String {
    let what = match (it.kind.as_str(), &it.deployment) {
        ("approval", _) => format!("an approval for {}", it.environment.name),
        (kind, Some(of)) => format!("a {kind} of {} in {}", of.slug, it.environment.name),
        (kind, None) => format!("a {kind} in {}", it.environment.name),
    };
    let Some(seconds) = it.seconds else {
        return format!("{what}: not known, so nothing is assumed");
    };
    // Whole seconds are as much as anybody can use.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let length = when::length(seconds.max(0.0).round() as u64);
    let source = match it.source.as_str() {
        "given" => "as said".to_owned(),
        "environment" => format!("the median of {} there", it.samples),
        _ => format!(
            "the median of {} in the workspace, since there was none there",
            it.samples
        ),
    };
    format!("{what} takes {length} ({source})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::{DeploymentRef, EnvironmentRef, VersionRef};

    #[test]
    fn times_reasons_and_assumptions_are_told() {
        let named = |name: &str| EnvironmentRef {
            name: name.to_owned(),
            ..EnvironmentRef::default()
        };
        let api = DeploymentRef {
            slug: "api".to_owned(),
            ..DeploymentRef::default()
        };
        let forecast = Forecast {
            deployment: api.clone(),
            version: VersionRef {
                tag: "v2".to_owned(),
                ..VersionRef::default()
            },
            from: "2026-11-21T08:00:00.000Z".to_owned(),
            environments: vec![
                ForecastEnvironment {
                    environment: named("Staging"),
                    outcome: "expected".to_owned(),
                    targets: 2,
                    reached: 2,
                    first: Some("2026-11-21T08:00:00.000Z".to_owned()),
                    all: Some("2026-11-21T08:10:00.000Z".to_owned()),
                    ..ForecastEnvironment::default()
                },
                ForecastEnvironment {
                    environment: named("Production"),
                    outcome: "unknown".to_owned(),
                    targets: 1,
                    because: "how long an approval takes is not known".to_owned(),
                    ..ForecastEnvironment::default()
                },
            ],
            assumptions: vec![
                ForecastAssumption {
                    kind: "approval".to_owned(),
                    environment: named("Production"),
                    source: "none".to_owned(),
                    ..ForecastAssumption::default()
                },
                ForecastAssumption {
                    kind: "job".to_owned(),
                    deployment: Some(api),
                    environment: named("Staging"),
                    seconds: Some(300.4),
                    samples: 12,
                    source: "environment".to_owned(),
                },
            ],
            presumed: vec!["every job succeeds".to_owned()],
            ..Forecast::default()
        };
        assert_eq!(
            render(&forecast, Paint::none()),
            "api v2 from 2026-11-21 08:00:00 UTC\n\n\
             ENVIRONMENT  FIRST TARGET  ALL TARGETS                          TARGETS\n\
             Staging      now           2026-11-21 08:10:00 UTC (in 10 min)  2 of 2\n\
             Production   unknown       unknown                              0 of 1\n\n\
             Production: unknown, because: how long an approval takes is not known\n\nASSUMING\n  \
             an approval for Production: not known, so nothing is assumed\n  \
             a job of api in Staging takes 5 min (the median of 12 there)\n  every job succeeds\n"
        );
    }
}
