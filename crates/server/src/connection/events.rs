//! What may end a connection, beside its peer and itself.

use std::pin::Pin;

use mesh_lifecycle::Lifecycle;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::Limits;

/// What comes to a connection from outside of it.
pub(super) enum Event {
    /// The preface should be there by now: said once.
    Preface,
    /// This side has other certificates.
    Renewed,
    /// It is old.
    Aged,
    /// The process closes.
    Closing,
}

/// The events of one connection.
pub(super) struct Events {
    preface: Pin<Box<Sleep>>,
    aged: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    generation: watch::Receiver<u64>,
}

impl Events {
    /// Of a connection that is old at a moment.
    pub(super) fn of(
        lifecycle: &Lifecycle,
        limits: &Limits,
        generation: watch::Receiver<u64>,
        old: Instant,
    ) -> Self {
        Self {
            preface: Box::pin(sleep(limits.handshake)),
            aged: Box::pin(sleep_until(old)),
            closing: Box::pin(lifecycle.stop_token().cancelled_owned()),
            generation,
        }
    }

    /// The next one, and those that come after it.
    pub(super) async fn next(mut self) -> (Event, Self) {
        let event = tokio::select! {
            () = &mut self.preface, if !self.preface.is_elapsed() => Event::Preface,
            Ok(()) = self.generation.changed() => Event::Renewed,
            () = &mut self.aged => Event::Aged,
            () = &mut self.closing => Event::Closing,
        };
        (event, self)
    }

    /// It is old at another moment.
    pub(super) fn age_at(&mut self, old: Instant) {
        self.aged.as_mut().reset(old);
    }
}
