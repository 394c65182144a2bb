//! A job's output as it comes.

use super::sse::{Parser, RawEvent};
use super::{ClientError, Workspace};
use crate::{OutputEnded, OutputPiece};
use reqwest::Response;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::time::Duration;

/// The server sends a comment at least every 15 s; a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The server must accept the connection in this time.
const OPEN_MAX: Duration = Duration::from_secs(20);

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// What following a job's output brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputEvent {
    /// More output. Its offset is beyond the end of the piece before when something was dropped between.
    Output(OutputPiece),
    /// The job has ended; nothing follows.
    End(OutputEnded),
}

/// The output of a job in order, each byte at most once, across lost connections.
#[derive(Debug)]
pub struct FollowedOutput {
    workspace: Workspace,
    job: String,
    from: u64,
    connection: Option<Response>,
    parser: Parser,
    ready: VecDeque<OutputEvent>,
    back_off: Duration,
    lost: Option<ClientError>,
    ended: bool,
}

impl Workspace {
    /// `GET …/jobs/{jobId}/output?follow=true` from the byte `from` on. Connects when first asked, and again
    /// whenever the connection is lost.
    #[must_use]
    pub fn follow_job_output(&self, job: &str, from: u64) -> FollowedOutput {
        FollowedOutput {
            workspace: self.clone(),
            job: job.to_owned(),
            from,
            connection: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            back_off: BACK_OFF_FIRST,
            lost: None,
            ended: false,
        }
    }
}

impl FollowedOutput {
    /// Why there is no connection at the moment, if one was lost or could not be made.
    #[must_use]
    pub fn lost(&self) -> Option<&ClientError> {
        self.lost.as_ref()
    }

    /// Waits for more, as long as it takes; `None` after [`OutputEvent::End`]. May be dropped while waiting.
    ///
    /// # Errors
    /// Only for what repeating cannot mend: no permission, no such job, unreadable events.
    pub async fn next(&mut self) -> Result<Option<OutputEvent>, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            if let Err(error) = self.read().await {
                self.connection = None;
                self.parser = Parser::default();
                if !error.is_temporary() {
                    return Err(error);
                }
                self.lost = Some(error);
                let wait = self.back_off;
                self.back_off = (wait * 2).min(BACK_OFF_MAX);
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Reads one piece from the connection, making it first if there is none.
    async fn read(&mut self) -> Result<(), ClientError> {
        let client = &self.workspace.client;
        let silent = |reason: &str| ClientError::Unreachable {
            url: client.url().to_owned(),
            reason: format!("`{}` {reason}", client.url()),
        };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let request = self
                    .workspace
                    .to_get(["jobs", &self.job, "output"])
                    .param("follow", true)
                    .param("from", self.from)
                    .stream();
                let response = tokio::time::timeout(OPEN_MAX, client.open(request))
                    .await
                    .map_err(|_| silent("did not answer in time"))??;
                self.connection.insert(response)
            }
        };
        let piece = tokio::time::timeout(SILENCE_MAX, connection.chunk())
            .await
            .map_err(|_| silent("has gone silent"))?
            .map_err(|error| client.lost(&error))?
            .ok_or_else(|| silent("ended the stream of output"))?;
        let raw = self
            .parser
            .feed(&piece)
            .map_err(|_| self.strange("sent an event that is too long".to_owned()))?;
        self.lost = None;
        self.back_off = BACK_OFF_FIRST;
        for raw in raw {
            self.take(&raw)?;
        }
        Ok(())
    }

    fn take(&mut self, raw: &RawEvent) -> Result<(), ClientError> {
        match raw.event.as_str() {
            "output" => {
                let piece: OutputPiece = self.parse(&raw.data)?;
                self.from = piece.offset + piece.text.len() as u64;
                self.ready.push_back(OutputEvent::Output(piece));
            }
            "end" => {
                let end = self.parse(&raw.data)?;
                self.ended = true;
                self.ready.push_back(OutputEvent::End(end));
            }
            _ => {}
        }
        Ok(())
    }

    fn parse<T: DeserializeOwned>(&self, data: &str) -> Result<T, ClientError> {
        serde_json::from_str(data)
            .map_err(|error| self.strange(format!("sent an event that cannot be read: {error}")))
    }

    /// An answer that repeating would only bring again.
    fn strange(&self, what: String) -> ClientError {
        ClientError::Unexpected {
            url: self.workspace.client.url().to_owned(),
            status: Some(200),
            what,
        }
    }
}
