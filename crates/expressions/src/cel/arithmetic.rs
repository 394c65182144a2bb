//! `+ - * / %` and unary `-`.
//!
//! Numbers of different types are taken together: with a double the result is a
//! double, otherwise an int where it fits. A metric that says `3` today and
//! `3.5` tomorrow must not fail one of the days.

use jiff::SignedDuration;

use super::error::EvalError;
use super::node::Arithmetic;
use super::time::Moment;
use super::value::{Budget, Val};

type Outcome<'a> = Result<Val<'a>, Box<EvalError>>;

fn overflow(operation: Arithmetic) -> Box<EvalError> {
    Box::new(EvalError::new(
        "cel_overflow",
        format!("the result of `{}` is out of range", operation.spelled()),
    ))
}

pub(super) fn negate<'a>(value: &Val<'a>) -> Outcome<'a> {
    match value {
        Val::Int(value) => value
            .checked_neg()
            .map(Val::Int)
            .ok_or_else(|| overflow(Arithmetic::Subtract)),
        Val::Double(value) => Ok(Val::Double(-value)),
        other => Err(Box::new(EvalError::new(
            "cel_type",
            format!("`-` negates an int or a double, not {}", other.kind()),
        ))),
    }
}

pub(super) fn apply<'a>(
    operation: Arithmetic,
    left: &Val<'a>,
    right: &Val<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    if let (Some(a), Some(b)) = (number(left), number(right)) {
        return match (a, b) {
            (Number::Double(a), Number::Double(b)) => doubles(operation, a, b),
            (Number::Double(a), Number::Whole(b)) => doubles(operation, a, b as f64),
            (Number::Whole(a), Number::Double(b)) => doubles(operation, a as f64, b),
            (Number::Whole(a), Number::Whole(b)) => {
                let unsigned = matches!((left, right), (Val::UInt(_), Val::UInt(_)));
                wholes(operation, a, b, unsigned)
            }
        };
    }
    if let (Arithmetic::Add, Some(a), Some(b)) = (operation, left.as_str(), right.as_str()) {
        budget.spend((a.len() + b.len()) / 16)?;
        return Ok(Val::Text([a, b].concat().into()));
    }
    let instant = |instant: Option<Moment>| {
        instant
            .map(Val::Timestamp)
            .ok_or_else(|| overflow(operation))
    };
    let duration = |duration: Option<SignedDuration>| {
        duration
            .map(Val::Duration)
            .ok_or_else(|| overflow(operation))
    };
    match (operation, left, right) {
        (Arithmetic::Add, Val::Timestamp(start), Val::Duration(length))
        | (Arithmetic::Add, Val::Duration(length), Val::Timestamp(start)) => {
            instant(start.plus(*length))
        }
        (Arithmetic::Subtract, Val::Timestamp(end), Val::Duration(length)) => {
            instant(end.minus(*length))
        }
        (Arithmetic::Subtract, Val::Timestamp(a), Val::Timestamp(b)) => duration(a.since(*b)),
        (Arithmetic::Add, Val::Duration(a), Val::Duration(b)) => duration(a.checked_add(*b)),
        (Arithmetic::Subtract, Val::Duration(a), Val::Duration(b)) => duration(a.checked_sub(*b)),
        (Arithmetic::Add, a, b) if is_list(a) && is_list(b) => {
            budget.spend(a.len().unwrap_or(0) + b.len().unwrap_or(0))?;
            Ok(Val::List(
                a.items()
                    .iter()
                    .chain(b.items().iter())
                    .flat_map(|items| items.iter().cloned())
                    .collect(),
            ))
        }
        (_, a, b) => Err(Box::new(EvalError::new(
            "cel_type",
            format!(
                "`{}` does not work on {} and {}",
                operation.spelled(),
                a.kind(),
                b.kind()
            ),
        ))),
    }
}

fn is_list(value: &Val<'_>) -> bool {
    matches!(value, Val::List(_) | Val::JsonList(_))
}

enum Number {
    Whole(i128),
    Double(f64),
}

fn number(value: &Val<'_>) -> Option<Number> {
    match value {
        Val::Int(value) => Some(Number::Whole(i128::from(*value))),
        Val::UInt(value) => Some(Number::Whole(i128::from(*value))),
        Val::Double(value) => Some(Number::Double(*value)),
        _ => None,
    }
}

fn wholes<'a>(operation: Arithmetic, a: i128, b: i128, unsigned: bool) -> Outcome<'a> {
    if b == 0 && matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(Box::new(EvalError::new(
            "cel_division_by_zero",
            format!("`{}` by zero", operation.spelled()),
        )));
    }
    // Two 64-bit numbers: nothing below leaves 128 bits.
    let result = match operation {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a.checked_mul(b).ok_or_else(|| overflow(operation))?,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    };
    if unsigned {
        return u64::try_from(result)
            .map(Val::UInt)
            .map_err(|_| overflow(operation));
    }
    i64::try_from(result)
        .map(Val::Int)
        .map_err(|_| overflow(operation))
}

fn doubles<'a>(operation: Arithmetic, a: f64, b: f64) -> Outcome<'a> {
    Ok(Val::Double(match operation {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => {
            return Err(Box::new(EvalError::new(
                "cel_type",
                "`%` works on whole numbers, not on a double",
            )));
        }
    }))
}
