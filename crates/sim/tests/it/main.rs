//! Seeds that must hold, and mutants that must be caught.

mod mutants;
mod seeds;
