//! Metric providers against real servers.

use crate::support::{PATIENCE, Server, answer, free_port};
use serde_json::{Value, json};
use stagegate_integrations::metrics::{MeasureContext, MeasureError, Measurer};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

fn context() -> MeasureContext {
    MeasureContext {
        promotion_id: "promotion-1".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        baggage: String::new(),
        deadline: PATIENCE,
    }
}

async fn measure(config: Value) -> Result<Value, MeasureError> {
    Measurer::new().unwrap().measure(&config, &context()).await
}

#[tokio::test]
async fn a_result_holds_status_headers_body_and_json() {
    let server = Server::start(answer(
        "200 OK",
        "X-One: 1\r\nx-one: 2\r\n",
        r#"{"rate":0.01}"#,
    ))
    .await;
    let result = measure(json!({
        "type": "http", "url": server.url("/m?a=b"), "method": "POST",
        "headers": {"X-Api": "k"}, "body": "question"
    }))
    .await
    .unwrap();
    assert_eq!(result["ok"], true);
    assert_eq!(result["statusCode"], 200);
    assert_eq!(result["headers"]["x-one"], "1, 2");
    assert_eq!(result["body"], r#"{"rate":0.01}"#);
    assert_eq!(result["json"]["rate"], 0.01);
    assert!(result["durationMs"].is_u64());

    let request = &server.requests()[0];
    assert!(request.starts_with("POST /m?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nquestion"), "{request}");
    assert!(request.contains("x-api: k\r\n"), "{request}");
    assert!(
        request
            .contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"),
        "{request}"
    );
    assert!(
        request.contains("baggage: stagegate.promotion=promotion-1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_status_other_than_2xx_is_a_result() {
    let server = Server::start(answer("503 Service Unavailable", "", "no json")).await;
    let result = measure(json!({"type": "http", "url": server.url("/")}))
        .await
        .unwrap();
    assert_eq!(
        (&result["ok"], &result["statusCode"]),
        (&json!(false), &json!(503))
    );
    assert_eq!(
        (&result["json"], &result["body"]),
        (&Value::Null, &json!("no json"))
    );
}

#[tokio::test]
async fn what_prevents_an_answer_is_an_error_with_a_code() {
    let port = free_port().await;
    let refused = measure(
        json!({"type": "http", "url": format!("http://127.0.0.1:{port}/x?token=hunter22")}),
    )
    .await
    .unwrap_err();
    assert_eq!(refused.code, "connection_refused");
    assert!(
        refused
            .message
            .contains(&format!("`http://127.0.0.1:{port}/x?…`")),
        "{refused}"
    );
    assert!(!refused.message.contains("hunter22"), "{refused}");

    let unknown = measure(json!({"type": "http", "url": "http://no-such-host.invalid/"}))
        .await
        .unwrap_err();
    assert_eq!(unknown.code, "dns_failed", "{unknown}");

    let silent = Server::start(Vec::new()).await;
    let late = measure(json!({"type": "http", "url": silent.url("/"), "timeout": "100ms"}))
        .await
        .unwrap_err();
    assert_eq!(late.code, "timeout");
    assert!(late.message.contains("100ms"), "{late}");

    let garbled = Server::start("this is not HTTP\r\n\r\n").await;
    let failed = measure(json!({"type": "http", "url": garbled.url("/")}))
        .await
        .unwrap_err();
    assert_eq!(failed.code, "http_failed", "{failed}");

    let plain = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("https://127.0.0.1:{}/", plain.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        let _ = stream
            .write_all(b"this is not TLS, whatever was said")
            .await;
        std::future::pending::<()>().await;
    });
    let tls = measure(json!({"type": "http", "url": url}))
        .await
        .unwrap_err();
    assert_eq!(tls.code, "tls_failed", "{tls}");
}

#[tokio::test]
async fn the_deadline_bounds_whatever_is_configured() {
    let silent = Server::start(Vec::new()).await;
    let hurried = MeasureContext {
        deadline: Duration::from_millis(100),
        ..context()
    };
    let measurer = Measurer::new().unwrap();
    for config in [
        json!({"type": "http", "url": silent.url("/"), "timeout": "1h"}),
        json!({"type": "sleep", "durationSeconds": 3600}),
    ] {
        let error = measurer.measure(&config, &hurried).await.unwrap_err();
        assert_eq!(error.code, "timeout", "{config}");
    }
}

#[tokio::test]
async fn a_body_is_cut_while_it_is_read() {
    // Announced as endless: reading it to its end would never end.
    let mut response = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n[\"".to_vec();
    response.extend(std::iter::repeat_n(b'x', 200 * 1024));
    let server = Server::start(response).await;
    let result = measure(json!({"type": "http", "url": server.url("/")}))
        .await
        .unwrap();
    assert_eq!(result["body"].as_str().unwrap().len(), 64 * 1024);
    assert_eq!(
        (&result["bodyTruncated"], &result["json"]),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn secrets_appear_neither_in_results_nor_in_errors() {
    let echo = r#"{"you sent":"Bearer hunter22hunter22"}"#;
    let server = Server::start(answer("200 OK", "Set-Cookie: id=hunter33\r\n", echo)).await;
    let config = |url: String| json!({"type": "http", "url": url, "headers": {"Authorization": "Bearer hunter22hunter22"}});
    let result = measure(config(server.url("/"))).await.unwrap().to_string();
    assert!(server.requests()[0].contains("Bearer hunter22hunter22"));
    assert!(!result.contains("hunter"), "{result}");
    assert!(result.contains("[redacted]"), "{result}");

    let nowhere = format!("http://joe:hunter22@127.0.0.1:{}/", free_port().await);
    let error = measure(config(nowhere)).await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );

    let wrong = json!({"type": "http", "url": "http://x", "headers": "Bearer hunter22hunter22"});
    let error = measure(wrong).await.unwrap_err();
    assert_eq!(error.code, "invalid_config");
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );
}

#[tokio::test]
async fn sleep_says_how_long_it_slept() {
    let result = measure(json!({"type": "sleep", "durationSeconds": 1})).await;
    assert_eq!(result.unwrap(), json!({"ok": true, "sleptSeconds": 1}));
}

#[tokio::test]
async fn what_was_not_rendered_is_not_sent() {
    let error = measure(
        json!({"type": "http", "url": "http://127.0.0.1:1/", "headers": {"X": "{{ secret.x }}"}}),
    )
    .await
    .unwrap_err();
    assert_eq!(error.code, "unrendered_template");
    let error = measure(json!({"type": "http", "url": "http://{{ host }}/"}))
        .await
        .unwrap_err();
    assert_eq!(error.code, "unrendered_template");
}
