//! `stagegate simulate`

use crate::Answer;
use crate::documents::Files;
use crate::output::{Cell, Paint, Table, Tone, clean, counted, one_line, when};
use crate::session::Session;
use crate::values;
use anyhow::Result;
use stagegate_api::{Simulate, SimulatedFate, SimulatedPromotion, Simulation};
use std::path::PathBuf;

/// Show what would have been under other policies: the workspace's own history, lived once more. Nothing is changed.
///
/// What people, CI, runners and metric providers said happens again at its own time; what was decided is decided anew,
/// under the policies of the documents. Only policies may differ from what the workspace has.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate simulate -f policies/ --since 90d
  stagegate simulate -f careful.yaml --since 2026-01-01T00:00:00Z --output json
  stagegate simulate --without \"production approval\" --since 30d
  stagegate simulate --since 90d             the policies as they are: nothing may differ
  stagegate simulate -f policies/ --exit-code    exit with 1 when something would have differed")]
pub struct Args {
    /// A file, a folder (its `.yaml` and `.yml` files, those of its folders too) or `-` for standard input; may be
    /// given several times
    #[arg(long = "file", short = 'f', num_args = 1.., value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// A policy that would not have been there, by its name; may be given several times
    #[arg(long, value_name = "POLICY")]
    without: Vec<String>,
    /// From when on: how long ago, or a time in RFC 3339
    #[arg(long, default_value = "90d", value_name = "TIME")]
    since: String,
    /// Exit with 1 when something would have differed
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let files = match self.paths.is_empty() {
            true => Vec::new(),
            false => Files::of(self.paths).read()?,
        };
        let since = values::time_ago("--since", &self.since, when::now())?;
        let workspace = session.workspace().await?;
        let body = Simulate {
            files,
            without: self.without,
            since: Some(since.to_string()),
        };
        let told = workspace.simulate(&body).await?;
        session.out.show(&told, render)?;
        let differs = !told.differences.is_empty();
        Ok(if differs && self.exit_code {
            Answer::No
        } else {
            Answer::Yes
        })
    }
}

fn render(told: &Simulation, paint: Paint) -> String {
    let mut text = String::new();
    let policies = match told.policies.as_slice() {
        [] => "the policies as they are".to_owned(),
        names => names.join(", "),
    };
    text.push_str(&format!(
        "{} from {} to {}\n",
        paint.strong(&one_line(&policies)),
        when::moment(&told.since),
        when::moment(&told.until)
    ));
    text.push_str(&format!(
        "{}, {} as they were\n",
        counted(told.promotions, "promotion"),
        told.unchanged
    ));
    if told.differences.is_empty() {
        text.push_str("no differences\n");
    } else {
        for (count, words) in [
            (told.stopped, "would have been stopped"),
            (told.delayed, "would have been delayed"),
            (told.earlier, "would have started earlier"),
            (told.let_through, "would have been let through"),
            (told.otherwise, "would have ended otherwise"),
        ] {
            if count > 0 {
                text.push_str(&format!("  {count} {words}\n"));
            }
        }
        if told.stopped + told.delayed > 0 {
            text.push_str(&format!(
                "  of those stopped or delayed, {} failed or were rolled back\n",
                told.held_and_bad
            ));
        }
        text.push('\n');
        text.push_str(&table(&told.differences).render(paint));
        if told.differences_left_out > 0 {
            text.push_str(&format!("and {} more\n", told.differences_left_out));
        }
    }
    let assumptions = assumptions(told);
    if !assumptions.is_empty() {
        text.push_str(&format!("\n{}\n", paint.strong("What is assumed")));
        for line in assumptions {
            text.push_str(&format!("  {}\n", paint.dim(&line)));
        }
    }
    text
}

fn table(differences: &[SimulatedPromotion]) -> Table {
    let mut table = Table::new(["promotion", "effect", "as it was", "held by"]);
    for it in differences {
        let attempt = match it.attempt {
            1 => String::new(),
            nth => format!(" (attempt {nth})"),
        };
        let promotion = format!(
            "{} {} into {}{attempt}",
            it.deployment, it.version, it.environment
        );
        let by = it.seconds.map(when::length).unwrap_or_default();
        let (words, tone) = match it.effect.as_str() {
            "stopped" => ("stopped".to_owned(), Tone::Bad),
            "delayed" => (format!("{by} later"), Tone::Open),
            "earlier" => (format!("{by} earlier"), Tone::Good),
            "letThrough" => ("let through".to_owned(), Tone::Good),
            _ => (ending(it), Tone::Open),
        };
        table.row([
            Cell::strong(one_line(&promotion)),
            Cell::new(words, tone),
            Cell::dim(was(it.recorded.as_ref())),
            Cell::dim(one_line(&clean(&it.held_by))),
        ]);
    }
    table
}

fn ending(it: &SimulatedPromotion) -> String {
    match &it.simulated {
        None => "not opened".to_owned(),
        Some(fate) => format!("{} instead", fate.status),
    }
}

fn was(fate: Option<&SimulatedFate>) -> String {
    match fate {
        None => "was not opened".to_owned(),
        Some(fate) if fate.rolled_back && fate.status != "rolledBack" => {
            format!("{}, rolled back later", fate.status)
        }
        Some(fate) => fate.status.clone(),
    }
}

fn assumptions(told: &Simulation) -> Vec<String> {
    let it = &told.assumptions;
    let mut lines = Vec::new();
    let mut say = |count: u64, words: &str| {
        if count > 0 {
            lines.push(format!("{count} {words}"));
        }
    };
    say(it.jobs_moved, "jobs at another time went as they had gone");
    say(
        it.jobs_repeated,
        "jobs more than there were went as the last of their target and version",
    );
    say(
        it.jobs_assumed,
        "jobs that there were not went well and took as long as they usually do",
    );
    say(
        it.measurements_assumed,
        "measurements that nobody took passed",
    );
    say(
        it.acts_dropped,
        "acts of people could not have been done, and were left out",
    );
    say(
        it.policy_changes_left_out,
        "recorded changes of these policies were left out",
    );
    if it.entries_unlike > 0 {
        lines.push(format!(
            "{} entries of the log, from number {} on, come out otherwise under the policies as they were; {} that \
             concerns are not told above",
            it.entries_unlike,
            it.unlike_from.unwrap_or_default(),
            counted(it.promotions_unexplained, "promotion"),
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_api::SimulationAssumptions;

    #[test]
    fn differences_and_assumptions_are_told() {
        let fate = |status: &str, rolled_back| SimulatedFate {
            status: status.to_owned(),
            rolled_back,
            ..SimulatedFate::default()
        };
        let difference = |effect: &str, seconds, recorded| SimulatedPromotion {
            deployment: "api".into(),
            environment: "Production".into(),
            version: "v2".into(),
            attempt: 1,
            effect: effect.into(),
            seconds,
            recorded: Some(recorded),
            simulated: Some(fate("waiting", false)),
            ..SimulatedPromotion::default()
        };
        let mut told = Simulation {
            since: "2026-03-02T09:00:00.000Z".into(),
            until: "2026-06-02T09:00:00.000Z".into(),
            policies: vec!["careful".into()],
            promotions: 10,
            unchanged: 8,
            stopped: 1,
            delayed: 1,
            held_and_bad: 1,
            differences: vec![
                SimulatedPromotion {
                    held_by: "careful: anyApproval: 0 of 1 approvals".into(),
                    ..difference("stopped", None, fate("succeeded", true))
                },
                difference("delayed", Some(1800), fate("failed", false)),
            ],
            assumptions: SimulationAssumptions {
                jobs_moved: 3,
                entries_unlike: 2,
                unlike_from: Some(7),
                ..SimulationAssumptions::default()
            },
            ..Simulation::default()
        };
        let text = render(&told, Paint::none());
        for line in [
            "10 promotions, 8 as they were\n",
            "  1 would have been stopped\n  1 would have been delayed\n",
            "  of those stopped or delayed, 1 failed or were rolled back\n",
            "succeeded, rolled back later",
            "careful: anyApproval: 0 of 1 approvals",
            "30 min later",
            "What is assumed\n  3 jobs at another time went as they had gone\n",
            "2 entries of the log, from number 7 on",
        ] {
            assert!(text.contains(line), "no `{line}` in:\n{text}");
        }
        told = Simulation {
            promotions: 2,
            unchanged: 2,
            ..Simulation::default()
        };
        let text = render(&told, Paint::none());
        assert!(
            text.ends_with("2 promotions, 2 as they were\nno differences\n"),
            "{text}"
        );
    }
}
