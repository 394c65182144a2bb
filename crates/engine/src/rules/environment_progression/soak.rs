//! How long a version has stayed where it succeeded.

use stagegate_model::Timestamp;

/// What came of soaking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Soak {
    /// The time was served at `at`.
    Done { at: Timestamp },
    /// It runs since `since`; if nothing intervenes the time is served at `until`.
    Running { since: Timestamp, until: Timestamp },
    /// Another version took its place before the time was served.
    Broken { longest_millis: i64 },
}

/// The longest continuous time, from `reached` on, during which the version was current on at least `required`
/// targets, compared with `needed_millis`.
///
/// `stays` are sorted by their start; each is from when a success came to count until the version was replaced.
pub(super) fn soak(
    stays: &[(Timestamp, Option<Timestamp>)],
    reached: Timestamp,
    required: usize,
    needed_millis: i64,
    now: Timestamp,
) -> Soak {
    if needed_millis == 0 {
        return Soak::Done { at: reached };
    }
    if required == 0 {
        return running_or_done(reached, needed_millis, now);
    }
    // Arrivals before departures at the same instant would hide a break; departures first.
    let mut events: Vec<(Timestamp, i32)> = Vec::with_capacity(stays.len() * 2);
    // Who left at the very moment of arriving was never there; in this order they would leave before they came.
    let real = |(from, to): &&(Timestamp, Option<Timestamp>)| to.is_none_or(|to| to > *from);
    for (from, to) in stays.iter().filter(real) {
        events.push((*from, 1));
        events.extend(to.map(|to| (to, -1)));
    }
    events.sort_unstable();
    let required = i32::try_from(required).unwrap_or(i32::MAX);
    let mut there = 0;
    let mut since: Option<Timestamp> = None;
    let mut longest_millis = 0;
    for (at, change) in events {
        there += change;
        match since {
            None if there >= required => since = Some(at.max(reached)),
            Some(start) if there < required => {
                let stayed = at.millis_since(start);
                if stayed >= needed_millis {
                    return Soak::Done {
                        at: start.plus_millis(needed_millis),
                    };
                }
                longest_millis = longest_millis.max(stayed);
                since = None;
            }
            _ => {}
        }
    }
    match since {
        Some(since) => running_or_done(since, needed_millis, now),
        None => Soak::Broken { longest_millis },
    }
}

fn running_or_done(since: Timestamp, needed_millis: i64, now: Timestamp) -> Soak {
    let until = since.plus_millis(needed_millis);
    if now >= until {
        Soak::Done { at: until }
    } else {
        Soak::Running { since, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    #[test]
    fn counts_from_when_enough_targets_have_it() {
        let stays = [(t(0), None), (t(100), None)];
        assert_eq!(
            soak(&stays, t(100), 2, 50, t(120)),
            Soak::Running {
                since: t(100),
                until: t(150)
            }
        );
        assert_eq!(
            soak(&stays, t(100), 2, 50, t(150)),
            Soak::Done { at: t(150) }
        );
        assert_eq!(soak(&stays, t(0), 1, 0, t(0)), Soak::Done { at: t(0) });
    }

    #[test]
    fn does_not_run_on_after_a_replacement() {
        let stays = [(t(0), Some(t(40)))];
        assert_eq!(
            soak(&stays, t(0), 1, 50, t(1000)),
            Soak::Broken { longest_millis: 40 }
        );
        let stays = [(t(0), Some(t(60)))];
        assert_eq!(soak(&stays, t(0), 1, 50, t(1000)), Soak::Done { at: t(50) });
    }

    #[test]
    fn who_left_on_arriving_breaks_nothing() {
        let stays = [(t(0), None), (t(30), Some(t(30)))];
        assert_eq!(
            soak(&stays, t(0), 1, 50, t(40)),
            Soak::Running {
                since: t(0),
                until: t(50)
            }
        );
    }

    #[test]
    fn a_break_starts_the_clock_again() {
        let stays = [(t(0), Some(t(40))), (t(70), None)];
        assert_eq!(
            soak(&stays, t(0), 1, 50, t(100)),
            Soak::Running {
                since: t(70),
                until: t(120)
            }
        );
    }
}
