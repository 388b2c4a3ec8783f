//! Jokes as JSON; chats and what both cost in files of their own.

mod chat;
mod convert;
mod costs;
mod query;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use self::{
    chat::{ChatAnswer, ChatBody, ChatEnd, ChatEvent, ChatMessage},
    costs::{Budgets, JokeModel, JokeModels, Usage},
    query::JokesQuery,
};
use super::sentiment::Label;
use crate::problem::Problem;

/// The kind of joke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// A play on words.
    Pun,
    /// One sentence, then the turn.
    OneLiner,
    /// Who's there?
    KnockKnock,
    /// A question and an answer that nobody would guess.
    Riddle,
    /// Harmless and a little embarrassing.
    Dad,
    /// About how things are.
    Observational,
}

/// How long a joke may be: about 25, 60 or 120 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Length {
    /// About 25 words.
    Short,
    /// About 60 words.
    Medium,
    /// About 120 words.
    Long,
}

/// The joke that is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JokeBody {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) topic: String,
    /// A pun if absent.
    #[schema(value_type = Option<Style>)]
    pub(crate) style: Option<String>,
    /// For whom it is, at most 80 characters; everybody if absent.
    #[schema(max_length = 80)]
    pub(crate) audience: Option<String>,
    /// A language tag of BCP 47; "en" if absent.
    pub(crate) language: Option<String>,
    /// Medium if absent.
    #[schema(value_type = Option<Length>)]
    pub(crate) length: Option<String>,
    /// 0 to 2; absent leaves it to the model.
    #[schema(minimum = 0, maximum = 2)]
    pub(crate) temperature: Option<f64>,
    /// Makes a model that knows seeds answer alike.
    #[schema(format = "int64", maximum = 4_294_967_295_i64)]
    pub(crate) seed: Option<u32>,
    /// Name of a model; absent means the default one.
    pub(crate) model: Option<String>,
}

/// A joke that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Joke {
    /// Unique.
    id: String,
    /// What leads to the turn.
    setup: String,
    /// The turn.
    punchline: String,
    /// What it was to be about.
    topic: String,
    /// The model that made it.
    model: String,
    /// Who runs the model.
    provider: String,
    /// What kind of joke was wanted, defaults filled in.
    params: JokeParams,
    /// From the request to the finished joke, in milliseconds.
    latency_ms: u32,
    /// What the making used; nothing when the joke came from the cache.
    usage: Usage,
    /// How it feels; null when that was not known in time.
    #[schema(required)]
    sentiment: Option<JokeSentiment>,
    /// 1 for good, -1 for bad, null until the joke is rated.
    #[schema(required, minimum = -1, maximum = 1)]
    rating: Option<i32>,
    /// Whether it came from the cache.
    cached: bool,
    /// Whether another model than the one asked for made it, because that one failed.
    fallback: bool,
    /// When it was made.
    #[schema(format = "date-time")]
    created_at: String,
}

/// What kind of joke was wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JokeParams {
    /// Its kind.
    style: Style,
    /// For whom; absent for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    /// A language tag of BCP 47.
    language: String,
    /// How long it may be.
    length: Length,
    /// Absent if it was left to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    /// Absent if none was given.
    #[schema(format = "int64", maximum = 4_294_967_295_i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
}

/// How a joke feels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JokeSentiment {
    /// In a word.
    #[schema(value_type = Label)]
    label: String,
    /// -1 to 1.
    #[schema(minimum = -1, maximum = 1)]
    score: f64,
}

/// A joke.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JokeAnswer {
    /// The joke.
    pub(crate) joke: Joke,
}

/// A page of jokes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Jokes {
    /// Newest first.
    pub(crate) jokes: Vec<Joke>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

/// How a joke was liked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackBody {
    /// 1 for good, -1 for bad.
    #[schema(minimum = -1, maximum = 1)]
    pub(crate) rating: i32,
    /// Why; at most 500 characters.
    #[schema(max_length = 500)]
    pub(crate) comment: Option<String>,
}

/// The data of the event `delta`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delta {
    /// The next piece of the text.
    pub(crate) text: String,
}

/// The data of an event while a joke is made: some of `delta`, then one of `joke` or `error`, each with its number as id.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document: each event is written by itself")]
pub(crate) enum JokeEvent {
    /// Of the event `delta`.
    Delta(Delta),
    /// Of the event `joke`.
    Joke(JokeAnswer),
    /// Of the event `error`.
    Error(Problem),
}
