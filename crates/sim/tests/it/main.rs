//! Seeds that must hold, and mutants that must be caught.

mod acts;
mod mutants;
mod relive;
mod seeds;
mod why;
