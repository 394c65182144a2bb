//! A server that answers each request with the next of its prepared answers, and remembers the requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path with query.
    pub line: String,
    /// The whole head, in lower case.
    pub head: String,
    pub body: String,
}

pub struct Scripted {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Every answer ends its connection.
    pub async fn start(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let mut answers: VecDeque<String> = answers.into_iter().collect();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            // Once the script is played, nothing listens any more.
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                seen.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        let requests = self.requests();
        requests.into_iter().map(|request| request.line).collect()
    }
}

async fn read(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            break (head.to_owned(), length);
        }
    };
    while bytes.len() < head.len() + 4 + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
    let line = head.lines().next().unwrap();
    Request {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        body: String::from_utf8(bytes[head.len() + 4..].to_vec()).unwrap(),
        head: head.to_lowercase(),
    }
}

/// A complete answer.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A success with that JSON.
pub fn ok(body: &serde_json::Value) -> String {
    answer("200 OK", "", &body.to_string())
}

/// The refusal with that code.
pub fn refused(code: &str, headers: &str) -> String {
    let problem = stagegate_api::Problem::new(code, format!("refused with {code}"));
    let body = serde_json::to_string(&problem).unwrap();
    answer(&format!("{} Refused", problem.status), headers, &body)
}

/// An event stream that breaks off at its end.
pub fn events(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{text}")
}
