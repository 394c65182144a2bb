//! People are told: from the document to the receiver, on real processes.

use crate::harness::{PATIENCE, Server, server, stagegate, within_patience};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// A webhook's receiver: what it was sent, and the status it answers with.
struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(status)),
            requests: Arc::default(),
        };
        let (status, requests) = (Arc::clone(&receiver.status), Arc::clone(&receiver.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let (mut request, mut buffer) = (String::new(), [0; 4096]);
                while !request.ends_with("}}") {
                    match stream.read(&mut buffer) {
                        Ok(count) if count > 0 => {
                            request.push_str(&String::from_utf8_lossy(&buffer[..count]));
                        }
                        _ => break,
                    }
                }
                requests.lock().unwrap().push(request);
                let status = status.load(Ordering::SeqCst);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        receiver
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn document(&self) -> String {
        format!(
            "type: Notifier\nname: Releases\nnotifierType: webhook\n\
             config: {{ url: 'http://127.0.0.1:{}/hook', secret: '{{{{ secret.HOOK }}}}' }}\n\
             events: [approvalNeeded]\nenvironments: [Production]\n",
            self.port
        )
    }
}

fn body(request: &str) -> Value {
    let (_, body) = request.split_once("\r\n\r\n").expect(request);
    serde_json::from_str(body).expect(request)
}

fn start(data: &std::path::Path) -> Server {
    Server::start_with(data, |command| {
        command
            .env("STAGEGATE_PUBLIC_URL", "https://gate.example.org/")
            .env(
                "STAGEGATE_SECRET_HOOK",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            );
    })
}

#[test]
fn an_approval_request_reaches_a_webhook_also_through_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = start(&data).with_shop();
    let key = server.key.clone();
    let receiver = Receiver::start(503);
    let document = receiver.document();
    server.run_with_input(&["apply", "-f", "-"], &document).ok();
    let again = server.run_with_input(&["diff", "-f", "-"], &document);
    assert_eq!(again.code, Some(0), "nothing differs: {again:?}");
    assert!(server.run(&["export"]).ok().contains("type: Notifier"));

    let create = ["version", "create", "--deployment", "api", "--tag", "v1"];
    server.run(&create).ok();
    within_patience(|| (!receiver.requests().is_empty()).then_some(()));
    // The attempt failed; the process goes without a word, and another one takes over.
    server.kill();
    receiver.status.store(204, Ordering::SeqCst);
    let server = start(&data);
    let show = ["get", "notifiers", "Releases", "-o", "json"];
    let shown = within_patience(|| {
        let shown = server.run_as(&key, &show).json();
        (shown["status"]["delivered"] == 1).then_some(shown)
    });
    assert_eq!(shown["status"]["pending"], 0, "{shown}");
    assert!(!shown.to_string().contains("MfKQ9r8"), "{shown}");

    let requests = receiver.requests();
    let message = body(requests.last().unwrap());
    assert_eq!(message["type"], "stagegate.notification");
    assert_eq!(
        message["subject"],
        "API v1 waits for approval in Production"
    );
    assert_eq!(message["events"][0]["type"], "approvalNeeded");
    let promotion = message["promotion"].as_str().unwrap();
    let link = format!("https://gate.example.org/promotions/{promotion}");
    assert_eq!(message["link"], link.as_str());
    assert!(
        requests[0].contains("webhook-signature: v1,"),
        "{requests:?}"
    );
    // Tried twice at most, told once: always under the same id.
    for request in &requests {
        assert_eq!(body(request)["id"], message["id"]);
    }

    let said = server.run_as(&key, &["notifiers", "test", "releases"]).ok();
    assert!(said.contains("delivered to Releases"), "{said}");
    receiver.status.store(401, Ordering::SeqCst);
    let tested = server.run_as(&key, &["notifiers", "test", "Releases"]);
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.stdout.contains("401"), "{tested:?}");
}

#[test]
fn a_wrong_notifier_is_refused_where_it_stands() {
    let (_dir, server) = server();
    let server = server.with_shop();
    for (document, words) in [
        (
            "type: Notifier\nname: N\nnotifierType: pager\n",
            ["pager", "`webhook`", "3:"],
        ),
        (
            "type: Notifier\nname: N\nnotifierType: slack\nconfig:\n  url: https://hooks.example/hunter2\n",
            ["secret", "STAGEGATE_SECRET_", "5:"],
        ),
        (
            "type: Notifier\nname: N\nnotifierType: webhook\nconfig: {url: 'http://x'}\nenvironments: [Prod]\n",
            ["Prod", "Production", "5:"],
        ),
        (
            "type: Notifier\nname: N\nnotifierType: webhook\nconfig: {url: 'http://x'}\nevents: [approved]\n",
            ["approved", "approvalNeeded", "5:"],
        ),
    ] {
        let said = server.run_with_input(&["apply", "-f", "-"], document);
        assert_ne!(said.code, Some(0), "{said:?}");
        for word in words {
            assert!(said.stderr.contains(word), "`{word}` in {said:?}");
        }
        assert!(!said.stderr.contains("hunter2"), "{said:?}");
    }
    let said = server.run(&["notifiers", "test", "nobody"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let help = stagegate().args(["notifiers", "--help"]).output().unwrap();
    assert!(help.status.success());
}
