//! What the service does, apart from how it is asked.
//!
//! A joke or an answer is made in a task of its own, which goes on to its end: a caller that leaves stops the provider, and what
//! was used is billed all the same.

pub(crate) mod ask;
mod jokes;
mod make;
mod pay;
pub(crate) mod prompt;
mod say;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use mesh_store::page::PageKey;

use crate::budget::{Budgets, Payer};
use crate::cache::Cache;
use crate::domain::{Joke, Usage};
use crate::guard::Guards;
use crate::models::Models;
use crate::ports::{Clock, Feelings};
use crate::store::Store;

pub(crate) use jokes::{Figure, ListWish};
pub(crate) use make::{Events, Order};

/// The service.
pub(crate) struct Jokes {
    store: Store,
    models: Models,
    guards: Guards,
    cache: Cache,
    budgets: Budgets,
    feelings: Arc<dyn Feelings>,
    clock: Arc<dyn Clock>,
    rules: Rules,
    /// A text of this process in every system prompt, which no answer may hold.
    canary: String,
    pages: PageKey,
}

/// What the operations work with.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) models: Models,
    pub(crate) guards: Guards,
    pub(crate) cache: Cache,
    pub(crate) budgets: Budgets,
    pub(crate) feelings: Arc<dyn Feelings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: Rules,
}

/// How long an answer may take and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// From the first look at a call to the end of its answer.
    pub(crate) total: Duration,
    /// Tokens of a chat's answer.
    pub(crate) chat_tokens: u32,
    /// Whether traces hold what was asked and answered.
    pub(crate) captures: bool,
    /// Whether ratings are told to Opik.
    pub(crate) scores: bool,
}

/// The user of a call, by a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    /// The session or API key that the token is of.
    pub(crate) credential: String,
}

/// What comes of a call, as it comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Some more text that has passed the guards.
    Delta(String),
    /// A finished joke, last.
    Joke(Box<Joke>),
    /// The end of a chat's answer, last.
    ChatEnd(ChatEnd),
}

/// What is known when an answer is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChatEnd {
    pub(crate) model: String,
    pub(crate) usage: Usage,
    /// Whether the answer was cut at its longest.
    pub(crate) truncated: bool,
}

impl Caller {
    fn payer(&self) -> Payer {
        Payer { user: self.user_id.clone(), credential: self.credential.clone() }
    }
}

impl Jokes {
    /// `root` is the root key of the database.
    pub(crate) fn new(parts: Parts, root: &[u8]) -> Self {
        let canary = uuid::Uuid::new_v4().simple().to_string();
        Self {
            pages: PageKey::new(root),
            store: parts.store,
            models: parts.models,
            guards: parts.guards.keeping(&[&canary]),
            canary,
            cache: parts.cache,
            budgets: parts.budgets,
            feelings: parts.feelings,
            clock: parts.clock,
            rules: parts.rules,
        }
    }

    /// The models that can be asked, the default one first.
    pub(crate) fn models(&self) -> &Models {
        &self.models
    }
}
