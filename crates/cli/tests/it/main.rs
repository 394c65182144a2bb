//! The real binary against a real server of its own, on a port that the system chooses.

mod answers;
mod arguments;
mod audit;
mod browser;
mod delivery;
mod documents;
mod harness;
mod jobs;
mod notifiers;
mod orders;
mod people;
mod start;
mod story;
