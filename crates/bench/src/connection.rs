//! A client that costs next to nothing: it shares the machine with the server that it measures.

use anyhow::{Context as _, Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// What was answered; the rest is in the connection until the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Whether it said when to come again.
    pub retry_after: bool,
    /// Where the body begins in what was received.
    body: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// Sends a request and waits for its answer.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Result<Answer> {
        use std::io::Write as _;
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection within an answer");
            }
            if let Some((answer, length)) = head(&self.answer)?
                && self.answer.len() >= answer.body + length
            {
                return Ok(answer);
            }
        }
    }

    /// The body of the last answer.
    pub fn body(&self, answer: Answer) -> &[u8] {
        self.answer.get(answer.body..).unwrap_or_default()
    }
}

/// What an answer's head says, and how long the body is; `None` while it is not whole.
fn head(received: &[u8]) -> Result<Option<(Answer, usize)>> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return Ok(None) };
    let text = std::str::from_utf8(&received[..end]).context("the head is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .context("the answer has no status")?;
    let mut answer = Answer {
        status,
        retry_after: false,
        body: end + 4,
    };
    let mut length = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse().context("a length that is no number")?);
        } else if name.eq_ignore_ascii_case("retry-after") {
            answer.retry_after = true;
        }
    }
    Ok(Some((answer, length.context("the answer has no length")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let text =
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(head(&text[..20]).unwrap(), None);
        let (answer, length) = head(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.retry_after, length), (503, true, 2));
        assert_eq!(&text[answer.body..], b"no");
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
