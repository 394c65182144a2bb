//! What people and programs ask of Stagegate: a workspace to begin with, then changes, versions and votes.

mod acts;
mod orders;
mod rules;
mod setup;
mod variables;

pub use acts::command;
pub use setup::{People, setup};

use std::collections::BTreeMap;
use uuid::Uuid;

/// Makes ids: UUIDv7 in form, counted in content. Names have streams of their own, so that a step left out does not
/// change the ids of the others.
#[derive(Default)]
pub struct Ids {
    streams: BTreeMap<u64, u64>,
}

impl Ids {
    /// The next id of a stream, made at a time.
    pub fn next(&mut self, millis: i64, stream: u64) -> Uuid {
        let count = self.streams.entry(stream).or_default();
        *count += 1;
        let millis = u128::try_from(millis.max(0)).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
        let tail = (u128::from(stream) << 24 ^ u128::from(*count)) & 0x3FFF_FFFF_FFFF_FFFF;
        Uuid::from_u128(millis << 80 | 7 << 76 | 2 << 62 | tail)
    }
}
