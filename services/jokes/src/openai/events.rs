//! Server-sent events out of bytes that come in any pieces (WHATWG HTML §9.2.6).
//!
//! Takes time in proportion to the bytes, and holds one event at most.

use crate::ports::ModelError;

/// An event is no longer, in bytes.
pub(super) const MOST_EVENT: usize = 256 * 1024;

/// Takes bytes, gives the data of events.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The line so far.
    line: Vec<u8>,
    /// The data of the event so far; each line of it ends with a newline.
    data: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first line is over: no byte order mark can come any more.
    begun: bool,
}

impl Events {
    /// Appends the data of those events that are complete now. An event without data is none.
    ///
    /// # Errors
    /// When an event is too long. Those before it have been appended.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Vec<u8>>) -> Result<(), ModelError> {
        if self.after_cr
            && let Some((first, rest)) = bytes.split_first()
        {
            self.after_cr = false;
            if *first == b'\n' {
                bytes = rest;
            }
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            self.extend(line)?;
            self.end_line(events);
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                _ => rest.get(1..).unwrap_or_default(),
            };
        }
        self.extend(bytes)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        if self.data.len() + self.line.len() + bytes.len() > MOST_EVENT {
            return Err(ModelError::Malformed("an event is too long".to_owned()));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Vec<u8>>) {
        let mut line = self.line.as_slice();
        if !self.begun {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
            self.begun = true;
        }
        if line.is_empty() {
            self.data.pop();
            if !self.data.is_empty() {
                events.push(std::mem::take(&mut self.data));
            }
        } else if let Some(value) = line.strip_prefix(b"data") {
            // `data` alone is an empty line of data; `database:` is another field.
            if let Some(value) = value.strip_prefix(b":") {
                self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
            if value.is_empty() || value.starts_with(b":") {
                self.data.push(b'\n');
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parts: &[&[u8]]) -> Vec<String> {
        let (mut parser, mut events) = (Events::default(), Vec::new());
        for part in parts {
            parser.push(part, &mut events).unwrap();
        }
        events.into_iter().map(|event| String::from_utf8(event).unwrap()).collect()
    }

    #[test]
    fn an_event_is_its_data() {
        let text = b"\xEF\xBB\xBF: hello\nid: 1\nevent: x\ndata: a\ndata:b\ndata\n\ndata:  c\n\ndatabase: d\n\n\n: e\n\n";
        assert_eq!(events(&[text]), ["a\nb\n", " c"]);
        assert!(events(&[b"data: no end\n"]).is_empty());
        assert!(events(&[b"data:\n\n", b"data\n\n"]).is_empty());
    }

    #[test]
    fn every_line_end_and_every_split_gives_the_same() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["data: {\"a\":\"ß😀\"}", "", ": c", "data: x", "data: y", "", ""].join(end);
            let wanted = ["{\"a\":\"ß😀\"}", "x\ny"];
            for at in 0..=text.len() {
                let (left, right) = text.as_bytes().split_at(at);
                assert_eq!(events(&[left, right]), wanted, "{end:?} {at}");
            }
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(events(&bytes), wanted, "{end:?}");
        }
    }

    #[test]
    fn an_event_has_an_end() {
        let line = b"data: 0123456789abcdef\n".repeat(1000);
        let (mut parser, mut events) = (Events::default(), Vec::new());
        let pushed: Vec<bool> = (0..20).map(|_| parser.push(&line, &mut events).is_ok()).collect();
        assert!(pushed[0] && !pushed[19] && events.is_empty());
        let (mut parser, long) = (Events::default(), vec![b':'; MOST_EVENT + 1]);
        assert!(parser.push(&long, &mut events).is_err());
    }
}
