//! The calendar of deployment windows.

use super::freezes::moment;
use crate::answer::{Answer, Failure, Json};
use crate::body::Query;
use crate::people::People;
use crate::reach::Reach;
use crate::references;
use crate::scope::Scope;
use crate::wire;
use stagegate_api as api;
use stagegate_engine::State;
use stagegate_engine::rules::deployment_window::Window;
use stagegate_model::{Policy, Rule, Timestamp};

const KIND: &str = "deploymentWindow";
/// How far ahead is looked when nobody says.
const SECONDS_AHEAD: i64 = 28 * 86_400;
/// The longest time that can be asked for.
const SECONDS_MAX: i64 = 366 * 86_400;
/// Stretches told of one window, at most.
const SPANS_MAX: usize = 500;
/// Windows told, at most; looking ahead costs for each.
const WINDOWS_MAX: usize = 200;

pub(super) async fn get(
    scope: Scope,
    Query(query): Query<api::WindowsQuery>,
) -> Answer<Json<api::Windows>> {
    let people = People::of(&scope).await?;
    let now = scope.now();
    let from = moment(query.from.as_deref(), "from")?.unwrap_or(now);
    let to = moment(query.to.as_deref(), "to")?;
    let to = to.unwrap_or_else(|| from.plus_seconds(SECONDS_AHEAD));
    if to <= from || to > from.plus_seconds(SECONDS_MAX) {
        let message = format!("it is not after `from`, {from}, or more than a year after it");
        return Err(Failure::new("invalid_time", message).at("to"));
    }
    let windows = scope
        .ask(move |engine| {
            let state = engine.state();
            let reach = Reach::of(engine);
            let environment = match &query.environment {
                Some(text) => Some(references::environment(state, text)?.id),
                None => None,
            };
            let here = |policy| environment.is_none_or(|id| reach.contains(policy, id));
            let mut policies: Vec<&Policy> = state
                .policies()
                .values()
                .map(|it| &**it)
                .filter(|it| it.enabled && here(it.id))
                .collect();
            policies.sort_by_key(|it| it.name.to_lowercase());
            let rules = policies
                .iter()
                .flat_map(|policy| policy.rules.iter().map(move |rule| (*policy, rule)));
            let windows = rules
                .filter(|(_, rule)| rule.kind == KIND)
                .take(WINDOWS_MAX);
            let windows = windows.filter_map(|(policy, rule)| {
                let calendar = Calendar { now, from, to };
                calendar.window(state, policy, rule, &reach)
            });
            let mut freezes: Vec<_> = state
                .freezes()
                .values()
                .filter(|it| here(it.id.0.into()))
                .filter(|it| it.starts_at < to && it.ends_at.is_none_or(|ends| ends > from))
                .collect();
            freezes.sort_by_key(|it| (it.starts_at, it.id));
            Ok(api::Windows {
                now: now.to_string(),
                from: from.to_string(),
                to: to.to_string(),
                windows: windows.collect(),
                freezes: freezes
                    .into_iter()
                    .map(|it| wire::freeze(state, it, &reach, &people, now))
                    .collect(),
            })
        })
        .await?;
    Ok(Json(windows))
}

#[derive(Clone, Copy)]
struct Calendar {
    now: Timestamp,
    from: Timestamp,
    to: Timestamp,
}

impl Calendar {
    /// `None` for a rule that this server no longer understands: `why` says that its gate is shut.
    fn window(
        self,
        state: &State,
        policy: &Policy,
        rule: &Rule,
        reach: &Reach,
    ) -> Option<api::Window> {
        let window = Window::new(&rule.spec, rule.created_at).ok()?;
        let standing = window.state(self.now);
        let mut spans = window.spans(self.from, self.to, SPANS_MAX + 1);
        let more = spans.len() > SPANS_MAX;
        spans.truncate(SPANS_MAX);
        let text = |member: &str| rule.spec.get(member).and_then(api::Json::as_str);
        Some(api::Window {
            policy_id: policy.id.to_string(),
            policy_name: policy.name.clone(),
            rule_id: rule.id.to_string(),
            allow_window: window.allows(),
            timezone: window.timezone().to_owned(),
            rrule: text("rrule").unwrap_or_default().to_owned(),
            duration_minutes: window.minutes(),
            holds_rollbacks: window.holds_rollbacks(),
            environments: reach.environments(state, policy.id),
            open: standing.inside == window.allows(),
            since: standing.since.map(|at| at.to_string()),
            until: standing.until.map(|at| at.to_string()),
            spans: spans
                .into_iter()
                .map(|(from, to)| api::WindowSpan {
                    from: from.to_string(),
                    to: to.to_string(),
                    from_local: window.local(from),
                    to_local: window.local(to),
                })
                .collect(),
            more,
        })
    }
}
