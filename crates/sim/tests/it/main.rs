//! Seeds that must hold, and mutants that must be caught.

mod acts;
mod mutants;
mod seeds;
mod why;
