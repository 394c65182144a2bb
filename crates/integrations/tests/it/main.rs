//! What touches the outside world, against the outside world: real sockets, real processes.

mod exec;
mod exec_durability;
mod exec_service;
mod http_client;
mod metrics;
mod notify;
mod sample_service;
mod support;
