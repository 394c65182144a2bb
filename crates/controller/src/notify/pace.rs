//! How long to wait before a delivery is tried again, and when no more.

use sha2::{Digest as _, Sha256};
use stagegate_store::Delivery;
use std::time::Duration;

/// How patiently deliveries are tried again. The defaults are those of docs/notifications.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// After the first attempt; doubled after each further one.
    pub first: Duration,
    /// The longest pause between two attempts, unless the receiver asks for more.
    pub longest: Duration,
    /// How long all of a notifier's messages wait at most after one of them failed.
    pub rest: Duration,
    /// A message that could not be delivered for so long is given up.
    pub give_up_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(15 * 60),
            rest: Duration::from_secs(60),
            give_up_after: Duration::from_secs(24 * 3600),
        }
    }
}

/// The longest a receiver can ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

impl Pace {
    /// How long to wait after `delivery` was tried `attempts` times.
    #[must_use]
    pub fn pause(&self, delivery: &Delivery, retry_after: Option<Duration>) -> Duration {
        let usual = self.doubled(delivery.attempts).min(self.longest);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        spread(usual, delivery).max(asked)
    }

    /// How long a notifier rests after so many failures in a row.
    #[must_use]
    pub fn rest_after(&self, failures: u32) -> Duration {
        // The first failure may be the message's own fault.
        match failures {
            0 | 1 => Duration::ZERO,
            failures => self.doubled(failures - 1).min(self.rest),
        }
    }

    fn doubled(&self, times: u32) -> Duration {
        self.first
            .saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)))
    }
}

/// Up to a fifth more or less, so that what failed together does not come back together. It follows from the
/// delivery, so no randomness is needed.
fn spread(pause: Duration, delivery: &Delivery) -> Duration {
    let mut hash = Sha256::new();
    hash.update(delivery.notifier.0.as_bytes());
    hash.update(delivery.seq.to_be_bytes());
    hash.update(delivery.subject.as_bytes());
    hash.update(delivery.attempts.to_be_bytes());
    let lot = hash.finalize().first().copied().unwrap_or(128);
    pause.mul_f64(0.8 + 0.4 * f64::from(lot) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagegate_model::Timestamp;
    use uuid::Uuid;

    fn delivery(attempts: u32, subject: u128) -> Delivery {
        Delivery {
            workspace: Uuid::nil().into(),
            notifier: Uuid::nil().into(),
            seq: 1,
            subject: Uuid::from_u128(subject),
            attempts,
            due: Timestamp(0),
            since: Timestamp(0),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let pace = Pace::default();
        for (attempts, seconds) in [(1, 5.0), (2, 10.0), (5, 80.0), (9, 900.0), (40, 900.0)] {
            let pause = pace.pause(&delivery(attempts, 1), None).as_secs_f64();
            assert!(
                (seconds * 0.8..=seconds * 1.2).contains(&pause),
                "{attempts}: {pause}"
            );
        }
        let pauses: std::collections::BTreeSet<_> = (0..20)
            .map(|subject| pace.pause(&delivery(3, subject), None))
            .collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
        let pace = Pace::default();
        let asked = |seconds| {
            let after = Some(Duration::from_secs(seconds));
            pace.pause(&delivery(1, 1), after).as_secs()
        };
        assert_eq!(asked(120), 120);
        assert_eq!(asked(1_000_000), 3600);
        assert!(asked(1) >= 4);
    }

    #[test]
    fn a_notifier_rests_only_when_failures_repeat() {
        let pace = Pace::default();
        let rests: Vec<_> = (0..7).map(|it| pace.rest_after(it).as_secs()).collect();
        assert_eq!(rests, [0, 0, 5, 10, 20, 40, 60]);
    }
}
