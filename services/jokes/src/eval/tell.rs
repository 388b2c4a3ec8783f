//! One joke, told as the service tells it, and judged on the way.

use std::sync::Arc;

use futures::StreamExt as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Evaluator, Scores};
use crate::budget;
use crate::domain::{JokeRequest, Told, Usage};
use crate::error::{JokesError, Result};
use crate::guard::{Refusal, Window};
use crate::models::Entry;
use crate::ports::{Answer, Finish, ModelError, Piece, Prompt, Tokens};
use crate::service::ask::{TRIES, pause};
use crate::service::prompt;
use crate::structured::{self, Unfit};

/// A joke on its way.
pub(super) struct Telling<'a> {
    evaluator: &'a Evaluator,
    entry: &'a Arc<Entry>,
    end: Instant,
    tokens: Tokens,
    pub(super) scores: Scores,
}

/// A whole answer.
struct Said {
    text: String,
    finish: Finish,
    /// What the guards say of it as it came.
    refusal: Option<Refusal>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(evaluator: &'a Evaluator, entry: &'a Arc<Entry>, end: Instant) -> Self {
        Self { evaluator, entry, end, tokens: Tokens::default(), scores: Scores::default() }
    }

    /// What it used so far, of all tries.
    pub(super) fn usage(&self) -> Usage {
        let Tokens { input, output } = self.tokens;
        Usage { input_tokens: input, output_tokens: output, cost_nanos: self.entry.price.of(self.tokens) }
    }

    /// A joke that the guards refuse is told all the same, with its score.
    pub(super) async fn tell(&mut self, request: &JokeRequest) -> Result<Told> {
        let fields = [("topic", request.topic.as_str()), ("audience", request.params.audience.as_str())];
        for (field, text) in fields {
            let refused = |refusal| JokesError::RefusedInput { field: field.to_owned(), refusal };
            self.evaluator.guards.input(text).map_err(refused)?;
        }
        let prompt = prompt::joke(request, &self.evaluator.canary);
        let said = self.ask(&prompt).await?;
        let first = self.read(&said);
        self.scores.schema = Some(if first.is_ok() { 1.0 } else { 0.0 });
        match first {
            Err(JokesError::Unfit(fault)) => {
                let said = self.ask(&prompt::repair(&prompt, &said.text, &fault.0)).await?;
                self.read(&said)
            }
            first => first,
        }
    }

    /// The joke in an answer. What the guards refuse and is no joke either is not asked for again, as in the service.
    fn read(&mut self, said: &Said) -> Result<Told> {
        let told = match said.finish {
            Finish::Length => Err(Unfit("it was cut at its longest".to_owned())),
            Finish::Stop | Finish::Filtered => structured::parse(&said.text),
        };
        let as_shown = told.as_ref().map_or(Ok(()), |told| self.judge(told));
        let verdict = said.refusal.clone().map_or(as_shown, Err);
        self.scores.guard = match (&verdict, &told) {
            (Err(_), _) => Some(0.0),
            (Ok(()), Ok(_)) => Some(1.0),
            (Ok(()), Err(_)) => None,
        };
        told.map_err(|fault| verdict.map_or_else(JokesError::RefusedAnswer, |()| JokesError::Unfit(fault)))
    }

    fn judge(&self, told: &Told) -> std::result::Result<(), Refusal> {
        let mut window = self.evaluator.guards.window("");
        window.push(&structured::spoken(told))?;
        window.finish().map(|_| ())
    }

    /// Another try only as long as nothing of an answer has come.
    async fn ask(&mut self, prompt: &Prompt) -> Result<Said> {
        let mut attempt = 1;
        loop {
            let Ok(begun) = timeout_at(self.end, self.entry.model.answer(prompt)).await else {
                self.count(Tokens { input: budget::count_prompt(prompt), output: 0 });
                return Err(JokesError::Expired);
            };
            let error = match begun {
                Ok(answer) => return self.follow(answer, prompt).await,
                Err(error) => error,
            };
            match pause(&error).filter(|_| attempt < TRIES) {
                Some(time) => timeout_at(self.end, sleep(time)).await.map_err(|_| JokesError::Expired)?,
                None if matches!(error, ModelError::Rejected(_)) => return Err(JokesError::Rejected(error)),
                None => return Err(JokesError::NoModel(Some(error))),
            }
            attempt += 1;
        }
    }

    /// Whatever becomes of the answer, what it used is counted.
    async fn follow(&mut self, mut answer: Answer, prompt: &Prompt) -> Result<Said> {
        let window = self.evaluator.guards.window(&prompt.system);
        let mut flow =
            Flow { text: String::new(), window: Some(window), refusal: None, telling: Default::default() };
        let ended = timeout_at(self.end, flow.run(&mut answer, prompt.max_output_tokens)).await;
        let (finish, tokens) = match ended.unwrap_or(Err(JokesError::Expired)) {
            Ok((finish, tokens)) => (Ok(finish), tokens),
            Err(error) => (Err(error), None),
        };
        self.count(tokens.unwrap_or_else(|| Tokens {
            input: budget::count_prompt(prompt),
            output: budget::count(&flow.text),
        }));
        match finish? {
            Finish::Filtered => Err(JokesError::Declined),
            finish => Ok(flow.said(finish)),
        }
    }

    fn count(&mut self, tokens: Tokens) {
        self.tokens.input = self.tokens.input.saturating_add(tokens.input);
        self.tokens.output = self.tokens.output.saturating_add(tokens.output);
    }
}

/// An answer that is being said.
struct Flow {
    text: String,
    /// None when it has refused.
    window: Option<Window>,
    refusal: Option<Refusal>,
    telling: structured::Telling,
}

impl Flow {
    /// To the end of the answer, or to where it is cut since it does not keep to its limit.
    async fn run(&mut self, answer: &mut Answer, most: u32) -> Result<(Finish, Option<Tokens>)> {
        loop {
            match answer.next().await {
                Some(Ok(Piece::Text(piece))) => {
                    self.take(&piece);
                    if budget::count(&self.text) > most {
                        return Ok((Finish::Length, None));
                    }
                }
                Some(Ok(Piece::End { finish, tokens })) => return Ok((finish, tokens)),
                Some(Err(error)) => return Err(JokesError::BrokenOff(error)),
                None => return Err(JokesError::BrokenOff(ModelError::Malformed("no end".to_owned()))),
            }
        }
    }

    fn take(&mut self, piece: &str) {
        self.text.push_str(piece);
        let told = self.telling.push(piece);
        if let Some(Err(refusal)) = self.window.as_mut().map(|window| window.push(&told)) {
            (self.window, self.refusal) = (None, Some(refusal));
        }
    }

    fn said(mut self, finish: Finish) -> Said {
        if let Some(Err(refusal)) = self.window.take().map(Window::finish) {
            self.refusal = Some(refusal);
        }
        Said { text: self.text, finish, refusal: self.refusal }
    }
}
