//! Documents as people write them, against a workspace in memory.

mod arbitrary;
mod example;
mod export;
mod job_limits;
mod links;
mod lint;
mod locate;
mod notifiers;
mod policies;
mod refusals;
mod shapes;
mod syntax;
mod variables;
mod workspace;
