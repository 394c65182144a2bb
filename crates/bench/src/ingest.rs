//! Row d: what CI and runners send, made durable, for as long as wanted.

use crate::Sizes;
use crate::connection::Connection;
use crate::figure::{Figure, Must, Unit, quantile};
use crate::served::{Served, WORKSPACE};
use crate::{bare, world};
use anyhow::{Result, ensure};
use stagegate_controller::Controller;
use stagegate_engine::LaneKey;
use stagegate_model::{Change, Deployment, DeploymentId, JobId, ResourceId, Role};
use stagegate_sim::fleet::{Fleet, fleet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Who sends at the same time.
const CONNECTIONS: usize = 64;
/// Targets of the deployment of which a connection tells.
const TARGETS: usize = 4;

/// Row d.
pub fn run(sizes: Sizes) -> Result<Vec<Figure>> {
    let size = sizes.largest(10_000);
    let mut fleet = fleet(size, 0, world::BEGINNING);
    let services = services(&mut fleet, CONNECTIONS);
    let served = Served::of(&fleet)?;
    let plan = Plan::of(&served, services)?;
    let spent = sizes.duration(20);
    let before = served.durable_seq()?;
    let sent = send(&plan, spent)?;
    let entries = entries_between(&served, before, served.durable_seq()?)?;
    let limit = {
        drop(served);
        bare::run(CONNECTIONS, spent, entries.body_bytes, sent.body_bytes())?
    };
    let mut figures = figures(&sent, size);
    let rate = Figure::new(
        "d",
        "reports and versions over HTTP, durable",
        size,
        sent.rate(),
        Unit::PerSecond,
    );
    let rate = rate.limit(limit.rate(), "a bare handler and one writer, group commit");
    figures.insert(0, rate.must(Must::ShareOfLimit(0.6)));
    Ok(figures)
}

fn figures(sent: &Sent, size: usize) -> Vec<Figure> {
    let seconds = |work: &str, spent| Figure::seconds("d", work, size, spent);
    let mut all = sent.spent(0.0, 1.0);
    let growth = {
        let first = quantile(&mut sent.spent(0.0, 0.1), 0.99).as_secs_f64();
        let last = quantile(&mut sent.spent(0.9, 1.0), 0.99).as_secs_f64();
        last / first.max(1e-9)
    };
    let growth = Figure::new(
        "d",
        "the same: 99th percentile of the last tenth over that of the first, in percent",
        size,
        growth * 100.0,
        Unit::Count,
    );
    vec![
        seconds("the same: median", quantile(&mut all, 0.5)),
        seconds("the same: 99th percentile", quantile(&mut all, 0.99)).must(Must::AtMost(0.025)),
        seconds("the same: the longest", quantile(&mut all, 1.0)),
        growth.must(Must::AtMost(150.0)),
    ]
}

/// Adds a deployment for each connection, on a few resources of the first environments, where nothing stands in the way.
pub fn services(fleet: &mut Fleet, count: usize) -> Vec<Service> {
    let near: Vec<(ResourceId, String)> = fleet
        .resources
        .iter()
        .filter(|it| {
            it.metadata
                .get("env")
                .is_some_and(|env| env != "production")
        })
        .filter_map(|it| Some((it.id, it.metadata.get("serial")?.clone())))
        .collect();
    let template = fleet.configuration.iter().find_map(|change| match change {
        Change::PutDeployment(it) => Some(it.clone()),
        _ => None,
    });
    let mut services = Vec::new();
    let Some(template) = template.filter(|_| near.len() >= TARGETS) else {
        return services;
    };
    for index in 0..count {
        let its = near.iter().cycle().skip(index * TARGETS).take(TARGETS);
        let serials: Vec<String> = its.map(|(_, serial)| format!("\"{serial}\"")).collect();
        let id = DeploymentId(Uuid::from_u128(0x5e << 64 | index as u128));
        let deployment = Deployment {
            id,
            name: format!("service-{index}"),
            slug: format!("service-{index}"),
            resource_selector: format!("resource.metadata[\"serial\"] in [{}]", serials.join(", ")),
            ..template.clone()
        };
        fleet.configuration.push(Change::PutDeployment(deployment));
        services.push(Service {
            deployment: id,
            lanes: fleet
                .environments
                .iter()
                .map(|environment| LaneKey {
                    deployment: id,
                    environment: *environment,
                })
                .collect(),
        });
    }
    services
}

/// A deployment of which one connection tells.
#[derive(Clone)]
pub struct Service {
    pub deployment: DeploymentId,
    lanes: Arc<[LaneKey]>,
}

/// What is needed to send.
pub struct Plan {
    address: SocketAddr,
    controller: Controller,
    ci: String,
    agent: String,
    services: Vec<Service>,
}

impl Plan {
    pub fn of(served: &Served, services: Vec<Service>) -> Result<Self> {
        ensure!(!services.is_empty(), "the fleet is too small for services");
        Ok(Self {
            address: served.address,
            controller: served.controller.clone(),
            ci: served.secret(Role::Ci)?.to_owned(),
            agent: served.secret(Role::Agent)?.to_owned(),
            services,
        })
    }
}

/// What was sent: when each answer came, counted from the beginning, and how long it took.
#[derive(Default)]
pub struct Sent {
    answers: Vec<(Duration, Duration)>,
    bytes: usize,
    pub elapsed: Duration,
}

impl Sent {
    pub fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Bytes of a request's body.
    fn body_bytes(&self) -> usize {
        self.bytes / self.answers.len().max(1)
    }

    pub fn add(&mut self, began: Instant, asked: Instant, bytes: usize) {
        self.answers.push((began.elapsed(), asked.elapsed()));
        self.bytes += bytes;
    }

    pub fn join(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.bytes += other.bytes;
    }

    /// How long those answers took that came in this part of the time.
    fn spent(&self, from: f64, to: f64) -> Vec<Duration> {
        let (from, to) = (self.elapsed.mul_f64(from), self.elapsed.mul_f64(to));
        let within = self
            .answers
            .iter()
            .filter(|(at, _)| (from..=to).contains(at));
        within.map(|(_, spent)| *spent).collect()
    }
}

/// Sends from a thread of its own for that long.
pub fn send(plan: &Plan, spent: Duration) -> Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let services = plan.services.iter().enumerate();
        let senders: Vec<_> = services
            .map(|(index, service)| {
                let sender = Sender {
                    index,
                    service: service.clone(),
                    controller: plan.controller.clone(),
                    ci: plan.ci.clone(),
                    agent: plan.agent.clone(),
                    began,
                    until: began + spent,
                    sent: Sent::default(),
                };
                tokio::spawn(sender.run(plan.address))
            })
            .collect();
        let mut sent = Sent::default();
        for sender in senders {
            sent.join(sender.await??);
        }
        sent.elapsed = began.elapsed();
        Ok(sent)
    })
}

struct Sender {
    index: usize,
    service: Service,
    controller: Controller,
    ci: String,
    agent: String,
    began: Instant,
    until: Instant,
    sent: Sent,
}

impl Sender {
    async fn run(mut self, address: SocketAddr) -> Result<Sent> {
        let mut connection = Connection::open(address).await?;
        let versions = format!(
            "/api/v1/workspaces/{WORKSPACE}/deployments/{}/versions",
            self.service.deployment
        );
        let key = self.ci.clone();
        for round in 0.. {
            if Instant::now() >= self.until {
                break;
            }
            let tag = format!("v{round}");
            let body = format!(
                r#"{{"tag":"{tag}","status":"ready","config":{{"image":"registry.example/service-{}:{tag}"}},"metadata":{{"git/commit":"{:040x}"}}}}"#,
                self.index, round
            );
            self.post(&mut connection, "POST", &versions, &key, &body)
                .await?;
            self.work_off(&mut connection).await?;
        }
        Ok(self.sent)
    }

    /// Reports on every job that the version made.
    async fn work_off(&mut self, connection: &mut Connection) -> Result<()> {
        // A runner hears of its jobs by a long poll; here that is left out, as it is not what is measured.
        let lanes = Arc::clone(&self.service.lanes);
        let read = self.controller.read(WORKSPACE, move |engine| {
            let targets = |lane| engine.state().lane(lane).into_iter();
            let targets = lanes.iter().flat_map(|lane| targets(*lane));
            let targets = targets.flat_map(|lane| lane.targets.values());
            targets.filter_map(|it| it.active()).collect::<Vec<JobId>>()
        });
        let jobs = read.await?;
        let key = self.agent.clone();
        for job in jobs {
            let path = format!("/api/v1/workspaces/{WORKSPACE}/jobs/{job}/status");
            let link = r#"{"status":"inProgress","links":{"log":"https://ci.example/runs/4711"}}"#;
            for body in [
                r#"{"status":"inProgress","message":"started"}"#,
                link,
                r#"{"status":"successful","message":"deployed and healthy"}"#,
            ] {
                if Instant::now() >= self.until {
                    return Ok(());
                }
                self.post(connection, "PUT", &path, &key, body).await?;
            }
        }
        Ok(())
    }

    async fn post(
        &mut self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Result<()> {
        let asked = Instant::now();
        let answer = connection.send(method, path, key, body).await?;
        let text = || String::from_utf8_lossy(connection.body(answer)).into_owned();
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            text()
        );
        self.sent.add(self.began, asked, body.len());
        Ok(())
    }
}

/// What was written.
struct Entries {
    /// Bytes of one entry's body.
    body_bytes: usize,
}

fn entries_between(served: &Served, after: u64, head: u64) -> Result<Entries> {
    const SAMPLE: usize = 1000;
    let rows = served.controller.store().read(WORKSPACE, after, SAMPLE)?;
    ensure!(!rows.is_empty() && head > after, "nothing was written");
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    Ok(Entries {
        body_bytes: bytes / rows.len(),
    })
}
