//! What may end a connection, beside its peer and itself.

use std::{
    future::pending,
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mesh_lifecycle::Lifecycle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// How often a connection is judged.
const TICK: Duration = Duration::from_millis(500);

/// Connections are judged at multiples of this, many at a time: to wake a sleeping processor costs more than to judge one.
const TOGETHER: u128 = 50;

/// What comes to a connection from outside of it.
pub(super) enum Event {
    /// The process closes: said once.
    Close,
    /// The process ends now.
    Abort,
    /// Its times are to be looked at.
    Tick,
}

/// The events of one connection.
pub(super) struct Events {
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    aborting: Pin<Box<WaitForCancellationFutureOwned>>,
    ticks: Interval,
}

impl Events {
    /// Of a connection of this process.
    pub(super) fn of(lifecycle: &Lifecycle) -> Self {
        let mut ticks = interval_at(Instant::now() + to_next_multiple(), TICK);
        // What is late is not moved away from the others.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            closing: Some(Box::pin(lifecycle.stop_token().cancelled_owned())),
            aborting: Box::pin(lifecycle.abort_token().cancelled_owned()),
            ticks,
        }
    }

    /// The next one, and those that come after it.
    pub(super) async fn next(mut self) -> (Event, Self) {
        let closing = async {
            match &mut self.closing {
                Some(closing) => closing.await,
                None => pending().await,
            }
        };
        let event = tokio::select! {
            () = &mut self.aborting => Event::Abort,
            () = closing => Event::Close,
            _ = self.ticks.tick() => Event::Tick,
        };
        if matches!(event, Event::Close) {
            self.closing = None;
        }
        (event, self)
    }
}

/// From now to the next multiple of [`TOGETHER`] milliseconds.
fn to_next_multiple() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Duration::from_millis(u64::try_from(TOGETHER - now % TOGETHER).unwrap_or_default())
}
