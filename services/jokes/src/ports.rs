//! What the service needs from a language model, whoever runs it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use crate::domain::{JokeRequest, Sentiment};

/// A model that can be asked. One value serves every call at once.
#[async_trait]
pub trait JokeModel: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Begins an answer. Returns when the provider has accepted the call; dropping the stream cancels it there. What can be done
    /// without the provider may be done before the future is polled, the rest is not: the provider hears nothing yet.
    ///
    /// # Errors
    /// [`ModelError`] when there is no answer. Nothing of it has been seen yet, so another model may be asked.
    async fn answer(&self, prompt: &Prompt) -> Result<Answer, ModelError>;
}

/// The pieces of an answer, as they come. Ends after [`Piece::End`], or with an error.
pub type Answer = BoxStream<'static, Result<Piece, ModelError>>;

/// What a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Unique among the models of the service.
    pub name: String,
    /// Who runs it, by OpenTelemetry's `gen_ai.provider.name`: `openai`, or `quipu` for the embedded engine.
    pub provider: String,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What is wanted, for a model that follows rules and not words.
    pub task: Task,
    /// Our own instructions. No word of a user is ever in here.
    pub system: String,
    /// What was said, oldest first; the last turn is the user's.
    pub turns: Vec<Turn>,
    /// The JSON schema that the answer must fit, if it is to be JSON.
    pub schema: Option<&'static serde_json::Value>,
    /// No answer is longer.
    pub max_output_tokens: u32,
    /// 0 to 2; none leaves it to the model.
    pub temperature: Option<f64>,
    /// Makes a model that knows seeds answer alike.
    pub seed: Option<u32>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// A joke, as JSON `{"setup": …, "punchline": …}`.
    Joke(JokeRequest),
    /// An answer to the last turn, as plain text.
    Chat,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some more text.
    Text(String),
    /// The end.
    End {
        /// Why.
        finish: Finish,
        /// What the provider says that the call used, if it says so.
        tokens: Option<Tokens>,
    },
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was complete.
    Stop,
    /// It was cut at its longest.
    Length,
    /// The provider's own filter stopped it, or the model declined.
    Filtered,
}

/// Tokens of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt.
    pub input: u32,
    /// Of the answer, those of hidden reasoning included.
    pub output: u32,
}

/// Why a model gave no answer, or stopped in the middle of one. The texts are for logs, never for a caller, and hold nothing
/// of a prompt, an answer or a key.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// 429: too much was asked of the provider.
    #[error("the provider is asked too much")]
    RateLimited {
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The provider is away, broken off or fails (connection, 5xx).
    #[error("the provider is away: {0}")]
    Unavailable(String),
    /// It took too long.
    #[error("the provider is too slow: {0}")]
    Timeout(&'static str),
    /// The provider does not accept the call: a bad key, an unknown model, a bad request. Doing it again does not help.
    #[error("the provider refuses the call: {0}")]
    Rejected(String),
    /// The model cannot do what was wished for; another one may. The field, and what the caller is told of it.
    #[error("the model cannot do what `{0}` says")]
    Unable(&'static str, &'static str),
    /// What came is no answer of the protocol.
    #[error("the provider's answer makes no sense: {0}")]
    Malformed(String),
}

impl ModelError {
    /// Whether another try, or another model, may succeed where this call failed. A rejected call says something about the
    /// model's configuration, so another model may do better, but the same one does not.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Rejected(_) | Self::Unable(..))
    }

    /// Its name in metrics and in `error.type`: one of a closed list.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable(_) => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Rejected(_) => "rejected",
            Self::Unable(..) => "unable",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// How a text feels.
#[async_trait]
pub trait Feelings: Send + Sync + 'static {
    /// None when nobody answers in time: a joke is given all the same.
    async fn of(&self, text: &str) -> Option<Sentiment>;
}

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the system.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
