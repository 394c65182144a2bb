//! The real binary against a real server of its own, on a port that the system chooses.

mod answers;
mod arguments;
mod audit;
mod browser;
mod delivery;
mod documents;
mod harness;
mod jobs;
mod lint;
mod notifiers;
mod orders;
mod people;
mod people_and_time;
mod start;
mod story;
mod why;
