//! What the server answers: a value that a test builds.

use std::time::Duration;

use serde_json::Value;

/// An answer. Unless it is told otherwise it is a text in one delta, complete and correct: with the usage if that was
/// asked for, `finish_reason` and `[DONE]`, streamed if a stream was asked for.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) says: Says,
    pub(super) deltas: Cuts,
    pub(super) escaped: bool,
    pub(super) reasoning: usize,
    pub(super) usage: Usage,
    pub(super) finish: Option<String>,
    pub(super) done: bool,
    pub(super) whole: bool,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    pub(super) breaks: Option<(usize, Broken)>,
    pub(super) pauses: Pauses,
    pub(super) writes: Cuts,
}

/// How the server breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed (FIN) in the middle of the answer.
    Close,
}

#[derive(Clone, Debug)]
pub(super) enum Says {
    Text(String),
    /// What was asked.
    Echo,
    Refusal(String),
    /// This text again and again.
    Endless(String),
    /// These bytes are the body of the stream.
    Stream(Vec<u8>),
    /// These bytes are the body, whatever was asked for.
    Body(Vec<u8>),
    /// Not even a head.
    Nothing(Break),
}

#[derive(Clone, Debug, Default)]
pub(super) enum Cuts {
    #[default]
    Nowhere,
    /// Every so many bytes.
    Every(usize),
    /// Before these bytes.
    At(Vec<usize>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    /// Four bytes of a prompt are a token, and so is a delta.
    Counted,
    Said(u32, u32),
    None,
}

#[derive(Clone, Debug)]
pub(super) enum Broken {
    Off(Break),
    /// This is sent as an event, and the stream ends in order.
    Event(String),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    pub(super) head: Duration,
    pub(super) first: Duration,
    pub(super) between: Duration,
    pub(super) write: Duration,
}

impl Reply {
    /// It says this.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Says::Text(text.into()))
    }

    /// It says everything that it was told, the system's part too.
    #[must_use]
    pub fn echo() -> Self {
        Self::of(Says::Echo)
    }

    /// It declines, in OpenAI's own field for that.
    pub fn refusal(text: impl Into<String>) -> Self {
        Self::of(Says::Refusal(text.into()))
    }

    /// It says this again and again, and never ends.
    pub fn endless(text: impl Into<String>) -> Self {
        Self::of(Says::Endless(text.into()))
    }

    /// These bytes as `text/event-stream`: nothing is added.
    pub fn stream(body: impl Into<Vec<u8>>) -> Self {
        Self::of(Says::Stream(body.into()))
    }

    /// These values as the events of a stream; `[DONE]` follows.
    #[must_use]
    pub fn events(events: &[Value]) -> Self {
        let lines: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        Self::stream(lines + "data: [DONE]\n\n")
    }

    /// An answer of plain HTTP: this status and this body, as JSON.
    pub fn http(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, ..Self::of(Says::Body(body.into())) }
    }

    /// An error as OpenAI sends it. With the status 200 it is what some servers send instead.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "message": message, "type": code, "param": null, "code": code });
        Self::http(status, serde_json::json!({ "error": error }).to_string())
    }

    /// It sends the caller elsewhere.
    #[must_use]
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::http(status, "").header("location", to)
    }

    /// It breaks off before anything is said, after [`Reply::before_head`].
    #[must_use]
    pub fn hang_up(how: Break) -> Self {
        Self::of(Says::Nothing(how))
    }

    /// The text comes in deltas of so many bytes. A cut inside a character moves to its end, or splits the two halves
    /// of an escape where the character has two.
    #[must_use]
    pub fn every(self, bytes: usize) -> Self {
        Self { deltas: Cuts::Every(bytes), ..self }
    }

    /// The text is split into deltas before these bytes, which ascend; as for [`Reply::every`].
    #[must_use]
    pub fn split_at(self, bytes: Vec<usize>) -> Self {
        Self { deltas: Cuts::At(bytes), ..self }
    }

    /// Characters outside of ASCII are written as `\uXXXX`.
    #[must_use]
    pub fn escaped(self) -> Self {
        Self { escaped: true, ..self }
    }

    /// The body is written in pieces of so many bytes, each a chunk of HTTP and a packet of its own.
    #[must_use]
    pub fn written_every(self, bytes: usize) -> Self {
        Self { writes: Cuts::Every(bytes), ..self }
    }

    /// The body is written in pieces that begin before these bytes, which ascend; as for [`Reply::written_every`].
    #[must_use]
    pub fn written_at(self, bytes: Vec<usize>) -> Self {
        Self { writes: Cuts::At(bytes), ..self }
    }

    /// So many deltas of hidden reasoning come before the text.
    #[must_use]
    pub fn reasoning(self, deltas: usize) -> Self {
        Self { reasoning: deltas, ..self }
    }

    /// It says that so many tokens were used.
    #[must_use]
    pub fn usage(self, prompt: u32, completion: u32) -> Self {
        Self { usage: Usage::Said(prompt, completion), ..self }
    }

    /// It does not say what was used.
    #[must_use]
    pub fn no_usage(self) -> Self {
        Self { usage: Usage::None, ..self }
    }

    /// Why it ends; `stop` unless something else is said.
    #[must_use]
    pub fn finish(self, reason: &str) -> Self {
        Self { finish: Some(reason.to_owned()), ..self }
    }

    /// It does not say why it ends.
    #[must_use]
    pub fn no_finish(self) -> Self {
        Self { finish: None, ..self }
    }

    /// The stream ends without `[DONE]`.
    #[must_use]
    pub fn no_done(self) -> Self {
        Self { done: false, ..self }
    }

    /// One whole completion as JSON, although a stream was asked for.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It claims to be this.
    #[must_use]
    pub fn content_type(self, media_type: &str) -> Self {
        Self { content_type: Some(media_type.to_owned()), ..self }
    }

    /// It breaks off after so many deltas of text.
    #[must_use]
    pub fn break_after(self, deltas: usize, how: Break) -> Self {
        Self { breaks: Some((deltas, Broken::Off(how))), ..self }
    }

    /// After so many deltas of text comes this event, and the stream ends.
    #[must_use]
    pub fn event_after(self, deltas: usize, event: &Value) -> Self {
        Self { breaks: Some((deltas, Broken::Event(event.to_string()))), ..self }
    }

    /// It waits before it sends the head.
    #[must_use]
    pub fn before_head(mut self, pause: Duration) -> Self {
        self.pauses.head = pause;
        self
    }

    /// It waits before the first delta, when the head is out.
    #[must_use]
    pub fn before_first(mut self, pause: Duration) -> Self {
        self.pauses.first = pause;
        self
    }

    /// It waits between deltas.
    #[must_use]
    pub fn between(mut self, pause: Duration) -> Self {
        self.pauses.between = pause;
        self
    }

    /// It waits after each write of a piece.
    #[must_use]
    pub fn after_write(mut self, pause: Duration) -> Self {
        self.pauses.write = pause;
        self
    }

    fn of(says: Says) -> Self {
        Self {
            says,
            deltas: Cuts::Nowhere,
            escaped: false,
            reasoning: 0,
            usage: Usage::Counted,
            finish: Some("stop".to_owned()),
            done: true,
            whole: false,
            status: 200,
            headers: Vec::new(),
            content_type: None,
            breaks: None,
            pauses: Pauses::default(),
            writes: Cuts::Nowhere,
        }
    }
}

impl Cuts {
    /// Whether a piece ends before the byte at this place.
    pub(super) fn hit(&self, place: usize) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Every(bytes) => place > 0 && place.is_multiple_of((*bytes).max(1)),
            Self::At(places) => place > 0 && places.binary_search(&place).is_ok(),
        }
    }
}
