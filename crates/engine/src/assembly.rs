//! An engine made of the parts of a state, as they are read.

use crate::engine::Engine;
use crate::resource_index::Gathered;
use crate::state::{Misfit, Part, State};

/// Takes the parts of a state one after the other; what only follows from a part is made while the next is read.
#[derive(Default)]
pub struct Assembly {
    state: State,
    resources: Gathered,
}

impl Assembly {
    /// Takes the next part.
    ///
    /// # Errors
    /// When it is not what comes next; then what was taken is worth nothing.
    pub fn add(&mut self, part: Part) -> Result<(), Misfit> {
        if let Part::Resources(resources) = &part {
            for stored in resources.values().filter(|it| !it.deleted) {
                self.resources.add(&stored.resource);
            }
        }
        self.state.add(part)
    }

    /// The engine over a state of which all parts were taken; everything is looked at again.
    #[must_use]
    pub fn finish(self) -> Engine {
        Engine::over(self.state, self.resources.index())
    }
}
