//! Which of two rules of one kind, where both hold, says nothing of its own.

use super::sight::{RuleSight, Sight};
use crate::state::LaneKey;
use stagegate_model::{Json, PolicyId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// How one rule stands to another of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Same,
    /// The first asks for less than the second in every respect.
    Weaker,
    /// Both are of a kind of which one is meant to hold.
    Rival,
}

/// A member, in which direction it asks for more, and what holds when it is absent.
type Measure = (&'static str, i8, f64);

/// Members by kind of rule; with `1` more asks for more, with `-1` less does.
const MEASURES: &[(&str, &[Measure])] = &[
    ("anyApproval", &[("minApprovals", 1, 1.0)]),
    ("versionCooldown", &[("intervalSeconds", 1, 0.0)]),
    ("concurrency", &[("max", -1, f64::INFINITY)]),
    (
        "retry",
        &[
            ("maxRetries", -1, f64::INFINITY),
            ("backoffSeconds", 1, 0.0),
        ],
    ),
    (
        "environmentProgression",
        &[
            ("minimumSuccessPercentage", 1, 100.0),
            ("minimumSoakTimeMinutes", 1, 0.0),
            ("maximumAgeHours", -1, f64::INFINITY),
        ],
    ),
];

/// Kinds of which two in one place are hardly meant.
const SINGLE: [&str; 5] = [
    "anyApproval",
    "retry",
    "rollback",
    "gradualRollout",
    "versionCooldown",
];

/// Pairs of rules that hold in the same places, the first where the second holds at least.
pub(super) fn pairs(
    sight: &Sight<'_>,
    tell: &mut dyn FnMut(RuleSight<'_>, RuleSight<'_>, Likeness),
) {
    let rules: Vec<RuleSight<'_>> = sight.rules().collect();
    let places = places(sight);
    for (index, one) in rules.iter().enumerate() {
        for other in rules.iter().skip(index + 1) {
            if one.rule.kind != other.rule.kind || replace(*one, *other) {
                continue;
            }
            let (forth, back) = (
                covered(&places, *one, *other),
                covered(&places, *other, *one),
            );
            if !forth && !back {
                continue;
            }
            match compare(*one, *other) {
                // The later one is too many, unless it holds in more places.
                Some(Ordering::Equal) if back => tell(*other, *one, Likeness::Same),
                Some(Ordering::Equal) => tell(*one, *other, Likeness::Same),
                Some(Ordering::Less) if forth => tell(*one, *other, Likeness::Weaker),
                Some(Ordering::Greater) if back => tell(*other, *one, Likeness::Weaker),
                None if forth && back && SINGLE.contains(&&*one.rule.kind) => {
                    tell(*other, *one, Likeness::Rival);
                }
                _ => {}
            }
        }
    }
}

/// Whether one policy takes the place of the other.
fn replace(one: RuleSight<'_>, other: RuleSight<'_>) -> bool {
    let (one, other) = (&one.policy.policy, &other.policy.policy);
    one.replaces.contains(&other.id) || other.replaces.contains(&one.id)
}

/// Where a policy holds.
#[derive(Default)]
struct Places {
    /// For some version on some target.
    somewhere: BTreeSet<LaneKey>,
    /// For every version on every target.
    wholly: BTreeSet<LaneKey>,
    terms: BTreeSet<String>,
}

fn places(sight: &Sight<'_>) -> BTreeMap<PolicyId, Places> {
    let mut places: BTreeMap<PolicyId, Places> = BTreeMap::new();
    for policy in sight.policies() {
        let terms = plain(&policy.policy.selector);
        places.entry(policy.policy.id).or_default().terms = terms;
    }
    for lane in &sight.lanes {
        for held in &lane.possible {
            let place = places.entry(held.policy.policy.id).or_default();
            place.somewhere.insert(lane.key);
        }
        let whole = lane.usual.iter();
        for held in whole.filter(|held| held.everywhere && held.error.is_none()) {
            let place = places.entry(held.policy.policy.id).or_default();
            place.wholly.insert(lane.key);
        }
    }
    places
}

/// Whether `other` holds wherever `one` may.
fn covered(places: &BTreeMap<PolicyId, Places>, one: RuleSight<'_>, other: RuleSight<'_>) -> bool {
    let [of, by] = [one, other].map(|rule| rule.policy.policy.id);
    let (Some(one), Some(other)) = (places.get(&of), places.get(&by)) else {
        return false;
    };
    // Without lanes nothing but the selectors tells where they hold.
    of == by
        || one.terms == other.terms
        || !one.somewhere.is_empty() && one.somewhere.is_subset(&other.wholly)
}

/// A selector without its spaces, its terms in one order.
fn plain(selector: &str) -> BTreeSet<String> {
    let terms = selector.split("&&");
    terms
        .map(|term| {
            term.split_whitespace()
                .collect::<String>()
                .replace('\'', "\"")
        })
        .collect()
}

/// How much `one` asks for beside `other`; `None` when that cannot be compared.
fn compare(one: RuleSight<'_>, other: RuleSight<'_>) -> Option<Ordering> {
    let measures = MEASURES.iter().find(|(kind, _)| *kind == one.rule.kind);
    let measures = measures.map_or(&[][..], |(_, measures)| measures);
    let rest = |rule: RuleSight<'_>| {
        let mut spec = rule.rule.spec.clone();
        if let Json::Object(members) = &mut spec {
            members.retain(|name, value| {
                !value.is_null() && !measures.iter().any(|(measure, _, _)| measure == name)
            });
        }
        spec
    };
    if rest(one) != rest(other) {
        return None;
    }
    let mut order = Ordering::Equal;
    for (member, sign, absent) in measures {
        let value = |rule: RuleSight<'_>| rule.number(member).unwrap_or(*absent) * f64::from(*sign);
        match (order, value(one).partial_cmp(&value(other))?) {
            (_, Ordering::Equal) => {}
            (Ordering::Equal, next) => order = next,
            (before, next) if before == next => {}
            _ => return None,
        }
    }
    Some(order)
}
