//! The event-stream format: lines of `field: value`, an empty line ends an event.

/// The longest event that is read, in bytes. A log entry has about 1 MiB at most.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An event as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RawEvent {
    pub(super) id: Option<String>,
    pub(super) event: String,
    pub(super) data: String,
}

/// Puts events together from whatever pieces the network delivers.
#[derive(Debug, Default)]
pub(super) struct Parser {
    pending: Vec<u8>,
    event: RawEvent,
    has_data: bool,
}

/// An event is longer than any that the server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Parser {
    /// Takes a piece and gives the events that it completes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<RawEvent>, TooLong> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if self.pending.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.pending);
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\n');
                events.extend(self.line(line.strip_suffix('\r').unwrap_or(line)));
            }
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<RawEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep the connection alive; other fields are not for us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, data: &str) -> RawEvent {
        RawEvent {
            id: Some(id.to_owned()),
            event: "entry".to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let text = ": hello\n\nid: 7\nevent: entry\ndata: {\"a\":\r\ndata: 1}\n\nid:8\nevent:entry\ndata:ü\n\n";
        let expected = [event("7", "{\"a\":\n1}"), event("8", "ü")];
        assert_eq!(
            Parser::default().feed(text.as_bytes()),
            Ok(expected.to_vec())
        );
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for byte in text.as_bytes() {
            events.extend(parser.feed(&[*byte]).unwrap());
        }
        assert_eq!(events, expected);
    }

    #[test]
    fn an_event_without_data_is_none() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"id: 1\n\n:\n\nretry: 5\n\n"), Ok(vec![]));
        assert_eq!(parser.feed(b"id: 2\nevent: entry\ndata: x\n"), Ok(vec![]));
        assert_eq!(parser.feed(b"\n"), Ok(vec![event("2", "x")]));
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2 + 1];
        assert_eq!(parser.feed(&piece), Ok(vec![]));
        assert_eq!(parser.feed(&piece), Err(TooLong));
    }
}
