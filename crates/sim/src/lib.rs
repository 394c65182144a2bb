//! The simulator: a whole Stagegate in one loop, everything in it drawn from one seed.
//!
//! The controller's own steps run over the real store; the clock, the ids, what people and programs ask, agents,
//! measurements and faults come from the seed. An independent [`auditor`] reads the log and judges. The same seed
//! always gives the same run; one that fails is shrunk to the steps that matter.

pub mod auditor;
mod clients;
pub mod counts;
pub mod dice;
pub mod fleet;
mod heartbeats;
pub mod node;
pub mod plan;
mod rest;
pub mod sabotage;
pub mod shrink;
mod steps;
pub mod store;
mod told;
mod trace;
mod workload;
mod world;

pub use auditor::Violation;
pub use plan::Step;
pub use sabotage::{Nobody, Saboteur, Tampering};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The hash of everything that happened.
    pub hash: String,
    /// Entries in the log.
    pub entries: usize,
    /// Jobs there were.
    pub jobs: usize,
    /// The first thing that must not be, if there was any.
    pub violation: Option<Violation>,
    /// The last lines of the trace.
    pub tail: Vec<String>,
    /// How often what happened.
    pub counts: counts::Counts,
}

/// Runs a seed's plan of so many steps.
#[must_use]
pub fn run(seed: u64, steps: usize) -> Run {
    run_steps(seed, &plan::draw(seed, steps), &mut Nobody, false)
}

/// The log of a seed's plan of so many steps.
///
/// # Errors
/// The first thing that must not be.
pub fn history(seed: u64, steps: usize) -> Result<Vec<stagegate_model::Entry>, Violation> {
    let plan = plan::draw(seed, steps);
    let mut nobody = Nobody;
    let mut world = world::World::new(seed, &plan, &mut nobody, false)?;
    world.run()?;
    Ok(world.auditor.entries().to_vec())
}

/// Runs given steps in a seed's world, perhaps sabotaged. `loud` prints the trace as it grows.
pub fn run_steps(seed: u64, steps: &[Step], saboteur: &mut dyn Saboteur, loud: bool) -> Run {
    let mut world = match world::World::new(seed, steps, saboteur, loud) {
        Ok(world) => world,
        Err(violation) => {
            return Run {
                hash: String::new(),
                entries: 0,
                jobs: 0,
                violation: Some(violation),
                tail: Vec::new(),
                counts: counts::Counts::default(),
            };
        }
    };
    let violation = world.run().err();
    let mut counts = world.counts.clone();
    counts.merge(&world.store.counts());
    counts.merge(&world.auditor.counts);
    Run {
        counts,
        hash: world.trace.hash(),
        entries: world.auditor.entries().len(),
        jobs: world.auditor.ledger.jobs.len(),
        violation,
        tail: world.trace.tail(),
    }
}
