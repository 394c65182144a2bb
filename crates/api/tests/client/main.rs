//! The client against prepared answers.

mod scripted;

use scripted::{Scripted, answer, events, ok, refused};
use serde_json::{Value, json};
use stagegate_api::client::{Client, ClientError, Workspace};
use stagegate_api::{
    AgentJobsQuery, CastVotes, ClaimJob, CreateVersion, ForecastQuery, JobReport, Problem,
    WhyChainQuery, WhyQuery,
};

fn workspace(server: &Scripted) -> Workspace {
    Client::new(&server.url, "sg_key").unwrap().workspace("w")
}

fn system(name: &str) -> Value {
    json!({"id": name, "workspaceId": "w", "name": name, "slug": name})
}

#[tokio::test]
async fn a_refusal_says_all_the_server_said() {
    let problem = Problem::new("version_exists", "there is a `v1` already")
        .at("tag")
        .hint("choose another tag");
    let body = serde_json::to_string(&problem).unwrap();
    let server = Scripted::start([answer("409 Conflict", "", &body)]).await;
    let version = CreateVersion::default();
    let error = workspace(&server)
        .create_version("d", &version)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        ("version_exists", Some(409))
    );
    assert!(!error.is_temporary());
    assert_eq!(
        error.to_string(),
        "tag: there is a `v1` already (version_exists); choose another tag"
    );
    assert!(server.requests()[0].head.contains("x-api-key: sg_key"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let server = Scripted::start([]).await;
    // The listener goes away at once; whether before or after the connection, no answer comes.
    let client = Client::new("http://127.0.0.1:1", "k").unwrap();
    let error = client.me().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no server at `http://127.0.0.1:1`; is `stagegate serve` running?"
    );
    assert!(error.is_temporary());
    assert_eq!(error.code(), "unreachable");
    let error = workspace(&server).get().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn something_else_than_stagegate_is_said_so() {
    let server = Scripted::start([
        answer("502 Bad Gateway", "", "<html>upstream</html>"),
        answer("200 OK", "", "<html>welcome</html>"),
        answer("301 Moved", "location: https://gate.example.org/\r\n", ""),
    ])
    .await;
    let client = Client::new(&server.url, "k").unwrap();
    let error = client.me().await.unwrap_err();
    assert!(
        error.is_temporary() && error.to_string().contains("upstream"),
        "{error}"
    );
    let error = client.me().await.unwrap_err();
    assert!(
        !error.is_temporary() && error.to_string().contains("welcome"),
        "{error}"
    );
    let error = client.me().await.unwrap_err();
    assert!(
        error.to_string().contains("https://gate.example.org/"),
        "{error}"
    );
}

#[tokio::test]
async fn only_what_was_not_carried_out_is_repeated() {
    let overloaded = || refused("overloaded", "retry-after: 0\r\n");
    let vote = CastVotes {
        environment_ids: vec!["e".to_owned()],
        status: "approved".to_owned(),
        reason: None,
    };
    let accepted = ok(&json!({"id": "v", "message": "ok"}));
    let server = Scripted::start([overloaded(), overloaded(), accepted]).await;
    let answered = workspace(&server).vote("v", &vote).await.unwrap();
    assert_eq!(answered.id, "v");
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.requests()[2].body, server.requests()[0].body);

    let server = Scripted::start([refused("storage_full", ""), overloaded()]).await;
    let error = workspace(&server).vote("v", &vote).await.unwrap_err();
    assert_eq!(error.code(), "storage_full");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let page = |offset: usize, names: &[&str]| {
        let items: Vec<Value> = names.iter().map(|name| system(name)).collect();
        ok(&json!({"items": items, "limit": 2, "offset": offset, "total": 3}))
    };
    let server = Scripted::start([page(0, &["a", "b"]), page(2, &["c"])]).await;
    let systems = workspace(&server).systems().all().await.unwrap();
    let names: Vec<&str> = systems.iter().map(|system| &*system.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/workspaces/w/systems?limit=1000&offset=0",
            "GET /api/v1/workspaces/w/systems?limit=1000&offset=2"
        ]
    );
    // A list that shrinks meanwhile ends all the same.
    let server = Scripted::start([page(0, &["a", "b"]), page(2, &[])]).await;
    assert_eq!(workspace(&server).systems().all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn events_come_once_each_across_lost_connections() {
    let event = |seq: u64| {
        let entry = json!({
            "workspace": "w", "seq": seq, "id": format!("e{seq}"), "time": "2026-01-31T09:00:00.000Z",
            "actor": {"kind": "system"}, "cause": {"kind": "timer"}, "semantics": 1, "facts": [],
        });
        format!("id: {seq}\nevent: entry\ndata: {entry}\n\n")
    };
    let half = event(7);
    let server = Scripted::start([
        events(&format!(
            ": hello\n\n{}{}{}",
            event(5),
            event(6),
            &half[..40]
        )),
        refused("overloaded", "retry-after: 0\r\n"),
        events(&format!(
            "event: other\ndata: x\n\n{}{}",
            event(6),
            event(7)
        )),
        refused("forbidden", ""),
    ])
    .await;
    let mut events = workspace(&server).events(4);
    for seq in 5..=7 {
        let event = events.next().await.unwrap();
        assert_eq!((event.seq, event.entry.seq), (seq, seq));
        assert_eq!(event.entry.id, format!("e{seq}"));
    }
    assert_eq!(events.after(), 7);
    let error = events.next().await.unwrap_err();
    assert_eq!(error.code(), "forbidden");
    let requests = server.requests();
    let froms: Vec<&str> = requests
        .iter()
        .flat_map(|request| request.head.lines())
        .filter_map(|line| line.strip_prefix("last-event-id: "))
        .collect();
    assert_eq!(froms, ["4", "6", "6", "7"]);
    assert!(
        requests[0].line.ends_with("/events?after=4"),
        "{}",
        requests[0].line
    );
}

#[tokio::test]
async fn requests_are_spelled_as_documented() {
    let job = json!({
        "id": "j", "releaseId": "r", "jobAgentId": "a", "jobAgentConfig": {}, "status": "queued",
        "metadata": {}, "createdAt": "t", "updatedAt": "t",
        "dispatchContext": {"jobAgent": {"id": "a", "name": "n", "type": "exec", "config": {}, "metadata": {}}, "jobAgentConfig": {"command": "x"}},
    });
    let page = json!({"items": [job], "limit": 1, "offset": 0, "total": 1});
    let accepted = json!({"id": "j", "message": "ok"});
    let server = Scripted::start([
        ok(&page),
        ok(&job),
        answer("202 Accepted", "", &accepted.to_string()),
        answer("200 OK", "content-type: text/yaml\r\n", "type: System\n"),
        answer("204 No Content", "", ""),
        refused("version_not_found", ""),
    ])
    .await;
    let workspace = workspace(&server);
    let query = AgentJobsQuery {
        status: Some("pending".to_owned()),
        wait: Some(20),
        runner: Some("eu 1".to_owned()),
        ..AgentJobsQuery::default()
    };
    let jobs = workspace.agent_jobs("a", &query).await.unwrap();
    assert_eq!(jobs.items[0].id, "j");
    let claim = ClaimJob {
        runner: Some("eu 1".to_owned()),
    };
    let claimed = workspace.claim_job("a", "j", &claim).await.unwrap();
    let context = claimed.dispatch_context.unwrap();
    assert_eq!(context.job_agent.kind, "exec");
    let report = JobReport {
        status: "successful".to_owned(),
        output_tail: Some("bye".to_owned()),
        ..JobReport::default()
    };
    workspace.report_job("j", &report).await.unwrap();
    assert_eq!(workspace.export().await.unwrap(), "type: System\n");
    workspace.revoke_key("k").await.unwrap();
    let query = WhyQuery {
        deployment: "web".to_owned(),
        environment: "prod".to_owned(),
        version: None,
        ..WhyQuery::default()
    };
    assert!(workspace.why(&query).await.is_err());
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/workspaces/w/job-agents/a/jobs?runner=eu+1&status=pending&wait=20",
            "POST /api/v1/workspaces/w/job-agents/a/jobs/j/claim",
            "PUT /api/v1/workspaces/w/jobs/j/status",
            "GET /api/v1/workspaces/w/export",
            "DELETE /api/v1/workspaces/w/keys/k",
            "GET /api/v1/workspaces/w/why?deployment=web&environment=prod",
        ]
    );
    let requests = server.requests();
    assert_eq!(requests[1].body, r#"{"runner":"eu 1"}"#);
    assert_eq!(
        requests[2].body,
        r#"{"status":"successful","outputTail":"bye"}"#
    );
}

#[tokio::test]
async fn questions_are_spelled_as_documented() {
    let server = Scripted::start([
        refused("version_not_found", ""),
        refused("job_not_found", ""),
        refused("version_not_found", ""),
    ])
    .await;
    let workspace = workspace(&server);
    let chain = WhyChainQuery {
        deployment: "web".to_owned(),
        version: Some("v 1".to_owned()),
        limit: None,
    };
    assert!(workspace.why_chain(&chain).await.is_err());
    assert!(workspace.job_why("j").await.is_err());
    let forecast = ForecastQuery {
        deployment: "web".to_owned(),
        version: None,
        approval_seconds: Some(60),
        job_seconds: None,
    };
    assert!(workspace.forecast(&forecast).await.is_err());
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/workspaces/w/why/chain?deployment=web&version=v+1",
            "GET /api/v1/workspaces/w/jobs/j/why",
            "GET /api/v1/workspaces/w/forecast?approvalSeconds=60&deployment=web",
        ]
    );
}
