//! The routes and the pages, driven through the real router over a real controller and a real database.

mod access;
mod apply;
mod configuration;
mod delivery;
mod departures;
mod dependencies;
mod events;
mod forecast;
mod job_runs;
mod large;
mod limits;
mod log;
mod notified;
mod orders;
mod pages;
mod people;
mod people_and_time;
mod serving;
mod simulate;
mod variables;
mod why;
mod world;
