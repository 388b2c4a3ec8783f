//! A joke.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::request::Params;

/// Most characters of a joke's setup or punchline. A model that says more has not told a joke.
pub const MAX_PART: usize = 2_000;

/// What a model tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What leads to the turn.
    pub setup: String,
    /// The turn.
    pub punchline: String,
}

/// A joke as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Joke {
    /// Unique.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// Its text.
    pub told: Told,
    /// What it was to be about.
    pub topic: String,
    /// What kind was wanted.
    pub params: Params,
    /// The model that made it.
    pub model: String,
    /// Who runs that model.
    pub provider: String,
    /// From the request to the finished joke, in milliseconds.
    pub latency_ms: u32,
    /// What the making used.
    pub usage: Usage,
    /// How it feels, if that is known.
    pub sentiment: Option<Sentiment>,
    /// 1 for good, -1 for bad.
    pub rating: Option<i32>,
    /// Whether it came from the cache.
    pub cached: bool,
    /// Whether another model than the one asked for made it.
    pub fallback: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The trace in which it was made, 32 hexadecimal digits, if it is recorded: what feedback is given to.
    pub trace_id: Option<String>,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// In billionths of a US dollar.
    pub cost_nanos: i64,
}

/// How a joke feels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentiment {
    /// `positive`, `neutral` or `negative`.
    pub label: String,
    /// -1 to 1.
    pub score: f64,
}
