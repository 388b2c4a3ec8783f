//! One timer for both limits of a call: the total one, and the idle one that each message pushes back.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use mesh_error::{Error, Kind};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Deadline;

/// Which limit ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Its deadline.
    Total,
    /// Nothing was sent either way for too long.
    Idle,
}

impl Expiry {
    /// The failure that the caller sees.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Total => Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline has passed"),
            Self::Idle => Error::new(
                Kind::DeadlineExceeded,
                "STREAM_IDLE",
                "nothing was sent on the stream for too long",
            ),
        }
    }
}

/// When something last happened on a stream, shared by both of its directions.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    origin: Instant,
    micros: Arc<AtomicU64>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), micros: Arc::default() }
    }

    pub(super) fn touch(&self) {
        let since = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.store(since, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

/// The limits of one call.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Deadline,
    pub(super) idle: Option<Duration>,
    pub(super) activity: Activity,
}

impl Limits {
    pub(super) fn new(deadline: Deadline, idle: Option<Duration>) -> Self {
        Self { deadline, idle, activity: Activity::new() }
    }

    /// Which limit has passed by now, or when to look again.
    pub(super) fn check(&self, now: Instant) -> Result<Instant, Expiry> {
        let end = self.deadline.instant();
        if end <= now {
            return Err(Expiry::Total);
        }
        let Some(idle) = self.idle else { return Ok(end) };
        let quiet = self.activity.last() + idle;
        if quiet <= now { Err(Expiry::Idle) } else { Ok(quiet.min(end)) }
    }
}

/// Limits and the one timer that watches them. It begins with the first wait: most calls never wait. Activity does not reset
/// it; it looks again when it fires.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) limits: Limits,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, timer: None }
    }

    /// The limit that has passed by now; nobody is woken later.
    pub(super) fn expired(&self) -> Option<Expiry> {
        self.limits.check(Instant::now()).err()
    }

    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Expiry> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            match (self.limits.check(Instant::now()), &mut self.timer) {
                (Ok(next), Some(timer)) => timer.as_mut().reset(next),
                (Ok(next), None) => self.timer = Some(Box::pin(sleep_until(next))),
                (Err(expiry), _) => return Poll::Ready(expiry),
            }
        }
    }
}
