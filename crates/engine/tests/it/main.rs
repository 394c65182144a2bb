//! The engine's behaviour, told as stories over a small workspace with a fake clock.

mod approvals;
mod book;
mod configuration;
mod consequences;
mod dependencies;
mod examples;
mod fan_out;
mod invariants;
mod jobs;
mod leases;
mod lint;
mod notifiers;
mod oracle;
mod people;
mod progression;
mod properties;
mod relive;
mod selecting;
mod sequences;
mod targets;
mod undone;
mod verifications;
mod versions;
mod world;
mod year;
