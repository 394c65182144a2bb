//! The log as it grows.

use super::sse::{Parser, RawEvent};
use super::{ClientError, Workspace};
use crate::Entry;
use reqwest::Response;
use std::collections::VecDeque;
use std::time::Duration;

/// The server sends a comment at least every 15 s; a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The server must accept the connection in this time.
const OPEN_MAX: Duration = Duration::from_secs(20);

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// A log entry that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub seq: u64,
    pub entry: Entry,
}

/// The log entries of a workspace, in order, each exactly once, across lost connections.
#[derive(Debug)]
pub struct Events {
    workspace: Workspace,
    after: u64,
    connection: Option<Response>,
    parser: Parser,
    ready: VecDeque<Event>,
    back_off: Duration,
    lost: Option<ClientError>,
}

impl Workspace {
    /// `GET …/events`: the log entries after sequence number `after`, from 0 for all. Connects when first
    /// asked, and again whenever the connection is lost.
    #[must_use]
    pub fn events(&self, after: u64) -> Events {
        Events {
            workspace: self.clone(),
            after,
            connection: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            back_off: BACK_OFF_FIRST,
            lost: None,
        }
    }
}

impl Events {
    /// The last sequence number that was read; where to go on.
    #[must_use]
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Why there is no connection at the moment, if one was lost or could not be made.
    #[must_use]
    pub fn lost(&self) -> Option<&ClientError> {
        self.lost.as_ref()
    }

    /// Waits for the next entry, as long as it takes. May be dropped while waiting; nothing is missed.
    ///
    /// # Errors
    /// Only for what repeating cannot mend: no permission, no such workspace, unreadable entries.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = event.seq;
                return Ok(event);
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
                let request = self.workspace.to_get(["events"]).events_after(self.after);
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
            .ok_or_else(|| silent("ended the event stream"))?;
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
        if raw.event != "entry" {
            return Ok(());
        }
        let entry: Entry = serde_json::from_str(&raw.data)
            .map_err(|error| self.strange(format!("sent an entry that cannot be read: {error}")))?;
        let seq = entry.seq;
        let last = self.ready.back().map_or(self.after, |event| event.seq);
        // What was read before is sent again by a server that does not know how far we were.
        if seq > last {
            self.ready.push_back(Event { seq, entry });
        }
        Ok(())
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
