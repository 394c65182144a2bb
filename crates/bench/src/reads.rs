//! Row i: what people look at, while runners and CI send.

use crate::Sizes;
use crate::connection::Connection;
use crate::figure::{Figure, Must, quantile};
use crate::ingest::{self, Plan};
use crate::served::{Served, WORKSPACE};
use crate::world::BEGINNING;
use anyhow::{Context as _, Result, ensure};
use stagegate_engine::LaneKey;
use stagegate_model::{Command, Role};
use stagegate_sim::fleet::{fleet, version};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Who sends meanwhile.
const SENDERS: usize = 8;

pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(1_000_000);
    let mut fleet = fleet(size, 0, BEGINNING);
    let services = ingest::services(&mut fleet, SENDERS);
    let served = Served::of(&fleet)?;
    let id = Uuid::now_v7().into();
    served.submit(Command::CreateVersion(version(id, fleet.everywhere, "v1")))?;
    let (everywhere, environments) = (fleet.everywhere, fleet.environments.clone());
    let production = *environments.last().context("a fleet has environments")?;
    drop(fleet);
    served.settled(size)?;
    let plan = Plan::of(&served, services)?;
    let key = served.secret(Role::Viewer)?.to_owned();
    let lane = LaneKey {
        deployment: everywhere,
        environment: production,
    };
    let read = served.controller.read(WORKSPACE, move |engine| {
        engine.state().lane(lane)?.open.first().copied()
    });
    let promotion = served.block_on(read)?.context("no promotion is open")?;
    let below = format!("/api/v1/workspaces/{WORKSPACE}");
    let looks = [
        ("a list page", format!("{below}/resources?limit=50")),
        (
            "`why`",
            format!("{below}/why?deployment=node-agent&environment=production"),
        ),
        (
            "a promotion's page",
            format!("{below}/promotions/{promotion}"),
        ),
        (
            "an audit query",
            format!("{below}/audit?environment=development&before=1000000000&limit=50"),
        ),
    ];
    let each = sizes.duration(20) / 4;
    let sending = std::thread::spawn(move || ingest::send(&plan, each * 4 + each / 4));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = served.address;
    let mut figures = runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let mut figures = Vec::new();
        for (work, path) in looks {
            let mut spent = look(&mut connection, &path, &key, each).await?;
            for (share, of) in [(0.5, "median"), (0.99, "99th percentile")] {
                let work = format!("{work} while others send: {of}");
                let figure = Figure::seconds("i", work, size, quantile(&mut spent, share));
                let must = Must::AtMost(0.020);
                figures.push(if share > 0.9 {
                    figure.must(must)
                } else {
                    figure
                });
            }
        }
        anyhow::Ok(figures)
    })?;
    let sent = sending.join().ok().context("the senders failed")??;
    let rate = Figure::new(
        "i",
        "reports and versions meanwhile",
        size,
        sent.rate(),
        crate::figure::Unit::PerSecond,
    );
    figures.push(rate);
    Ok(figures)
}

async fn look(
    connection: &mut Connection,
    path: &str,
    key: &str,
    during: Duration,
) -> Result<Vec<Duration>> {
    let began = Instant::now();
    let mut spent = Vec::new();
    while began.elapsed() < during {
        let asked = Instant::now();
        let answer = connection.send("GET", path, key, "").await?;
        spent.push(asked.elapsed());
        let text = || String::from_utf8_lossy(connection.body(answer)).into_owned();
        ensure!(
            answer.status == 200,
            "GET {path}: {} {}",
            answer.status,
            text()
        );
    }
    Ok(spent)
}
