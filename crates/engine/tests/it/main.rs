//! The engine's behaviour, told as stories over a small workspace with a fake clock.

mod approvals;
mod book;
mod chain;
mod configuration;
mod dependencies;
mod examples;
mod fan_out;
mod forecast;
mod invariants;
mod jobs;
mod leases;
mod lint;
mod notifiers;
mod oracle;
mod past;
mod people;
mod progression;
mod properties;
mod selecting;
mod sequences;
mod targets;
mod undone;
mod verifications;
mod versions;
mod world;
