//! What touches the outside world: metric providers ([`metrics`]), job agents ([`agents`]), notifiers
//! ([`notify`]) and the small service the demo deploys ([`sample_service`]), over one HTTP client ([`http`]).
//!
//! One folder is one kind, and one line in its registry makes it known. Nothing here decides
//! anything: what is done was ordered by a durable fact, and what came of it goes back as a command.

pub mod agents;
pub mod config;
pub mod duration;
pub mod http;
pub mod metrics;
pub mod notify;
pub mod redact;
pub mod sample_service;
