//! Instants as there are many of them.

use stagegate_model::Timestamp;

/// An instant in six bytes, which are in line wherever they lie: from 1970 to beyond [`Timestamp::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment([u8; 6]);

impl Moment {
    const LAST: i64 = (1 << 48) - 1;

    /// `None` where it cannot be said in six bytes.
    pub fn exactly(at: Timestamp) -> Option<Self> {
        (0..=Self::LAST).contains(&at.0).then(|| Self::near(at))
    }

    /// The same instant, or the nearest that there is: no log has one before 1970 or after [`Timestamp::MAX`].
    pub fn near(at: Timestamp) -> Self {
        let [a, b, c, d, e, f, ..] = at.0.clamp(0, Self::LAST).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    pub fn at(self) -> Timestamp {
        let [a, b, c, d, e, f] = self.0;
        Timestamp(i64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_of_a_log_is_kept_as_it_is() {
        for at in [0, 1, 255, 256, 1_767_571_200_123, Timestamp::MAX.0] {
            assert_eq!(Moment::near(Timestamp(at)).at(), Timestamp(at));
            assert_eq!(
                Moment::exactly(Timestamp(at)),
                Some(Moment::near(Timestamp(at)))
            );
        }
        for (at, near) in [(-1, 0), (i64::MIN, 0), (i64::MAX, Moment::LAST)] {
            assert_eq!(Moment::exactly(Timestamp(at)), None);
            assert_eq!(Moment::near(Timestamp(at)).at(), Timestamp(near));
        }
    }
}
