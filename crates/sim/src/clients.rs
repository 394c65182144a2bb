//! What is outside of Stagegate: agents that do jobs, well or badly, and what they would measure.

use crate::auditor::{JobRecord, Ledger};
use crate::dice::Dice;
use serde_json::json;
use stagegate_controller::step::MeasurementKey;
use stagegate_model::{JobStatus, Json};

/// How an agent goes about a job.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// Milliseconds until it takes the job; `None`: it reports without ever claiming it.
    pub claims_after: Option<i64>,
    /// What it reports, and how many milliseconds after it took the job. Empty: it never answers.
    pub reports: Vec<(i64, JobStatus)>,
    /// Whether it says again what was not heard.
    pub persistent: bool,
    /// Milliseconds until the first thing it does.
    pub starts_after: i64,
    /// Whether it claims with a lease, and says from time to time that it is there.
    pub lease: bool,
    /// From when on after its claim nothing is heard of it, and for how many milliseconds.
    pub silence: Option<(i64, i64)>,
    /// Whether it confirms that it has stopped when it is told to.
    pub stops: bool,
}

/// A job by what stays the same when other steps of a run are left out.
fn stable_name(ledger: &Ledger, job: &JobRecord) -> String {
    format!(
        "{} {} {}",
        ledger.name(job.target),
        ledger.tag(job.version),
        job.number
    )
}

/// How the agent of a job goes about it.
pub fn agent_plan(seed: u64, ledger: &Ledger, job: &JobRecord) -> AgentPlan {
    let mut dice = Dice::of(seed, &format!("agent {}", stable_name(ledger, job)));
    let claims = dice.chance(85);
    let mut reports = Vec::new();
    if dice.chance(30) {
        reports.push((dice.between(1, 5_000), JobStatus::InProgress));
    }
    if dice.chance(5) {
        reports.push((dice.between(5_000, 6_000), JobStatus::ActionRequired));
    }
    let end = dice.weighted(&[
        (75, JobStatus::Successful),
        (12, JobStatus::Failure),
        (3, JobStatus::Skipped),
        (3, JobStatus::Cancelled),
        (2, JobStatus::ExternalRunNotFound),
    ]);
    match dice.below(20) {
        // Never answers.
        0 | 1 => {}
        // Late.
        2 | 3 => reports.push((dice.between(600_000, 3_600_000), end)),
        // Twice, the second time perhaps otherwise.
        4 | 5 => {
            reports.push((dice.between(6_000, 120_000), end));
            let again = if dice.chance(50) {
                end
            } else {
                JobStatus::Failure
            };
            reports.push((dice.between(120_000, 240_000), again));
        }
        _ => reports.push((dice.between(6_000, 120_000), end)),
    }
    let lease = dice.chance(70);
    let lease_millis = i64::try_from(job.limits.lease_seconds * 1000).unwrap_or(0);
    let grace_millis = i64::try_from(job.limits.grace_seconds * 1000).unwrap_or(0);
    let silence = match dice.below(10) {
        // Shorter than the lease.
        0 => Some(lease_millis / 4),
        // Back within the grace.
        1 | 2 => Some(lease_millis + grace_millis / 2 + 500),
        // Back too late.
        3 => Some(lease_millis + grace_millis + dice.between(1_000, 300_000)),
        _ => None,
    };
    let silence = silence.map(|millis| (dice.between(0, 2 * lease_millis), millis));
    AgentPlan {
        lease,
        silence,
        stops: dice.chance(75),
        claims_after: claims.then(|| dice.between(10, 20_000)),
        reports,
        persistent: dice.chance(85),
        starts_after: dice.between(10, 10_000),
    }
}

/// What a measurement yields, and after how many milliseconds.
pub fn measure(
    seed: u64,
    ledger: &Ledger,
    key: MeasurementKey,
    healed: bool,
) -> (i64, Result<Json, String>) {
    let (verification, metric, ordinal) = key;
    let name = ledger.runs.get(&verification).and_then(|run| {
        let job = ledger.jobs.get(&run.job)?;
        let runs = job.runs.len();
        let trigger = run.trigger;
        Some(format!("{} {trigger} {runs}", stable_name(ledger, job)))
    });
    let name = name.unwrap_or_default();
    let mut dice = Dice::of(seed, &format!("measure {name} {metric} {ordinal}"));
    // A version is good, doubtful or bad on a target, with some noise.
    let mood = Dice::of(seed, &format!("mood {name}")).below(10);
    let value = match (mood, dice.below(10)) {
        (0, 0..=7) => 10,
        (1, 0..=7) => 8,
        (2..=3, 0..=2) => 8,
        (_, 0) => dice.between(0, 10),
        _ => dice.between(0, 6),
    };
    let latency = match dice.below(20) {
        0 => dice.between(20_000, 200_000),
        _ => dice.between(5, 3_000),
    };
    if !healed && dice.chance(12) || mood == 4 && dice.chance(60) {
        return (latency, Err("no answer".to_owned()));
    }
    (latency, Ok(json!({ "v": value })))
}
