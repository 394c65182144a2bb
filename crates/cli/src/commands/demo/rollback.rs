//! The story of a rollback: a version that is well in staging turns bad in production, on one service of three. Its
//! verification fails there, and every service that got it is back on the version before within seconds.

use super::progress::Progress;
use super::watch::Watch;
use super::workload::{self, Service};
use super::{create, until, wait};
use anyhow::{Context as _, Result, bail};
use stagegate_api::client::Workspace;
use stagegate_api::{Promotion, PromotionDetail, WhyQuery};
use stagegate_model::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const GOOD: &str = "v1";
const BAD: &str = "v2";
const PRODUCTION: &str = "Production";
/// The service whose health check fails with the bad version.
const TURNS_BAD: &str = "production-2";

/// Tells the story; it must come out well.
///
/// # Errors
/// When the rollback did not happen, or took longer than `within` from the failing check.
pub(super) async fn tell(
    workspace: &Workspace,
    progress: &mut Progress,
    services: &[Service],
    within: Duration,
) -> Result<()> {
    progress.headline(&format!("CI creates {GOOD}"));
    create(workspace, GOOD).await?;
    wait(progress, GOOD, "Staging", "succeeded").await?;
    wait(progress, GOOD, PRODUCTION, "succeeded").await?;
    for service in services {
        workload::expect_served(&service.address, GOOD).await?;
    }
    println!("\n{GOOD} is verified on all {} services.\n", services.len());

    let watched = services
        .iter()
        .filter(|it| it.name.starts_with("production"));
    let watches: Vec<Watch> = watched
        .map(|it| Watch::start(it.name, &it.address))
        .collect();
    progress.headline(&format!(
        "CI creates {BAD}; it is well in staging, and turns bad on {TURNS_BAD} after a while"
    ));
    create(workspace, BAD).await?;
    wait(progress, BAD, "Staging", "succeeded").await?;
    wait(progress, BAD, PRODUCTION, "rolledBack").await?;
    let bad = progress.promotion(BAD, PRODUCTION).await?;
    let bad = bad.with_context(|| format!("the promotion of {BAD} is gone"))?;
    let affected = affected(&watches)?;
    let back = until(progress, |_| back_on(&affected)).await;
    let back =
        back.with_context(|| format!("not every service that had {BAD} came back to {GOOD}"))?;
    // The rollback is a promotion of its own, verified like any other.
    until(progress, verified_again)
        .await
        .context("the rollback was not verified")?;

    let detail = workspace.promotion(&bad.id).await?;
    timeline(&detail);
    let failed_at = failing_check(&detail)?;
    let took = back
        .duration_since(failed_at)
        .context("the services were back before the check failed")?;
    why(workspace).await?;
    println!(
        "\nEvery service that had {BAD} ({} of {}) answers with {GOOD} again, {:.2} s after the failing check.",
        affected.len(),
        watches.len(),
        took.as_secs_f64()
    );
    if took >= within {
        bail!(
            "that took longer than {:.1} s: it should be faster",
            within.as_secs_f64()
        );
    }
    Ok(())
}

/// The services that users saw answer with the bad version.
fn affected(watches: &[Watch]) -> Result<Vec<&Watch>> {
    let affected: Vec<&Watch> = watches.iter().filter(|watch| watch.had(BAD)).collect();
    if !affected.iter().any(|watch| watch.name == TURNS_BAD) {
        bail!("{BAD} never answered on {TURNS_BAD}");
    }
    Ok(affected)
}

/// Since when all of them have answered with the good version again.
fn back_on(affected: &[&Watch]) -> Option<SystemTime> {
    let each = affected.iter().map(|watch| watch.back_since(BAD, GOOD));
    let each: Option<Vec<SystemTime>> = each.collect();
    each?.into_iter().max()
}

fn verified_again(promotions: &[Promotion]) -> Option<()> {
    let mut rollbacks = promotions
        .iter()
        .filter(|it| it.version.tag == GOOD && it.environment.name == PRODUCTION && it.attempt > 1);
    rollbacks.any(|it| it.status == "succeeded").then_some(())
}

/// When the check that failed was made.
fn failing_check(detail: &PromotionDetail) -> Result<SystemTime> {
    let metrics = detail.verifications.iter().flat_map(|it| &it.metrics);
    let measurements = metrics.flat_map(|metric| &metric.measurements);
    let failed = measurements
        .filter(|it| it.status == "failed")
        .filter_map(|it| it.measured_at.parse::<Timestamp>().ok())
        .min()
        .context("no check failed")?;
    let millis = u64::try_from(failed.0).context("the time of the check is before 1970")?;
    Ok(UNIX_EPOCH + Duration::from_millis(millis))
}

fn timeline(detail: &PromotionDetail) {
    println!("\nThe timeline of {BAD} in {PRODUCTION}:");
    for event in &detail.timeline {
        let time = event.at.get(11..23).unwrap_or(&event.at);
        println!("  {time}  {:<10}  {}", event.actor, event.text);
    }
}

async fn why(workspace: &Workspace) -> Result<()> {
    let why = workspace
        .why(&WhyQuery {
            deployment: "api".to_owned(),
            environment: PRODUCTION.to_owned(),
            version: Some(BAD.to_owned()),
            ..WhyQuery::default()
        })
        .await?;
    println!("\nWhy is {BAD} not in production?");
    println!("  {}", why.summary);
    for target in &why.targets {
        println!(
            "  {:<14} {:<8} {}",
            target.resource,
            target.state,
            target.reason.as_deref().unwrap_or_default()
        );
    }
    let quarantined = workspace.quarantine().all().await?;
    if !quarantined.iter().any(|it| it.version.tag == BAD) {
        bail!("{BAD} should be quarantined in {PRODUCTION}");
    }
    println!("  {BAD} is quarantined there; `stagegate quarantine clear` would lift that.");
    Ok(())
}
