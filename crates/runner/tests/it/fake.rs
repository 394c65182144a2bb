//! A server as small as a runner can tell: jobs of two agents, claims, reports. It can go away and come back
//! with what it knew, and it can fail on purpose.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::json;
use stagegate_api::{
    Accepted, AgentJobsQuery, AppendOutput, ClaimJob, Deployment, DispatchContext, Job, JobAgent,
    JobCancel, JobHeartbeat, JobHeartbeatAnswer, JobLimits, JobReport, LIMIT_MAX, OutputEnd, Page,
    Problem,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Runtime;

pub const KEY: &str = "sg_test";

/// What the server knows, and how it should fail.
#[derive(Default)]
pub struct Known {
    pub jobs: BTreeMap<String, Job>,
    pub reports: Vec<(String, JobReport)>,
    pub claims: Vec<(String, String)>,
    /// How many heartbeats were answered well.
    pub heartbeats: usize,
    /// How many the server has held, or holds.
    pub heartbeats_held: usize,
    /// Live output as it was put together, and the pieces that brought something new.
    pub output: BTreeMap<String, String>,
    pub pieces: Vec<AppendOutput>,
    /// So many claims take effect and are answered with an error.
    pub claims_unanswered: usize,
    /// So many reports of an end are answered with an error.
    pub reports_failing: usize,
}

impl Known {
    pub fn ends(&self, id: &str) -> Vec<&JobReport> {
        self.reports
            .iter()
            .filter(|(job, report)| job == id && report.status != "inProgress")
            .map(|(_, report)| report)
            .collect()
    }
}

type Shared = Arc<Mutex<Known>>;

pub struct FakeServer {
    address: SocketAddr,
    known: Shared,
    runtime: Option<Runtime>,
}

impl FakeServer {
    pub fn start() -> Self {
        let mut server = Self {
            address: ([127, 0, 0, 1], 0).into(),
            known: Shared::default(),
            runtime: None,
        };
        server.go();
        server
    }

    /// Listens, at the same address as before if there was one.
    pub fn go(&mut self) {
        let runtime = Runtime::new().unwrap();
        // The port may take a moment to be free again.
        let listener = super::eventually("the port is free", || {
            std::net::TcpListener::bind(self.address).ok()
        });
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&self.known));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Breaks off every connection and listens no more.
    pub fn vanish(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Adds a pending job that runs the shell line.
    pub fn add_job(&self, id: &str, line: &str) {
        self.add(id, json!({"command": line}));
    }

    /// Adds a pending job with that configuration.
    pub fn add(&self, id: &str, config: serde_json::Value) {
        let job = Job {
            id: id.to_owned(),
            job_agent_id: "agent-1".to_owned(),
            job_agent_config: config,
            status: "pending".to_owned(),
            epoch: Some(0),
            ..Job::default()
        };
        self.known().jobs.insert(id.to_owned(), job);
        self.set_limits(id, 30, 60, "fail");
    }

    /// What happens to a job whose runner was lost: someone else may take it.
    pub fn requeue(&self, id: &str) {
        let mut known = self.known();
        let job = known.jobs.get_mut(id).unwrap();
        job.status = "pending".to_owned();
        job.runner = None;
        job.epoch = job.epoch.map(|epoch| epoch + 1);
    }

    pub fn set_limits(&self, id: &str, lease_seconds: u64, grace_seconds: u64, then: &str) {
        self.known().jobs.get_mut(id).unwrap().limits = Some(JobLimits {
            lease_seconds,
            grace_seconds,
            on_lost_lease: then.to_owned(),
            ..JobLimits::default()
        });
    }

    pub fn ask_cancel(&self, id: &str) {
        self.known().jobs.get_mut(id).unwrap().cancel = Some(JobCancel {
            cause: "person".to_owned(),
            reason: "wrong host".to_owned(),
            ..JobCancel::default()
        });
    }

    pub fn status(&self, id: &str) -> String {
        self.known().jobs[id].status.clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.vanish();
    }
}

fn router(known: Shared) -> axum::Router {
    let workspace = axum::Router::new()
        .route("/job-agents", get(agents))
        .route("/job-agents/{agent}/jobs", get(agent_jobs))
        .route("/job-agents/{agent}/jobs/{job}/claim", post(claim))
        .route("/jobs/{job}", get(job))
        .route("/jobs/{job}/status", put(report))
        .route("/jobs/{job}/heartbeat", post(heartbeat))
        .route("/jobs/{job}/output", post(output))
        .layer(axum::middleware::from_fn(keyed))
        .with_state(known);
    axum::Router::new().nest("/api/v1/workspaces/w", workspace)
}

fn problem(code: &str) -> Response {
    let problem = Problem::new(code, format!("refused with {code}"));
    let status = StatusCode::from_u16(problem.status).unwrap();
    (status, Json(problem)).into_response()
}

async fn keyed(
    headers: HeaderMap,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    if headers.get("X-API-Key").is_none_or(|key| key != KEY) {
        return problem("unauthorized");
    }
    next.run(request).await
}

async fn agents() -> Json<Page<JobAgent>> {
    let agent = |id: &str, name: &str, kind: &str| JobAgent {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        ..JobAgent::default()
    };
    let all = [
        agent("agent-1", "shell", "exec"),
        agent("agent-2", "cloud", "webhook"),
    ];
    Json(Page::cut(all, LIMIT_MAX, 0))
}

async fn agent_jobs(
    State(known): State<Shared>,
    Path(agent): Path<String>,
    Query(query): Query<AgentJobsQuery>,
) -> Json<Page<Job>> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(query.wait.unwrap_or(0));
    loop {
        let fitting: Vec<Job> = known
            .lock()
            .unwrap()
            .jobs
            .values()
            .filter(|job| job.job_agent_id == agent)
            .filter(|job| query.status.as_ref().is_none_or(|s| *s == job.status))
            .filter(|job| job.status == "pending" || job.runner == query.runner)
            .cloned()
            .collect();
        if !fitting.is_empty() || tokio::time::Instant::now() >= deadline {
            let limit = query.limit.unwrap_or(LIMIT_MAX);
            return Json(Page::cut(fitting, limit, query.offset.unwrap_or(0)));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn claim(
    State(known): State<Shared>,
    Path((_, id)): Path<(String, String)>,
    Json(body): Json<ClaimJob>,
) -> Response {
    let mut known = known.lock().unwrap();
    let runner = body.runner.unwrap_or_default();
    known.claims.push((id.clone(), runner.clone()));
    let Some(job) = known.jobs.get_mut(&id) else {
        return problem("job_not_found");
    };
    if job.has_ended() {
        return problem("job_ended");
    }
    if job.runner.as_ref().is_some_and(|holder| *holder != runner) {
        return problem("job_claimed");
    }
    if job.runner.is_none() {
        job.epoch = job.epoch.map(|epoch| epoch + 1);
    }
    job.runner = Some(runner);
    if job.status == "pending" {
        job.status = "queued".to_owned();
    }
    let mut answer = job.clone();
    answer.dispatch_context = Some(DispatchContext {
        job_agent_config: job.job_agent_config.clone(),
        deployment: Some(Deployment {
            slug: "web".to_owned(),
            ..Deployment::default()
        }),
        epoch: job.epoch,
        ..DispatchContext::default()
    });
    if known.claims_unanswered > 0 {
        known.claims_unanswered -= 1;
        return problem("storage_io");
    }
    Json(answer).into_response()
}

async fn job(State(known): State<Shared>, Path(id): Path<String>) -> Response {
    match known.lock().unwrap().jobs.get(&id) {
        Some(job) => Json(job).into_response(),
        None => problem("job_not_found"),
    }
}

async fn report(
    State(known): State<Shared>,
    Path(id): Path<String>,
    Json(report): Json<JobReport>,
) -> Response {
    let mut known = known.lock().unwrap();
    if report.status != "inProgress" && known.reports_failing > 0 {
        known.reports_failing -= 1;
        return problem("internal");
    }
    known.reports.push((id.clone(), report.clone()));
    let Some(job) = known.jobs.get_mut(&id) else {
        return problem("job_not_found");
    };
    if !job.has_ended() && (job.runner != report.runner || job.epoch != report.epoch) {
        return problem("lease_lost");
    }
    // Late and repeated reports are accepted and change nothing.
    if !job.has_ended() {
        job.status = report.status;
        job.message = report.message;
        job.output_tail = report.output_tail;
    }
    let accepted = Accepted::new(id, "job status updated");
    (StatusCode::ACCEPTED, Json(accepted)).into_response()
}

/// Why a call of the job's holder is refused, if it is.
fn refused(job: Option<&Job>, runner: &str, epoch: u64) -> Option<&'static str> {
    match job {
        None => Some("job_not_found"),
        Some(job) if job.has_ended() => Some("job_ended"),
        Some(job) if job.runner.as_deref() != Some(runner) || job.epoch != Some(epoch) => {
            Some("lease_lost")
        }
        Some(_) => None,
    }
}

async fn heartbeat(
    State(known): State<Shared>,
    Path(id): Path<String>,
    Json(body): Json<JobHeartbeat>,
) -> Response {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(body.wait.unwrap_or(0));
    known.lock().unwrap().heartbeats_held += usize::from(body.wait.is_some());
    loop {
        {
            let mut known = known.lock().unwrap();
            if let Some(code) = refused(known.jobs.get(&id), &body.runner, body.epoch) {
                return problem(code);
            }
            let job = known.jobs[&id].clone();
            if job.cancel.is_some() || tokio::time::Instant::now() >= deadline {
                known.heartbeats += 1;
                return Json(JobHeartbeatAnswer {
                    status: job.status,
                    lease_seconds: job.limits.unwrap_or_default().lease_seconds,
                    cancel: job.cancel,
                })
                .into_response();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn output(
    State(known): State<Shared>,
    Path(id): Path<String>,
    Json(body): Json<AppendOutput>,
) -> Response {
    let mut known = known.lock().unwrap();
    if let Some(code) = refused(known.jobs.get(&id), &body.runner, body.epoch) {
        return problem(code);
    }
    let have = known.output.entry(id).or_default();
    let offset = usize::try_from(body.offset).unwrap();
    // Gaps are filled with dots, so that offsets are places in the text.
    if have.len() < offset && !body.text.is_empty() {
        *have += &".".repeat(offset - have.len());
    }
    let known_part = (have.len() - offset.min(have.len())).min(body.text.len());
    have.push_str(&body.text[known_part..]);
    let end = have.len() as u64;
    if known_part < body.text.len() {
        known.pieces.push(body);
    }
    Json(OutputEnd { end }).into_response()
}
