//! Orders for targets outside the ordinary course: redeploy, rollback, release of holds, break glass. Each can be
//! asked first what it would do.

use crate::answer::{Accepted, Answer, Failure, Json};
use crate::body::Body;
use crate::earlier;
use crate::references;
use crate::scope::Scope;
use crate::selection::{Named, Selection};
use crate::wire;
use axum::http::StatusCode;
use stagegate_api as api;
use stagegate_engine::{Engine, State};
use stagegate_model::{
    Command, EarlierRelease, Order, Rejection, ReleaseId, RollbackTarget, StartKind, TargetKey,
    VersionId,
};
use std::collections::BTreeMap;

/// What an order would do to each of the targets.
struct Plan {
    report: api::OrderReport,
    /// Those that are moved.
    moved: Vec<TargetKey>,
    /// The first refusal, with the field of the target.
    refused: Option<Rejection>,
}

impl Plan {
    fn of(
        state: &State,
        selection: &Selection,
        dry_run: bool,
        ask: impl Fn(TargetKey) -> Result<Option<api::ReleaseRef>, Rejection>,
    ) -> Self {
        let mut plan = Self {
            report: api::OrderReport {
                dry_run,
                ..Default::default()
            },
            moved: Vec::new(),
            refused: None,
        };
        for (index, key) in selection.targets.iter().enumerate() {
            match ask(*key) {
                Ok(to) => {
                    plan.moved.push(*key);
                    plan.report
                        .targets
                        .push(wire::ordered_target(state, *key, to));
                }
                Err(rejection) => {
                    plan.report
                        .left
                        .push(wire::left_target(state, *key, &rejection));
                    let field = selection.field.map(|field| format!("{field}[{index}]"));
                    let placed = match field {
                        Some(field) => rejection.at(field),
                        None => rejection,
                    };
                    plan.refused.get_or_insert(placed);
                }
            }
        }
        plan
    }

    /// Whether it may be carried out: what is named one by one whole, of an environment at least something.
    fn check(&self, selection: &Selection) -> Answer<()> {
        match &self.refused {
            Some(refused) if selection.field.is_some() || self.moved.is_empty() => {
                Err(refused.clone().into())
            }
            _ => Ok(()),
        }
    }
}

fn answer(report: api::OrderReport) -> Accepted<api::OrderReport> {
    let status = if report.dry_run {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    (status, Json(report))
}

/// Carries the plan out, unless it was only asked for.
async fn carry_out(
    scope: &Scope,
    plan: Plan,
    selection: &Selection,
    command: impl FnOnce(Vec<TargetKey>) -> Command,
) -> Answer<Accepted<api::OrderReport>> {
    if !plan.report.dry_run {
        plan.check(selection)?;
        scope.submit(command(plan.moved), Vec::new()).await?;
    }
    Ok(answer(plan.report))
}

/// What a new release of a version would be.
fn anew(state: &State, order: &Order) -> Option<api::ReleaseRef> {
    Some(api::ReleaseRef {
        version: wire::version_ref(state, order.version),
        ..Default::default()
    })
}

fn named(body: &api::OrderTargets) -> Named {
    Named {
        targets: body.targets.clone(),
        deployment: body.deployment.clone(),
        environment: body.environment.clone(),
        resources: body.resources.clone(),
    }
}

pub(super) async fn redeploy(
    scope: Scope,
    Body(body): Body<api::OrderTargets>,
) -> Answer<Accepted<api::OrderReport>> {
    let (named, dry_run) = (named(&body), body.dry_run);
    let (plan, selection) = scope
        .ask(move |engine| {
            let state = engine.state();
            let selection = named.find(state)?;
            let plan = Plan::of(state, &selection, dry_run, |key| {
                let order = engine.preview_redeploy(key)?;
                Ok(anew(state, &order))
            });
            Ok((plan, selection))
        })
        .await?;
    let reason = body.reason;
    carry_out(&scope, plan, &selection, |targets| Command::Redeploy {
        targets,
        reason,
    })
    .await
}

pub(super) async fn release_hold(
    scope: Scope,
    Body(body): Body<api::OrderTargets>,
) -> Answer<Accepted<api::OrderReport>> {
    let (named, dry_run) = (named(&body), body.dry_run);
    let (plan, selection) = scope
        .ask(move |engine| {
            let state = engine.state();
            let mut selection = named.find(state)?;
            // One that is not held is as it is wished: no reason to refuse the others.
            let all_known = selection.targets.iter().all(|key| is_target(state, *key));
            if all_known {
                selection.field = None;
            }
            let plan = Plan::of(state, &selection, dry_run, |key| is_held(state, key));
            Ok((plan, selection))
        })
        .await?;
    if plan.moved.is_empty() && selection.field.is_none() {
        return Ok(answer(plan.report));
    }
    let reason = body.reason;
    carry_out(&scope, plan, &selection, |targets| Command::ReleaseHold {
        targets,
        reason,
    })
    .await
}

fn is_target(state: &State, key: TargetKey) -> bool {
    let lane = state.lane(key.into());
    let target = lane.and_then(|lane| lane.targets.get(&key.resource));
    target.is_some_and(|target| !target.leaving())
}

fn is_held(state: &State, key: TargetKey) -> Result<Option<api::ReleaseRef>, Rejection> {
    let place = wire::resource_name(state, key.resource);
    if !is_target(state, key) {
        let message = format!("`{place}` is no release target there");
        return Err(Rejection::not_found("release_target_not_found", message));
    }
    let lane = state.lane(key.into());
    match lane.and_then(|lane| lane.held.get(&key.resource)) {
        Some(_) => Ok(None),
        None => {
            let message = format!("`{place}` is not held");
            Err(Rejection::conflict("already_there", message))
        }
    }
}

pub(super) async fn roll_back(
    scope: Scope,
    Body(body): Body<api::Rollback>,
) -> Answer<Accepted<api::OrderReport>> {
    if !body.dry_run {
        reasoned(&body.reason)?;
    }
    let named = Named {
        targets: body.targets,
        deployment: body.deployment,
        environment: body.environment,
        resources: body.resources,
    };
    let (selection, newest) = scope
        .ask(move |engine| {
            let state = engine.state();
            let selection = named.find(state)?;
            let newest = earlier::newest_there(state, &selection.targets);
            Ok((selection, newest))
        })
        .await?;
    let found = match &body.to {
        Some(to) => earlier::find(&scope, &selection.targets, to).await?,
        None => BTreeMap::new(),
    };
    // Of an environment only that is undone which is the newest there, unless it is said where to.
    let undone = newest.filter(|_| body.to.is_none() && selection.field.is_none());
    let (chosen, dry_run) = (selection.clone(), body.dry_run);
    let named_release = body.to.is_some();
    let (plan, targets) = scope
        .read(move |engine| {
            let earlier = |key: TargetKey| match found.get(&key) {
                Some(Ok(release)) => Ok(Some(EarlierRelease {
                    id: release.id,
                    version: release.version,
                })),
                Some(Err(rejection)) => Err(rejection.clone()),
                None if named_release => Err(Rejection::conflict(
                    "release_unusable",
                    "the release was not found there",
                )),
                None => Ok(None),
            };
            let number = |id: ReleaseId| {
                let releases = found.values().filter_map(|it| it.as_ref().ok());
                let mut of_id = releases.filter(|release| release.id == id);
                of_id.next().map(|release| release.number)
            };
            let state = engine.state();
            let plan = Plan::of(state, &chosen, dry_run, |key| {
                if let Some(undone) = undone {
                    has(state, key, undone)?;
                }
                let to = earlier(key)?;
                let order = engine.preview_rollback(&RollbackTarget { target: key, to })?;
                Ok(going_back(state, key, &order, number))
            });
            let targets: Vec<RollbackTarget> = plan
                .moved
                .iter()
                .map(|key| RollbackTarget {
                    target: *key,
                    to: earlier(*key).ok().flatten(),
                })
                .collect();
            (plan, targets)
        })
        .await?;
    let reason = body.reason;
    carry_out(&scope, plan, &selection, |_| Command::Rollback {
        targets,
        reason,
    })
    .await
}

/// Whether a target was last given that version, or has it.
fn has(state: &State, key: TargetKey, version: VersionId) -> Result<(), Rejection> {
    let lane = state.lane(key.into());
    let target = lane.and_then(|lane| lane.targets.get(&key.resource));
    let latest = target.and_then(|target| state.latest(target));
    match latest {
        Some(latest) if latest.version != version => {
            let message = format!(
                "`{}` has {}; what is rolled back is {}",
                wire::resource_name(state, key.resource),
                wire::tag(state, latest.version),
                wire::tag(state, version)
            );
            Err(Rejection::conflict("already_there", message))
        }
        // The engine says what is the matter with a target that has nothing.
        _ => Ok(()),
    }
}

fn going_back(
    state: &State,
    key: TargetKey,
    order: &Order,
    number: impl Fn(ReleaseId) -> Option<u64>,
) -> Option<api::ReleaseRef> {
    let id = order.to?;
    let lane = state.lane(key.into());
    let target = lane.and_then(|lane| lane.targets.get(&key.resource));
    let good = target.and_then(|it| it.good().find(|good| good.release == id));
    Some(api::ReleaseRef {
        id: Some(id.to_string()),
        number: number(id).or(good.map(|good| good.number)),
        version: wire::version_ref(state, order.version),
    })
}

pub(super) async fn break_glass(
    scope: Scope,
    Body(body): Body<api::BreakGlass>,
) -> Answer<Accepted<api::OrderReport>> {
    if !body.dry_run {
        reasoned(&body.reason)?;
    }
    let named = Named {
        targets: body.targets,
        deployment: body.deployment,
        environment: body.environment,
        resources: body.resources,
    };
    let (text, dry_run) = (body.version, body.dry_run);
    let (plan, selection, version) = scope
        .ask(move |engine| {
            let state = engine.state();
            let selection = named.find(state)?;
            let deployment = selection.targets.first().map(|key| key.deployment);
            let Some(deployment) = deployment else {
                return Err(Failure::new("missing_field", "it names no target").at("targets"));
            };
            let version = references::version(state, deployment, Some(&text))?.id;
            let plan = Plan::of(state, &selection, dry_run, |key| {
                let order = engine.preview_break_glass(version, key)?;
                Ok(anew(state, &order))
            });
            Ok((plan, selection, version))
        })
        .await?;
    let reason = body.reason;
    carry_out(&scope, plan, &selection, |targets| Command::BreakGlass {
        version,
        targets,
        reason,
    })
    .await
}

fn reasoned(reason: &str) -> Answer<()> {
    if !reason.trim().is_empty() {
        return Ok(());
    }
    Err(
        Failure::new("missing_field", "it needs a reason; it is kept in the log")
            .at("reason")
            .hint("say why"),
    )
}

/// What rejecting a version would roll back.
pub(super) async fn rejection(scope: Scope) -> Answer<Json<api::OrderReport>> {
    let id: VersionId = scope.id("deploymentVersionId")?;
    let report = scope
        .ask(move |engine| {
            if !engine.state().versions().contains_key(&id) {
                return Err(Failure::no_such("version", id));
            }
            Ok(undone_by_rejection(engine, id))
        })
        .await?;
    Ok(Json(report))
}

pub(super) fn undone_by_rejection(engine: &Engine, version: VersionId) -> api::OrderReport {
    let state = engine.state();
    let mut report = api::OrderReport {
        dry_run: true,
        ..Default::default()
    };
    for (key, order) in engine.preview_rejection(version) {
        match order.filter(|order| order.kind == StartKind::Rollback) {
            Some(order) => {
                let to = going_back(state, key, &order, |_| None);
                report.targets.push(wire::ordered_target(state, key, to));
            }
            None => {
                let message = "there is no earlier good release to go back to";
                let rejection = Rejection::conflict("no_earlier_release", message);
                report.left.push(wire::left_target(state, key, &rejection));
            }
        }
    }
    report
}
