//! The ways in which a provider fails, how often it is asked, and what becomes of each.

use std::time::Duration;

use mesh_testkit::{Break, Reply};
use serde_json::json;

use crate::{
    ask::{Outcome, Way},
    support::JOKE,
};

/// Longer than the service waits for a word.
const NEVER: Duration = Duration::from_secs(60);
/// Bytes of a piece of the joke.
const PIECE: usize = 8;
/// Pieces after which a whole sentence is out.
const SAID: usize = 8;

/// A failure of the provider.
pub(crate) struct Case {
    /// As in names of models.
    pub(crate) name: &'static str,
    pub(crate) reply: Reply,
    /// How often the provider is asked.
    pub(crate) calls: usize,
    pub(crate) end: End,
    /// Whether a sentence came before it.
    pub(crate) is_said: bool,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A joke.
    Told,
    /// No model answers; to come again after so many seconds.
    Away(u64),
    /// What it answers is not of its protocol.
    Nonsense,
    /// The provider does not take the call.
    Rejected,
    /// It broke off after the first word.
    BrokeOff,
}

impl End {
    /// The statuses of gRPC and of HTTP, and the reason.
    fn row(self, way: Way) -> (u16, &'static str) {
        let (grpc, http, reason) = match self {
            Self::Told if way == Way::Rest => (0, 201, ""),
            Self::Told => (0, 200, ""),
            Self::Away(_) => (14, 503, "MODEL_UNAVAILABLE"),
            Self::Nonsense => (14, 502, "MODEL_ANSWER_INVALID"),
            Self::Rejected => (9, 502, "MODEL_REJECTED_CALL"),
            Self::BrokeOff => (14, 502, "MODEL_BROKE_OFF"),
        };
        (way.status(grpc, http), reason)
    }

    /// Whether that is what came of it.
    pub(crate) fn is(self, way: Way, outcome: &Outcome) -> bool {
        let wait = match self {
            // REST never says to come again at once.
            Self::Away(seconds) => Some(Duration::from_secs(seconds.max(u64::from(way.status(0, 1))))),
            Self::Told | Self::Nonsense | Self::Rejected | Self::BrokeOff => None,
        };
        (outcome.status, outcome.reason.as_str()) == self.row(way)
            && outcome.is_told() == (self == Self::Told)
            && outcome.retry_after == wait
    }

    /// Whether another model may stand in: nothing has been said.
    pub(crate) fn is_before_the_first_word(self) -> bool {
        matches!(self, Self::Away(_) | Self::Nonsense | Self::Rejected)
    }
}

/// All of them. What is asked again is asked once more, before the first word, and after a wait of at most a second.
pub(crate) fn cases() -> Vec<Case> {
    [by_status(), by_silence(), by_nonsense(), in_the_middle()].into_iter().flatten().collect()
}

fn case(name: &'static str, reply: Reply, calls: usize, end: End) -> Case {
    let is_said = end == End::Told;
    Case { name, reply, calls, end, is_said }
}

fn by_status() -> Vec<Case> {
    let status = |status| Reply::error(status, "some_error", "The prompt was: cats.");
    let wait = |wait: &str| status(429).header("retry-after", wait);
    vec![
        case("429", status(429), 2, End::Away(5)),
        case("429-at-once", wait("0"), 2, End::Away(0)),
        case("429-in-1-s", wait("1"), 2, End::Away(1)),
        case("429-in-1000-ms", status(429).header("retry-after-ms", "1000"), 2, End::Away(1)),
        case("429-in-30-s", wait("30"), 1, End::Away(30)),
        case("429-in-100-days", wait("8640000"), 1, End::Away(3_600)),
        case("429-past-date", wait("Sun, 06 Nov 1994 08:49:37 GMT"), 2, End::Away(0)),
        case("429-far-date", wait("Sat, 06 Nov 2094 08:49:37 GMT"), 1, End::Away(3_600)),
        case("429-odd-wait", wait("soon"), 2, End::Away(5)),
        case("500", status(500), 2, End::Away(5)),
        case("502-html", Reply::http(502, "<html>").content_type("text/html"), 2, End::Away(5)),
        case("503", status(503), 2, End::Away(5)),
        case("503-in-30-s", status(503).header("retry-after", "30"), 2, End::Away(5)),
        case("400", status(400), 1, End::Rejected),
        case("401", status(401), 1, End::Rejected),
        case("404", status(404), 1, End::Rejected),
    ]
}

fn by_silence() -> Vec<Case> {
    let joke = || Reply::text(JOKE).every(PIECE);
    vec![
        case("no-head", joke().before_head(NEVER), 1, End::Away(5)),
        case("no-word", joke().before_first(NEVER), 1, End::Away(5)),
        case("reset", Reply::hang_up(Break::Reset), 2, End::Away(5)),
        case("closed", Reply::hang_up(Break::Close), 2, End::Away(5)),
        case("reset-after-head", joke().break_after(0, Break::Reset), 2, End::Away(5)),
        case("closed-after-head", joke().break_after(0, Break::Close), 2, End::Away(5)),
    ]
}

fn by_nonsense() -> Vec<Case> {
    let error = |code: &str| Reply::error(200, code, "The prompt was: cats.");
    let event = |code: &str| Reply::events(&[json!({"error": {"code": code}})]);
    vec![
        case("error-in-200", error("server_error"), 2, End::Away(5)),
        case("too-much-in-200", error("rate_limit_exceeded"), 2, End::Away(5)),
        case("wrong-in-200", error("invalid_request_error"), 1, End::Rejected),
        case("error-event", event("server_error"), 2, End::Away(5)),
        case("wrong-event", event("invalid_api_key"), 1, End::Rejected),
        case("no-json-event", Reply::stream("data: {\"choices\": [nonsense\n\n"), 1, End::Nonsense),
        case("no-chunk", Reply::events(&[json!({"hello": "there"})]), 1, End::Nonsense),
        case("no-events", Reply::stream("<html>Please sign in.</html>"), 2, End::Away(5)),
        case("html", Reply::http(200, "<html>").content_type("text/html"), 1, End::Nonsense),
        case("empty", Reply::http(200, ""), 1, End::Nonsense),
    ]
}

fn in_the_middle() -> Vec<Case> {
    let joke = || Reply::text(JOKE).every(PIECE);
    // A reset takes away what has not been read yet.
    let slow = || joke().between(Duration::from_millis(50));
    let said = |name, reply| Case { is_said: true, ..case(name, reply, 1, End::BrokeOff) };
    let garbage = [&chunk(r#"{"setup":"My cat has a job. She works. "#), "data: {nonsense\n\n"].concat();
    vec![
        said("reset-later", slow().break_after(SAID, Break::Reset)),
        said("closed-later", joke().break_after(SAID, Break::Close)),
        case("reset-in-word-1", slow().break_after(2, Break::Reset), 1, End::BrokeOff),
        said("stall", Reply::text(JOKE).split_at(vec![PIECE * SAID]).between(NEVER)),
        said("error-later", joke().event_after(SAID, &json!({"error": {"code": "server_error"}}))),
        said("too-much-later", joke().event_after(SAID, &json!({"error": {"code": 429}}))),
        said("no-json-later", Reply::stream(garbage)),
        said("no-end", joke().no_finish().no_done()),
        said("no-reason", joke().no_finish()),
        case("no-done", joke().no_done(), 1, End::Told),
        case("no-usage", joke().no_usage(), 1, End::Told),
        case("whole", joke().whole(), 1, End::Told),
        case("well", joke(), 1, End::Told),
    ]
}

/// A chunk with this text as an event.
fn chunk(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}
