//! Row j: many gates that open at the same second.

use crate::figure::{Figure, Must};
use crate::world::{BEGINNING, Durable};
use crate::{Sizes, limits};
use anyhow::{Result, ensure};
use serde_json::json;
use stagegate_model::{Change, Command};
use stagegate_sim::fleet::{fleet, version};

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(100_000);
    let mut fleet = fleet(size, 0, BEGINNING);
    // Opens at nine; the fleet is made at midnight.
    for change in &mut fleet.configuration {
        if let Change::PutPolicy(policy) = change
            && policy.id == fleet.upkeep.id
        {
            policy.rules[0].spec = json!({"rrule": "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "durationMinutes": 60, "timezone": "UTC"});
        }
    }
    let mut durable = Durable::of(&fleet)?;
    let id = durable.id().into();
    durable.run(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
    ensure!(
        durable.shard.engine().state().jobs().is_empty(),
        "the window was open"
    );
    let written = durable.wait_until(BEGINNING.plus_seconds(9 * 3600))?;
    let jobs = durable.shard.engine().state().jobs().len();
    ensure!(jobs == size, "{jobs} jobs for {size} targets");
    let limit = limits::write(&written.bodies)?;
    Ok(vec![
        Figure::seconds(
            "j",
            "a window opens for every target: settled and durable",
            size,
            written.spent,
        )
        .limit(
            limit.as_secs_f64(),
            "serialise, hash and commit the same entries",
        )
        .must(Must::AtMost(1.0)),
    ])
}
