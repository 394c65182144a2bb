//! Waiting between attempts: longer each time, never all runners at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const MAX: Duration = Duration::from_secs(15);

/// The wait before the next attempt.
#[derive(Debug)]
pub(crate) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// Starts over; the last attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now: between half of the step and all of it.
    pub(crate) fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(MAX);
        // Randomly keyed per call; good enough to spread runners that lost the same server.
        let random = RandomState::new().hash_one(0) % 1000;
        let share = u32::try_from(random).unwrap_or(0);
        step / 2 + step / 2 * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_bounds_and_starts_over() {
        let mut back_off = BackOff::new();
        let mut step = FIRST;
        for _ in 0..20 {
            let wait = back_off.wait();
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
            step = (step * 2).min(MAX);
        }
        assert_eq!(step, MAX);
        back_off.reset();
        assert!(back_off.wait() <= FIRST);
    }
}
