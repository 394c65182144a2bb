//! A server as small as a runner can tell: jobs of two agents, claims, reports. It can go away and come back
//! with what it knew, and it can fail on purpose.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::json;
use stagegate_api::{
    Accepted, AgentJobsQuery, ClaimJob, Deployment, DispatchContext, Job, JobAgent, JobReport,
    LIMIT_MAX, Page, Problem,
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
            ..Job::default()
        };
        self.known().jobs.insert(id.to_owned(), job);
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
        epoch: Some(1),
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
    if job.runner != report.runner {
        return problem("job_claimed");
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
