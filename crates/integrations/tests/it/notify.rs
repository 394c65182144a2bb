//! Notifiers against real servers.

use crate::support::{Server, answer, free_port};
use serde_json::{Value, json};
use stagegate_integrations::notify::{
    BODY_VERSION, Deliverer, DeliveryError, Event, Message, Named, Secrets,
};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn message() -> Message {
    let named = |id: &str, name: &str| Named {
        id: id.to_owned(),
        name: name.to_owned(),
    };
    Message {
        version: BODY_VERSION,
        kind: "stagegate.notification",
        id: "msg_7_0190a1b2".to_owned(),
        timestamp: "2026-01-02T03:04:05Z".to_owned(),
        sequence: 7,
        events: vec![Event {
            kind: "approvalNeeded".to_owned(),
            message: "1 of 1 approvals is missing".to_owned(),
            ..Event::default()
        }],
        subject: "api 1.2.0 waits for approval in production".to_owned(),
        text: "1 of 1 approvals is missing".to_owned(),
        link: Some("https://gate.example/promotions/p1".to_owned()),
        workspace: named("w1", "default"),
        break_glass: false,
        freeze: None,
        promotion: Some("p1".to_owned()),
        deployment: Some(named("d1", "api")),
        deployed_version: Some(named("v1", "1.2.0")),
        environment: Some(named("e1", "production")),
    }
}

async fn deliver(kind: &str, config: Value, secret: String) -> Result<(), DeliveryError> {
    let secrets = Secrets::from_fn(move |name| (name == "S").then(|| secret.clone()));
    let deliverer = Deliverer::new(secrets).unwrap();
    deliverer
        .deliver(kind, &config, message(), 1_614_265_330)
        .await
}

fn header<'r>(request: &'r str, name: &str) -> &'r str {
    let line = format!("\r\n{name}: ");
    let (_, rest) = request.split_once(&line).expect(request);
    rest.split_once("\r\n").unwrap().0
}

#[tokio::test]
async fn a_webhook_gets_a_signed_and_versioned_body() {
    let server = Server::start(answer("204 No Content", "", "")).await;
    let config = json!({"url": server.url("/hook"), "secret": "{{ secret.S }}",
        "headers": {"Authorization": "Bearer {{ secret.S }}"}});
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    deliver("webhook", config, secret.to_owned()).await.unwrap();

    let request = &server.requests()[0];
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "content-type"), "application/json");
    assert_eq!(header(request, "webhook-id"), "msg_7_0190a1b2");
    assert_eq!(header(request, "webhook-timestamp"), "1614265330");
    assert_eq!(header(request, "authorization"), format!("Bearer {secret}"));
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    // Computed apart from the code under test, over the body below.
    assert_eq!(
        header(request, "webhook-signature"),
        "v1,w+9mutGNaZsdKkOz7aqnuxOAuzF89RkIXwL6nlXCmLc="
    );
    assert_eq!(
        body,
        concat!(
            r#"{"version":1,"type":"stagegate.notification","id":"msg_7_0190a1b2","#,
            r#""timestamp":"2026-01-02T03:04:05Z","sequence":7,"#,
            r#""events":[{"type":"approvalNeeded","message":"1 of 1 approvals is missing"}],"#,
            r#""subject":"api 1.2.0 waits for approval in production","#,
            r#""text":"1 of 1 approvals is missing","link":"https://gate.example/promotions/p1","#,
            r#""workspace":{"id":"w1","name":"default"},"promotion":"p1","#,
            r#""deployment":{"id":"d1","name":"api"},"deployedVersion":{"id":"v1","name":"1.2.0"},"#,
            r#""environment":{"id":"e1","name":"production"}}"#
        )
    );
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let server = Server::start(answer(
        "307 Temporary Redirect",
        "location: /elsewhere\r\n",
        "",
    ))
    .await;
    let config = json!({"url": server.url("/hook")});
    let error = deliver("webhook", config, String::new()).await.unwrap_err();
    assert_eq!((error.code, error.is_final), ("redirected", true));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_overloaded_receiver_is_asked_again_later_and_no_secret_is_shown() {
    let server = Server::start(answer(
        "503 Service Unavailable",
        "retry-after: 7\r\n",
        "you sent hunter2-token",
    ))
    .await;
    let config = json!({"url": server.url("/hook"),
        "headers": {"Authorization": "Bearer {{ secret.S }}"}});
    let error = deliver("webhook", config, "hunter2-token".to_owned()).await;
    let error = error.unwrap_err();
    assert!(!error.is_final);
    assert_eq!(error.retry_after.unwrap().as_secs(), 7);
    assert_eq!(
        error.message,
        "it answered 503 Service Unavailable: you sent [redacted]"
    );
}

#[tokio::test]
async fn a_silent_or_absent_receiver_is_asked_again() {
    let silent = Server::start("").await;
    let config = json!({"url": silent.url("/"), "timeout": "100ms"});
    let error = deliver("webhook", config, String::new()).await.unwrap_err();
    assert_eq!((error.code, error.is_final), ("timeout", false));

    let config = json!({"url": format!("http://127.0.0.1:{}/", free_port().await)});
    let error = deliver("webhook", config, String::new()).await.unwrap_err();
    assert_eq!((error.code, error.is_final), ("connection_refused", false));
}

#[tokio::test]
async fn a_huge_refusal_is_read_only_to_its_limit() {
    let server = Server::start(answer("400 Bad Request", "", &"x".repeat(1_000_000))).await;
    let config = json!({"url": server.url("/")});
    let error = deliver("webhook", config, String::new()).await.unwrap_err();
    assert!(error.is_final && error.message.len() < 400, "{error}");
}

#[tokio::test]
async fn slack_gets_text_and_blocks_at_the_secret_url() {
    let server = Server::start(answer("200 OK", "", "ok")).await;
    let url = server.url("/services/T0/B0/hunter2");
    deliver("slack", json!({"url": "{{ secret.S }}"}), url)
        .await
        .unwrap();
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /services/T0/B0/hunter2 "));
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["text"], "api 1.2.0 waits for approval in production");
    assert_eq!(
        body["blocks"][1]["text"]["text"],
        "1 of 1 approvals is missing\n<https://gate.example/promotions/p1|Open in Stagegate>"
    );

    let refusing = Server::start(answer("400 Bad Request", "", "invalid_blocks")).await;
    let url = refusing.url("/services/hunter2");
    let refused = deliver("slack", json!({"url": "{{ secret.S }}"}), url).await;
    let error = refused.unwrap_err();
    assert!(
        error.is_final && !error.message.contains("hunter2"),
        "{error}"
    );
}

/// A mail server that takes what it is told to, and what it took.
struct Smtp {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    spoken: Arc<Mutex<Vec<String>>>,
}

/// What a mail server answers to some commands, by their first word.
type Script = &'static [(&'static str, &'static str)];

impl Smtp {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mails, spoken) = (Arc::<Mutex<_>>::default(), Arc::<Mutex<_>>::default());
        let server = Self {
            port,
            mails: Arc::clone(&mails),
            spoken: Arc::clone(&spoken),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mails, spoken) = (Arc::clone(&mails), Arc::clone(&spoken));
                tokio::spawn(async move { converse(stream, script, &mails, &spoken).await });
            }
        });
        server
    }

    fn config(&self, over: Value) -> Value {
        let mut config = json!({"host": "127.0.0.1", "port": self.port, "security": "none",
            "from": "Stagegate <gate@example.org>", "to": ["Ops <ops@example.org>", "b@example.org"]});
        for (key, value) in over.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    fn spoken(&self) -> Vec<String> {
        self.spoken.lock().unwrap().clone()
    }
}

async fn converse(
    stream: TcpStream,
    script: Script,
    mails: &Mutex<Vec<String>>,
    spoken: &Mutex<Vec<String>>,
) {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    let _ = writing.write_all(b"220 test\r\n").await;
    while let Ok(Some(line)) = lines.next_line().await {
        let word = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_uppercase();
        spoken.lock().unwrap().push(line);
        let scripted = script.iter().find(|(known, _)| *known == word);
        let reply = match (scripted, word.as_str()) {
            (Some((_, reply)), _) => (*reply).to_owned(),
            (None, "EHLO") => "250-test\r\n250 AUTH PLAIN".to_owned(),
            (None, "AUTH") => "235 welcome".to_owned(),
            (None, "DATA") => {
                let _ = writing.write_all(b"354 go on\r\n").await;
                let mut mail = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    mail.push_str(&line);
                    mail.push('\n');
                }
                mails.lock().unwrap().push(mail);
                "250 taken".to_owned()
            }
            (None, "QUIT") => "221 bye".to_owned(),
            (None, _) => "250 ok".to_owned(),
        };
        if writing
            .write_all(format!("{reply}\r\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_mail_has_both_halves_and_belongs_to_a_thread() {
    let server = Smtp::start(&[]).await;
    let over = json!({"username": "gate", "password": "{{ secret.S }}"});
    deliver("email", server.config(over), "hunter2-mail".to_owned())
        .await
        .unwrap();
    let mail = &server.mails()[0];
    for part in [
        "From: Stagegate <gate@example.org>",
        "To: Ops <ops@example.org>, b@example.org",
        "Subject: api 1.2.0 waits for approval in production",
        "Message-ID: <msg_7_0190a1b2@example.org>",
        "References: <promotion-p1@example.org>",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "1 of 1 approvals is missing",
    ] {
        assert!(mail.contains(part), "`{part}` in {mail}");
    }
    let spoken = server.spoken();
    // base64 of "\0gate\0hunter2-mail".
    assert!(
        spoken.contains(&"AUTH PLAIN AGdhdGUAaHVudGVyMi1tYWls".to_owned()),
        "{spoken:?}"
    );
    let to: Vec<_> = spoken.iter().filter(|it| it.starts_with("RCPT")).collect();
    assert_eq!(to.len(), 2, "{spoken:?}");
}

#[tokio::test]
async fn mail_servers_refuse_for_now_or_for_good() {
    for (script, code, is_final) in [
        (
            &[("RCPT", "550 no such mailbox")] as Script,
            "refused",
            true,
        ),
        (&[("RCPT", "451 greylisted")], "answered_with_error", false),
        (&[("AUTH", "535 wrong password")], "login_failed", false),
    ] {
        let server = Smtp::start(script).await;
        let over = json!({"username": "gate", "password": "{{ secret.S }}"});
        let error = deliver("email", server.config(over), "hunter2-mail".to_owned()).await;
        let error = error.unwrap_err();
        assert_eq!((error.code, error.is_final), (code, is_final), "{error}");
        assert!(server.mails().is_empty());
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_a_server_that_should_have_it() {
    let server = Smtp::start(&[]).await;
    let over = json!({"security": "starttls", "username": "gate", "password": "{{ secret.S }}"});
    let error = deliver("email", server.config(over), "hunter2-mail".to_owned()).await;
    assert!(!error.unwrap_err().is_final);
    let spoken = server.spoken();
    assert!(
        !spoken
            .iter()
            .any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")),
        "{spoken:?}"
    );
}
