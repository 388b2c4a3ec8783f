//! An answer on its way: every piece is counted, read, guarded, and only then sent on. One way for those who wait for the whole
//! and for those who read along.

use std::sync::Arc;

use futures::StreamExt as _;
use tracing::Instrument as _;

use super::ask::{Asked, Until};
use super::pay::Reservation;
use super::{Event, Jokes, trace};
use crate::budget::{self, Amount};
use crate::domain::Usage;
use crate::error::{JokesError, Result};
use crate::guard::Window;
use crate::metrics;
use crate::models::Entry;
use crate::ports::{Answer, Finish, ModelError, Piece, Prompt, Tokens};
use crate::structured::Telling;

/// A complete answer that has passed the guards, and what it cost, not settled yet.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) entry: Arc<Entry>,
    pub(super) fallback: bool,
    pub(super) reservation: Reservation,
    pub(super) used: Amount,
    pub(super) usage: Usage,
    pub(super) truncated: bool,
    /// Whether the caller has seen any of it.
    pub(super) is_seen: bool,
}

/// What the answer is, and who reads along.
pub(super) struct Manner {
    /// Whether it is a joke's JSON, of which only the text is told.
    pub(super) is_joke: bool,
    /// Whether the caller gets it as it comes.
    pub(super) streams: bool,
}

/// An answer that is being said.
struct Flow {
    text: String,
    /// Characters so far: of ASCII, and others.
    length: (usize, usize),
    most: u32,
    window: Option<Window>,
    telling: Option<Telling>,
    streams: bool,
    is_seen: bool,
    finish: Option<Finish>,
    tokens: Option<Tokens>,
}

impl Jokes {
    /// Follows an answer to its end. Whatever happens, what it used is known; unless it came to a good end it is billed here.
    pub(super) async fn say(
        &self,
        asked: Asked,
        prompt: &Prompt,
        manner: &Manner,
        until: &Until,
    ) -> Result<Said> {
        let Asked { entry, mut answer, window, reservation, fallback, span } = asked;
        let mut flow = Flow::new(prompt, window, manner);
        let outcome = flow.run(&mut answer, until).instrument(span.clone()).await;
        // Stops a provider that is still talking.
        drop(answer);
        let name = &entry.info().name;
        let (used, tokens) = reservation.bill(name, flow.used(prompt));
        let usage =
            Usage { input_tokens: tokens.input, output_tokens: tokens.output, cost_nanos: used.cost_nanos };
        metrics::used(name, usage);
        span.record("gen_ai.usage.input_tokens", tokens.input);
        span.record("gen_ai.usage.output_tokens", tokens.output);
        span.record("gen_ai.response.finish_reasons", flow.finish_reason());
        if self.rules.captures {
            trace::said(&span, &flow.text, flow.finish_reason());
        }
        trace::end(&span, &outcome);
        metrics::called(name, outcome.as_ref().err().map_or("done", JokesError::outcome));
        match outcome {
            Err(JokesError::BrokenOff(_)) => entry.breaker.failed(),
            _ => entry.breaker.succeeded(),
        }
        if let Err(error) = outcome {
            self.settle(&reservation, used).await?;
            return Err(error);
        }
        let truncated = flow.finish == Some(Finish::Length);
        let (text, is_seen) = (flow.text, flow.is_seen);
        Ok(Said { text, entry, fallback, reservation, used, usage, truncated, is_seen })
    }
}

impl Flow {
    fn new(prompt: &Prompt, window: Window, manner: &Manner) -> Self {
        Self {
            text: String::new(),
            length: (0, 0),
            most: prompt.max_output_tokens,
            window: Some(window),
            telling: manner.is_joke.then(Telling::default),
            streams: manner.streams,
            is_seen: false,
            finish: None,
            tokens: None,
        }
    }

    async fn run(&mut self, answer: &mut Answer, until: &Until) -> Result<()> {
        loop {
            match until.race(answer.next()).await? {
                Some(Ok(Piece::Text(piece))) => {
                    let fits = self.fitting(&piece);
                    self.take(fits, until).await?;
                    if fits.len() < piece.len() {
                        // It does not keep to its limit: cut, as if it had ended there by itself.
                        self.finish = Some(Finish::Length);
                        break;
                    }
                }
                Some(Ok(Piece::End { finish, tokens })) => {
                    (self.finish, self.tokens) = (Some(finish), tokens);
                    break;
                }
                Some(Err(error)) => return Err(JokesError::BrokenOff(error)),
                None => return Err(JokesError::BrokenOff(ModelError::Malformed("no end".to_owned()))),
            }
        }
        if self.finish == Some(Finish::Filtered) {
            return Err(JokesError::Declined);
        }
        let rest = self.window.take().map(Window::finish).transpose().map_err(JokesError::RefusedAnswer)?;
        self.tell(rest.unwrap_or_default(), until).await
    }

    /// As much of a piece as the answer may still have.
    fn fitting<'a>(&self, piece: &'a str) -> &'a str {
        let (mut ascii, mut other) = self.length;
        let is_beyond = |(_, c): &(usize, char)| {
            if c.is_ascii() {
                ascii += 1
            } else {
                other += 1
            }
            budget::weigh((ascii, other)) > self.most
        };
        let end = piece.char_indices().find(is_beyond).map_or(piece.len(), |(at, _)| at);
        piece.get(..end).unwrap_or_default()
    }

    async fn take(&mut self, piece: &str, until: &Until) -> Result<()> {
        self.text.push_str(piece);
        let ascii = piece.chars().filter(char::is_ascii).count();
        self.length.0 += ascii;
        self.length.1 += piece.chars().count() - ascii;
        let told = match &mut self.telling {
            Some(telling) => telling.push(piece),
            None => piece.to_owned(),
        };
        let Some(window) = &mut self.window else { return Ok(()) };
        let passed = window.push(&told).map_err(JokesError::RefusedAnswer)?;
        self.tell(passed, until).await
    }

    async fn tell(&mut self, text: String, until: &Until) -> Result<()> {
        if !self.streams || text.is_empty() {
            return Ok(());
        }
        self.is_seen = true;
        until.send(Event::Delta(text)).await
    }

    /// As the provider says, or as counted here. Some servers send zeros for what they do not count, but no call is without a
    /// prompt, and no text without tokens.
    fn used(&self, prompt: &Prompt) -> Tokens {
        let is_count = |tokens: &Tokens| tokens.input > 0 && (tokens.output > 0 || self.text.is_empty());
        self.tokens.filter(is_count).unwrap_or_else(|| Tokens {
            input: budget::count_prompt(prompt),
            output: budget::weigh(self.length),
        })
    }

    /// By OpenTelemetry's names.
    fn finish_reason(&self) -> &'static str {
        match self.finish {
            Some(Finish::Stop) => "stop",
            Some(Finish::Length) => "length",
            Some(Finish::Filtered) => "content_filter",
            None => "error",
        }
    }
}
