//! The sample service, as a program.

use crate::support::{free_port, until};
use serde_json::{Value, json};
use std::process::{Child, Command, Output, Stdio};

struct Sample {
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(port: u16, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagegate-sample-service"));
    command
        .args(["--port", &port.to_string(), "--version", "v7"])
        .args(more)
        .env("STAGEGATE_PROMOTION_ID", "promotion-9")
        .stdout(Stdio::null());
    command
}

impl Sample {
    async fn start(more: &[&str]) -> Self {
        let port = free_port().await;
        let sample = Self {
            child: command(port, more).spawn().unwrap(),
            port,
            client: stagegate_integrations::http::client().unwrap(),
        };
        until("the sample service listens", async || {
            sample
                .client
                .get(sample.url("/metrics"))
                .send()
                .await
                .is_ok()
        })
        .await;
        sample
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn switch(&self, body: &str) -> u16 {
        let request = self.client.post(self.url("/admin/health"));
        request
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

#[tokio::test]
async fn it_says_what_it_is_and_who_put_it_there() {
    let sample = Sample::start(&[]).await;
    let (status, about) = sample.get("/").await;
    assert_eq!(status, 200);
    assert_eq!(about["name"], "sample-service");
    assert_eq!(about["version"], "v7");
    assert_eq!(about["promotionId"], "promotion-9");
    assert_eq!(
        sample.get("/version").await,
        (200, json!({"version": "v7"}))
    );
    assert_eq!(sample.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn its_health_can_be_switched() {
    let sample = Sample::start(&["--unhealthy"]).await;
    assert_eq!(sample.get("/health").await.0, 500);
    assert_eq!(sample.switch(r#"{"healthy":true}"#).await, 200);
    let (status, health) = sample.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(sample.switch(r#"{"healthy":false}"#).await, 200);
    assert_eq!(sample.get("/health").await.0, 500);
    assert_eq!(sample.switch("nonsense").await, 400);
}

#[tokio::test]
async fn it_turns_unhealthy_by_itself() {
    let sample = Sample::start(&["--unhealthy-after-seconds", "0"]).await;
    assert_eq!(sample.get("/health").await.0, 500);
    assert_eq!(sample.switch(r#"{"healthy":true}"#).await, 200);
    assert_eq!(sample.get("/health").await.0, 200);
}

#[tokio::test]
async fn errors_come_at_the_given_rate_and_are_counted() {
    let sample = Sample::start(&["--error-rate", "0.25", "--latency-ms", "1"]).await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += u32::from(sample.get("/").await.0 == 500);
    }
    assert_eq!(failed, 5);
    let (_, metrics) = sample.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "requests_total{version=\"v7\"} 20",
        "errors_total{version=\"v7\"} 5",
        "request_duration_seconds_count{version=\"v7\"} 20",
        "request_duration_seconds_bucket{version=\"v7\",le=\"+Inf\"} 20",
        "healthy{version=\"v7\"} 1",
    ] {
        assert!(
            metrics.lines().any(|have| have == line),
            "{line} in {metrics}"
        );
    }
}

async fn ended(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).output());
    run.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_taken_port_is_said_clearly() {
    let sample = Sample::start(&[]).await;
    let output = ended(command(sample.port, &[])).await;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains(&format!("port {} on `127.0.0.1` is taken", sample.port)),
        "{error}"
    );
}

#[tokio::test]
async fn it_crashes_when_told_and_refuses_what_it_does_not_know() {
    let crashed = ended(command(0, &["--crash-after-seconds", "0"])).await;
    assert_eq!(crashed.status.code(), Some(1));
    let refused = ended(command(0, &["--nope", "1"])).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`--nope`"));
}
