//! What many have in common, kept once.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Values of which each is there once, whoever has it.
pub(crate) struct Shared<T: ?Sized> {
    /// Those that somebody has, and some that somebody had.
    values: BTreeSet<Arc<T>>,
    /// With so many, those that nobody has any more are forgotten.
    crowded: usize,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: BTreeSet::new(),
            crowded: 0,
        }
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            crowded: self.crowded,
        }
    }
}

impl<T: Ord + ?Sized> Shared<T> {
    pub const FORGOTTEN_AT: usize = 64;

    /// The value as others have it, if any does.
    pub fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.values.get(Borrow::<T>::borrow(&value)) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.crowded.max(Self::FORGOTTEN_AT) {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.crowded = 2 * self.values.len();
        }
        let shared: Arc<T> = value.into();
        self.values.insert(Arc::clone(&shared));
        shared
    }

    #[cfg(test)]
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Arc<T>> {
        self.values.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_one_and_what_nobody_has_is_forgotten() {
        let mut shared = Shared::<str>::default();
        let kept = shared.share("kept");
        assert!(Arc::ptr_eq(&kept, &shared.share("kept")));
        for number in 0..1_000 {
            shared.share(number.to_string());
        }
        assert!(shared.values().len() <= 2 * Shared::<str>::FORGOTTEN_AT);
        assert!(Arc::ptr_eq(&kept, &shared.share("kept")));
    }
}
