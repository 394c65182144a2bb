//! Seeds that must hold, and mutants that must be caught.

mod mutants;
mod relive;
mod seeds;
