//! Values during an evaluation, borrowed from the data wherever they can be.

use std::cmp::Ordering;
use std::rc::Rc;

use jiff::SignedDuration;
use serde_json::Value as Json;

use super::error::EvalError;
use super::node::Const;
use super::time::{self, Moment};
use crate::data::{Object, View};

#[derive(Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Str(&'a str),
    Text(Rc<str>),
    Timestamp(Moment),
    Duration(SignedDuration),
    Object(&'a dyn Object),
    JsonList(&'a [Json]),
    JsonMap(&'a serde_json::Map<String, Json>),
    List(Rc<[Val<'a>]>),
    Map(Rc<[(Val<'a>, Val<'a>)]>),
}

impl<'a> Val<'a> {
    /// A root lives as long as the evaluation: its text need not be copied.
    pub(super) fn from_root(view: &'a View<'a>) -> Result<Self, Box<EvalError>> {
        match view {
            View::OwnedStr(text) => Ok(Val::Str(text)),
            view => Self::from_view(view.clone()),
        }
    }

    pub(super) fn from_view(view: View<'a>) -> Result<Self, Box<EvalError>> {
        Ok(match view {
            View::Null => Val::Null,
            View::Bool(value) => Val::Bool(value),
            View::Int(value) => Val::Int(value),
            View::UInt(value) => Val::UInt(value),
            View::Float(value) => Val::Double(value),
            View::Str(text) => Val::Str(text),
            View::OwnedStr(text) => Val::Text(text.into()),
            View::TimestampMillis(millis) => Moment::from_millis(millis)
                .map(Val::Timestamp)
                .ok_or_else(|| {
                    Box::new(EvalError::new(
                        "cel_bad_time",
                        format!("{millis} ms is no instant of the years 1 to 9999"),
                    ))
                })?,
            View::Object(object) => Val::Object(object),
            View::Json(json) => Val::from_json(json),
            View::JsonText(text) => Val::from_text(serde_json::from_str(text).unwrap_or_default()),
        })
    }

    /// A value of its own, as it has been read.
    fn from_text(json: Json) -> Self {
        match json {
            Json::String(text) => Val::Text(text.into()),
            Json::Array(items) => Val::List(items.into_iter().map(Val::from_text).collect()),
            Json::Object(members) => {
                let members = members.into_iter();
                Val::Map(
                    members
                        .map(|(key, value)| (Val::Text(key.into()), Val::from_text(value)))
                        .collect(),
                )
            }
            Json::Null => Val::Null,
            Json::Bool(value) => Val::Bool(value),
            Json::Number(number) => Val::from_number(&number),
        }
    }

    fn from_number(number: &serde_json::Number) -> Self {
        number
            .as_i64()
            .map(Val::Int)
            .or_else(|| number.as_u64().map(Val::UInt))
            .or_else(|| number.as_f64().map(Val::Double))
            .unwrap_or(Val::Null)
    }

    /// Numbers written without fraction are integers, others are floating-point.
    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Val::Null,
            Json::Bool(value) => Val::Bool(*value),
            Json::Number(number) => Val::from_number(number),
            Json::String(text) => Val::Str(text),
            Json::Array(items) => Val::JsonList(items),
            Json::Object(map) => Val::JsonMap(map),
        }
    }

    pub(super) fn from_const(constant: &'a Const) -> Self {
        match constant {
            Const::Null => Val::Null,
            Const::Bool(value) => Val::Bool(*value),
            Const::Int(value) => Val::Int(*value),
            Const::UInt(value) => Val::UInt(*value),
            Const::Double(value) => Val::Double(*value),
            Const::Text(text) => Val::Str(text),
            Const::Timestamp(instant) => Val::Timestamp(*instant),
            Const::Duration(duration) => Val::Duration(*duration),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(text) => Some(text),
            Val::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What to call the value in a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Val::Null => "null",
            Val::Bool(_) => "a bool",
            Val::Int(_) => "an int",
            Val::UInt(_) => "a uint",
            Val::Double(_) => "a double",
            Val::Str(_) | Val::Text(_) => "a string",
            Val::Timestamp(_) => "a timestamp",
            Val::Duration(_) => "a duration",
            Val::JsonList(_) | Val::List(_) => "a list",
            Val::Object(_) | Val::JsonMap(_) | Val::Map(_) => "a map",
        }
    }

    /// How many elements or keys; `None` when it is neither list nor map.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Val::JsonList(items) => Some(items.len()),
            Val::List(items) => Some(items.len()),
            Val::JsonMap(map) => Some(map.len()),
            Val::Map(entries) => Some(entries.len()),
            Val::Object(object) => Some(object.keys().len()),
            _ => None,
        }
    }

    /// The elements of a list, or the keys of a map; `None` when it is neither.
    pub(super) fn items(&self) -> Option<Rc<[Val<'a>]>> {
        Some(match self {
            Val::List(items) => Rc::clone(items),
            Val::JsonList(items) => items.iter().map(Val::from_json).collect(),
            Val::JsonMap(map) => map.keys().map(|key| Val::Str(key)).collect(),
            Val::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Val::Object(object) => object
                .keys()
                .into_iter()
                .map(|key| Val::Text(key.into()))
                .collect(),
            _ => return None,
        })
    }

    /// The element of a list at a place; `None` when it is no list or is too short.
    fn element(&self, at: usize) -> Option<Val<'a>> {
        match self {
            Val::JsonList(items) => items.get(at).map(Val::from_json),
            Val::List(items) => items.get(at).cloned(),
            _ => None,
        }
    }

    fn is_list(&self) -> bool {
        matches!(self, Val::JsonList(_) | Val::List(_))
    }

    fn is_map(&self) -> bool {
        matches!(self, Val::Object(_) | Val::JsonMap(_) | Val::Map(_))
    }

    /// What a field or key gives. A null has no fields: that is missing, not an error.
    pub(super) fn field(&self, name: &str) -> Result<Option<Val<'a>>, Box<EvalError>> {
        match self {
            Val::Object(object) => {
                let object: &'a dyn Object = *object;
                object.get(name).map(Val::from_view).transpose()
            }
            Val::JsonMap(map) => Ok(map.get(name).map(Val::from_json)),
            Val::Map(entries) => Ok(entries
                .iter()
                .find(|(key, _)| key.as_str() == Some(name))
                .map(|(_, value)| value.clone())),
            Val::Null => Ok(None),
            other => Err(Box::new(EvalError::new(
                "cel_type",
                format!("{} has no fields, so no `{name}`", other.kind()),
            ))),
        }
    }

    /// `self[index]`; nothing when the key of a map is missing.
    pub(super) fn at(&self, index: &Val<'a>) -> Result<Option<Val<'a>>, Box<EvalError>> {
        if let Some(len) = self.len().filter(|_| self.is_list()) {
            let place = match index {
                Val::Int(at) => usize::try_from(*at).ok(),
                Val::UInt(at) => usize::try_from(*at).ok(),
                Val::Double(at) if at.fract() == 0.0 && (0.0..1e9).contains(at) => {
                    Some(*at as usize)
                }
                Val::Double(_) => None,
                other => {
                    return Err(Box::new(EvalError::new(
                        "cel_type",
                        format!("a list is indexed by an int, not by {}", other.kind()),
                    )));
                }
            };
            return match place.and_then(|place| self.element(place)) {
                Some(value) => Ok(Some(value)),
                None => Err(Box::new(EvalError::new(
                    "cel_index",
                    format!("the list has {len} elements, none at {}", index.shown()),
                ))),
            };
        }
        match (self, index.as_str()) {
            (Val::Null, _) => Ok(None),
            (_, Some(key)) => self.field(key),
            (Val::Map(entries), None) => Ok(entries
                .iter()
                .find(|(key, _)| equal_scalars(key, index) == Some(true))
                .map(|(_, value)| value.clone())),
            (Val::Object(_) | Val::JsonMap(_), None) => Ok(None),
            _ => Err(Box::new(EvalError::new(
                "cel_type",
                format!("{} cannot be indexed", self.kind()),
            ))),
        }
    }

    /// A number or text as a message repeats it.
    fn shown(&self) -> String {
        match self {
            Val::Int(value) => value.to_string(),
            Val::UInt(value) => value.to_string(),
            Val::Double(value) => value.to_string(),
            other => other.kind().to_owned(),
        }
    }
}

/// Values compared so far, so that comparing large data has a bound.
pub(super) struct Budget {
    pub(super) left: u32,
}

impl Budget {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Box<EvalError>> {
        match u32::try_from(steps)
            .ok()
            .and_then(|steps| self.left.checked_sub(steps))
        {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Box::new(EvalError::new(
                    "cel_cost",
                    format!(
                        "the evaluation took more than {} steps; select less data or simplify the expression",
                        super::COST_MAX
                    ),
                )))
            }
        }
    }
}

/// Deepest data that is compared or turned into JSON; recursion must fit the caller's stack.
const DATA_DEPTH_MAX: usize = 128;

/// CEL's `==`: numbers by value across their types; other values of different types are unequal.
pub(super) fn equal(
    left: &Val<'_>,
    right: &Val<'_>,
    budget: &mut Budget,
) -> Result<bool, Box<EvalError>> {
    equal_at(left, right, budget, 0)
}

fn equal_at(
    left: &Val<'_>,
    right: &Val<'_>,
    budget: &mut Budget,
    depth: usize,
) -> Result<bool, Box<EvalError>> {
    if let Some(answer) = equal_scalars(left, right) {
        let bytes = left.as_str().map_or(0, str::len);
        budget.spend(bytes / 64)?;
        return Ok(answer);
    }
    if depth >= DATA_DEPTH_MAX {
        return Err(Box::new(too_deep()));
    }
    let (Some(length), Some(other)) = (left.len(), right.len()) else {
        return Ok(false);
    };
    if length != other || left.is_list() != right.is_list() {
        return Ok(false);
    }
    budget.spend(length)?;
    if left.is_list() {
        for at in 0..length {
            let (Some(a), Some(b)) = (left.element(at), right.element(at)) else {
                return Ok(false);
            };
            if !equal_at(&a, &b, budget, depth + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    for key in left.items().iter().flat_map(|keys| keys.iter()) {
        if matches!(right, Val::Map(_)) || matches!(left, Val::Map(_)) {
            budget.spend(length)?;
        }
        let (Some(a), Some(b)) = (left.at(key)?, right.at(key)?) else {
            return Ok(false);
        };
        if !equal_at(&a, &b, budget, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn too_deep() -> EvalError {
    EvalError::new(
        "cel_too_deep",
        format!("the data is nested more than {DATA_DEPTH_MAX} deep"),
    )
}

/// `==` where no recursion is needed; `None` for two lists or two maps.
fn equal_scalars(left: &Val<'_>, right: &Val<'_>) -> Option<bool> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Some(a == b);
    }
    Some(match (left, right) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Timestamp(a), Val::Timestamp(b)) => a == b,
        (Val::Duration(a), Val::Duration(b)) => a == b,
        (a, b) if a.is_list() && b.is_list() || a.is_map() && b.is_map() => return None,
        (a, b) => numbers(a, b) == Some(Some(Ordering::Equal)),
    })
}

/// CEL's ordering; `None` when the two have none, `Some(None)` when one is not a number (NaN).
pub(super) fn order(left: &Val<'_>, right: &Val<'_>) -> Option<Option<Ordering>> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Some(Some(a.cmp(b)));
    }
    match (left, right) {
        (Val::Bool(a), Val::Bool(b)) => Some(Some(a.cmp(b))),
        (Val::Timestamp(a), Val::Timestamp(b)) => Some(Some(a.cmp(b))),
        (Val::Duration(a), Val::Duration(b)) => Some(Some(a.cmp(b))),
        (a, b) => numbers(a, b),
    }
}

/// Orders two numbers of any types by value; `None` when one is no number.
fn numbers(left: &Val<'_>, right: &Val<'_>) -> Option<Option<Ordering>> {
    let whole = |value: &Val<'_>| match value {
        Val::Int(value) => Some(i128::from(*value)),
        Val::UInt(value) => Some(i128::from(*value)),
        _ => None,
    };
    match (left, right, whole(left), whole(right)) {
        (_, _, Some(a), Some(b)) => Some(Some(a.cmp(&b))),
        (Val::Double(a), Val::Double(b), ..) => Some(a.partial_cmp(b)),
        (_, Val::Double(b), Some(a), _) => Some(whole_to_double(a, *b)),
        (Val::Double(a), _, _, Some(b)) => Some(whole_to_double(b, *a).map(Ordering::reverse)),
        _ => None,
    }
}

/// Exact: no integer is rounded to a double first.
fn whole_to_double(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // The conversion saturates; both ends lie far outside of the 64-bit types.
    let floor = double.floor();
    Some(whole.cmp(&(floor as i128)).then(if floor < double {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}

/// The value as JSON.
pub(super) fn to_json(value: &Val<'_>, budget: &mut Budget) -> Result<Json, Box<EvalError>> {
    to_json_at(value, budget, 0)
}

fn to_json_at(value: &Val<'_>, budget: &mut Budget, depth: usize) -> Result<Json, Box<EvalError>> {
    if depth >= DATA_DEPTH_MAX {
        return Err(Box::new(too_deep()));
    }
    budget.spend(1 + value.len().unwrap_or(0))?;
    Ok(match value {
        Val::Null => Json::Null,
        Val::Bool(value) => Json::from(*value),
        Val::Int(value) => Json::from(*value),
        Val::UInt(value) => Json::from(*value),
        Val::Double(value) => match serde_json::Number::from_f64(*value) {
            Some(number) => Json::Number(number),
            None => {
                return Err(Box::new(EvalError::new(
                    "cel_type",
                    format!("the result is {value}, which JSON cannot say"),
                )));
            }
        },
        Val::Str(text) => {
            budget.spend(text.len() / 64)?;
            Json::from(*text)
        }
        Val::Text(text) => {
            budget.spend(text.len() / 64)?;
            Json::from(&**text)
        }
        Val::Timestamp(instant) => Json::from(instant.to_string()),
        Val::Duration(duration) => Json::from(time::duration_text(*duration)),
        list if list.is_list() => {
            let mut items = Vec::new();
            for item in list.items().iter().flat_map(|items| items.iter()) {
                items.push(to_json_at(item, budget, depth + 1)?);
            }
            Json::Array(items)
        }
        map => {
            let mut fields = serde_json::Map::new();
            for key in map.items().iter().flat_map(|keys| keys.iter()) {
                if let Some(value) = map.at(key)? {
                    let name = match key {
                        Val::Bool(key) => key.to_string(),
                        key => key.as_str().map_or_else(|| key.shown(), str::to_owned),
                    };
                    fields.insert(name, to_json_at(&value, budget, depth + 1)?);
                }
            }
            Json::Object(fields)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_without_rounding() {
        let big = 9_007_199_254_740_993_i64; // 2^53 + 1, no double
        let near = 9_007_199_254_740_992.0_f64;
        assert_eq!(
            numbers(&Val::Int(big), &Val::Double(near)),
            Some(Some(Ordering::Greater))
        );
        assert_eq!(
            numbers(&Val::Int(-1), &Val::UInt(u64::MAX)),
            Some(Some(Ordering::Less))
        );
        assert_eq!(
            numbers(&Val::Int(1), &Val::Double(1.5)),
            Some(Some(Ordering::Less))
        );
        assert_eq!(
            numbers(&Val::Int(-1), &Val::Double(-1.5)),
            Some(Some(Ordering::Greater))
        );
        assert_eq!(
            numbers(&Val::Double(f64::INFINITY), &Val::UInt(u64::MAX)),
            Some(Some(Ordering::Greater))
        );
        assert_eq!(numbers(&Val::Int(0), &Val::Double(f64::NAN)), Some(None));
        assert_eq!(numbers(&Val::Int(0), &Val::Str("0")), None);
    }

    #[test]
    fn a_value_is_small_enough_to_pass_around() {
        assert!(size_of::<Val<'_>>() <= 24);
    }
}
