//! The shell over the real store: durability, recovery, and what is done to the outside world.

mod durability;
mod leases;
mod measuring;
mod notify;
mod resting;
mod world;
