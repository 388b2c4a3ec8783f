//! Who answers: the model that was asked, or one that stands in for it. Another try, or another model, only as long as nothing
//! of an answer has come.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use mesh_error::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::pay::Reservation;
use super::{Caller, Event, Jokes, trace};
use crate::budget;
use crate::error::{JokesError, Result};
use crate::guard::Window;
use crate::metrics;
use crate::models::Entry;
use crate::ports::{Answer, ModelError, Prompt, Tokens};

/// Tries of one model.
pub(crate) const TRIES: u32 = 2;
/// Before another try of the same model; half to all of it, so that many do not come back at once.
const PAUSE: Duration = Duration::from_millis(200);
/// A provider that wants to be left alone for longer is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a call is worked on: until its time is over, or until its caller leaves.
pub(super) struct Until {
    pub(super) end: Instant,
    pub(super) events: mpsc::Sender<Result<Event>>,
}

/// A model that has begun to answer.
pub(super) struct Asked {
    pub(super) entry: Arc<Entry>,
    pub(super) answer: Answer,
    /// Through which the answer leaves.
    pub(super) window: Window,
    pub(super) reservation: Reservation,
    /// Whether it stands in for another.
    pub(super) fallback: bool,
    /// Of the call to the provider, up to the end of its answer.
    pub(super) span: Span,
}

impl Until {
    /// The result of `work`, if it comes in time and somebody still waits for it.
    pub(super) async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.events.closed() => Err(JokesError::Left),
            done = work => Ok(done),
            () = tokio::time::sleep_until(self.end) => Err(JokesError::Expired),
        }
    }

    /// Sends an event to the caller.
    pub(super) async fn send(&self, event: Event) -> Result<()> {
        self.race(self.events.send(Ok(event))).await?.map_err(|_| JokesError::Left)
    }
}

impl Jokes {
    /// Asks one model after the other.
    pub(super) async fn ask(
        &self,
        caller: &Caller,
        chain: &[Arc<Entry>],
        prompt: &Prompt,
        until: &Until,
    ) -> Result<Asked> {
        let mut last = None;
        for (place, entry) in chain.iter().enumerate() {
            for attempt in 1..=TRIES {
                if !entry.breaker.admits() {
                    metrics::called(&entry.info().name, "breaker_open");
                    break;
                }
                match self.try_one(caller, entry, prompt, until).await? {
                    Ok(asked) => return Ok(Asked { fallback: place > 0, ..asked }),
                    Err(error) => {
                        tracing::warn!(model = entry.info().name, attempt, %error, "a model does not answer");
                        let pause = pause(&error).filter(|_| attempt < TRIES);
                        // That a stand-in cannot do it does not hide why the model failed that was asked for.
                        if last.is_none() || !matches!(error, ModelError::Unable(..)) {
                            last = Some(error);
                        }
                        let Some(pause) = pause else { break };
                        until.race(tokio::time::sleep(pause)).await?;
                    }
                }
            }
        }
        match last {
            Some(error @ ModelError::Rejected(_)) => Err(JokesError::Rejected(error)),
            Some(ModelError::Unable(field, why)) => Err(Error::invalid_field(field, why).into()),
            last => Err(JokesError::NoModel(last)),
        }
    }

    /// One call to one model. A call that brought nothing costs nothing; one that was given up may have been worked on.
    async fn try_one(
        &self,
        caller: &Caller,
        entry: &Arc<Entry>,
        prompt: &Prompt,
        until: &Until,
    ) -> Result<std::result::Result<Asked, ModelError>> {
        let reserve = self.reserve(caller, budget::most(prompt), entry.price);
        // What needs no budget is made ready while the database works.
        let ready = async { (self.guards.window(&prompt.system), entry.model.answer(prompt)) };
        let (reservation, (window, answer)) = join(reserve, ready).await;
        let reservation = reservation?;
        let (span, name) = (trace::call(entry, prompt), &entry.info().name);
        if self.rules.captures {
            trace::asked(&span, prompt);
        }
        match until.race(answer.instrument(span.clone())).await {
            Ok(Ok(answer)) => {
                let entry = Arc::clone(entry);
                Ok(Ok(Asked { entry, answer, window, reservation, fallback: false, span }))
            }
            Ok(Err(error)) => {
                trace::fail(&span, error.name());
                metrics::called(name, error.name());
                if error.is_transient() {
                    entry.breaker.failed();
                }
                self.settle(&reservation, budget::Amount::default()).await?;
                Ok(Err(error))
            }
            Err(given_up) => {
                trace::fail(&span, given_up.outcome());
                metrics::called(name, given_up.outcome());
                let input = Tokens { input: budget::count_prompt(prompt), output: 0 };
                self.settle(&reservation, reservation.bill(name, input).0).await?;
                Err(given_up)
            }
        }
    }
}

/// How long to wait before the same model is asked once more, if that may help.
pub(crate) fn pause(error: &ModelError) -> Option<Duration> {
    let jittered = |pause: Duration| pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
    match error {
        ModelError::RateLimited { retry_after: Some(after) } => {
            Some(*after).filter(|after| *after <= LONGEST_PAUSE)
        }
        ModelError::RateLimited { retry_after: None } | ModelError::Unavailable(_) => Some(jittered(PAUSE)),
        // Another try would take as long, or fail alike.
        ModelError::Timeout(_)
        | ModelError::Rejected(_)
        | ModelError::Unable(..)
        | ModelError::Malformed(_) => None,
    }
}
