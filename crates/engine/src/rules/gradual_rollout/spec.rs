//! What a gradual rollout is, checked and compiled.

use crate::expressions::{check_cel, check_value, turn_schema};
use serde::Deserialize;
use stagegate_expressions::cel::Program;
use stagegate_model::Rejection;

/// Seconds between two targets, at most.
const INTERVAL_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Minutes a wave soaks, at most.
const SOAK_MINUTES_MAX: u32 = 30 * 24 * 60;
/// How many waves there may be.
const WAVES_MAX: usize = 50;

/// The rule as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Spec {
    rollout_type: RolloutType,
    /// `linear`: seconds between two targets. `linear-normalized`: seconds for all of them.
    time_scale_interval: u32,
    /// What the targets are sorted by.
    order: Option<String>,
    #[serde(default)]
    waves: Vec<WaveSpec>,
    max_failures: Option<u32>,
    max_failure_percentage: Option<f64>,
    #[serde(default)]
    on_failure: OnFailure,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WaveSpec {
    percentage: Option<f64>,
    count: Option<u32>,
    selector: Option<String>,
    #[serde(default)]
    soak_minutes: u32,
}

/// How the time between targets is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum RolloutType {
    #[serde(rename = "linear")]
    Linear,
    #[serde(rename = "linear-normalized")]
    Normalized,
}

/// What follows when the budget of failures is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum OnFailure {
    /// Nothing further starts until a person resumes it.
    #[default]
    Pause,
    /// What has the version goes back.
    Rollback,
}

/// The rule, ready to be asked.
pub(crate) struct GradualRollout {
    pub rollout_type: RolloutType,
    pub interval_seconds: u32,
    pub order: Option<Program>,
    pub waves: Vec<Wave>,
    max_failures: Option<u32>,
    max_failure_percentage: Option<f64>,
    pub on_failure: OnFailure,
}

/// Which targets a wave takes of those that earlier waves left.
pub(crate) struct Wave {
    pub size: Size,
    pub soak_minutes: u32,
}

pub(crate) enum Size {
    /// Of all targets, in percent, rounded up.
    Percentage(f64),
    Count(u32),
    Selector(Program),
    Rest,
}

impl GradualRollout {
    pub(super) fn new(spec: Spec) -> Result<Self, Rejection> {
        let invalid = |message: String| Rejection::invalid("invalid_rule", message);
        if spec.time_scale_interval > INTERVAL_SECONDS_MAX {
            let message = format!("at most {INTERVAL_SECONDS_MAX} seconds are allowed");
            return Err(invalid(message).at("timeScaleInterval"));
        }
        if spec.max_failures.is_some() && spec.max_failure_percentage.is_some() {
            return Err(invalid(
                "`maxFailures` and `maxFailurePercentage` exclude each other".to_owned(),
            )
            .at("maxFailures")
            .hint("keep one of them"));
        }
        if spec.max_failures == Some(0) {
            return Err(
                invalid("a budget of 0 failures is spent before it begins".to_owned())
                    .at("maxFailures")
                    .hint("1 stops the rollout with the first failure"),
            );
        }
        let percentage = |percentage: f64| percentage > 0.0 && percentage <= 100.0;
        if spec
            .max_failure_percentage
            .is_some_and(|it| !percentage(it))
        {
            return Err(
                invalid("it must be above 0 and at most 100".to_owned()).at("maxFailurePercentage")
            );
        }
        if spec.max_failures.is_none()
            && spec.max_failure_percentage.is_none()
            && spec.on_failure == OnFailure::Rollback
        {
            return Err(
                invalid("there is no budget of failures that could be spent".to_owned())
                    .at("onFailure")
                    .hint("set `maxFailures` or `maxFailurePercentage`"),
            );
        }
        if spec.waves.len() > WAVES_MAX {
            return Err(invalid(format!("at most {WAVES_MAX} waves are allowed")).at("waves"));
        }
        let order = spec
            .order
            .map(|text| check_value(&text, turn_schema(), "order"))
            .transpose()?;
        let mut waves = Vec::new();
        let mut rest = false;
        for (index, wave) in spec.waves.into_iter().enumerate() {
            let at = |rejection: Rejection| rejection.at(format!("waves[{index}]"));
            if rest {
                return Err(at(invalid(
                    "nothing is left for it: the wave before takes the rest".to_owned(),
                )));
            }
            let wave = Wave::new(wave).map_err(at)?;
            rest = matches!(wave.size, Size::Rest);
            waves.push(wave);
        }
        Ok(Self {
            rollout_type: spec.rollout_type,
            interval_seconds: spec.time_scale_interval,
            order,
            waves,
            max_failures: spec.max_failures,
            max_failure_percentage: spec.max_failure_percentage,
            on_failure: spec.on_failure,
        })
    }

    /// How many failures among `targets` spend the budget; `None` when there is none.
    pub(crate) fn budget(&self, targets: usize) -> Option<usize> {
        if let Some(count) = self.max_failures {
            return Some(count as usize);
        }
        let percentage = self.max_failure_percentage?;
        Some(share(targets, percentage).max(1))
    }

    /// How long after its wave's beginning the target at `place` of `size` is due, in milliseconds.
    pub(crate) fn delay_millis(&self, place: u32, size: usize) -> i64 {
        let (place, interval) = (i64::from(place), i64::from(self.interval_seconds));
        let seconds = match self.rollout_type {
            RolloutType::Linear => place * interval,
            RolloutType::Normalized => {
                let size = i64::try_from(size).unwrap_or(i64::MAX).max(1);
                place * interval / size
            }
        };
        seconds * 1000
    }

    /// How long a wave soaks before the next begins, in milliseconds.
    pub(crate) fn soak_millis(&self, wave: usize) -> i64 {
        let minutes = self.waves.get(wave).map_or(0, |wave| wave.soak_minutes);
        i64::from(minutes) * 60_000
    }
}

impl Wave {
    fn new(spec: WaveSpec) -> Result<Self, Rejection> {
        let invalid = |message: &str| Rejection::invalid("invalid_rule", message);
        if spec.soak_minutes > SOAK_MINUTES_MAX {
            return Err(invalid("a wave soaks for at most 30 days").at("soakMinutes"));
        }
        let size = match (spec.percentage, spec.count, spec.selector) {
            (None, None, None) => Size::Rest,
            (Some(percentage), None, None) => {
                if !(percentage > 0.0 && percentage <= 100.0) {
                    return Err(invalid("it must be above 0 and at most 100").at("percentage"));
                }
                Size::Percentage(percentage)
            }
            (None, Some(count), None) => {
                if count == 0 {
                    return Err(invalid("a wave has at least one target").at("count"));
                }
                Size::Count(count)
            }
            (None, None, Some(text)) => {
                Size::Selector(check_cel(&text, turn_schema(), "selector")?)
            }
            _ => {
                return Err(
                    invalid("`percentage`, `count` and `selector` exclude each other")
                        .hint("a wave with none of them takes the rest"),
                );
            }
        };
        Ok(Self {
            size,
            soak_minutes: spec.soak_minutes,
        })
    }
}

/// ⌈targets · percentage / 100⌉.
pub(super) fn share(targets: usize, percentage: f64) -> usize {
    // A fleet is far below 2^52 targets and the result is never above `targets`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let share = (targets as f64 * percentage / 100.0 - 1e-9).ceil().max(0.0) as usize;
    share.min(targets)
}
