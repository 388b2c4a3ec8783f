//! The moment at which a call ends, on this host and on the wire.
//!
//! A [`Deadline`] is made once, where a call enters, and only ever shrinks. On the wire it is what is left of it
//! (`grpc-timeout`), rounded down, so that a child never has more time than its parent. Expiry is DEADLINE_EXCEEDED,
//! never CANCELLED.

mod body;
mod guard;
mod layer;
mod service;
mod watch;
mod wire;

use std::time::Duration;

pub use body::{BoundedBody, TrackedBody};
pub use layer::{Bounds, DeadlineLayer};
pub use service::DeadlineService;
use tokio::time::Instant;
pub use watch::Expiry;
pub use wire::{GRPC_TIMEOUT, Malformed, parse_grpc_timeout, timeout_of};

/// The moment at which a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// Longer than any call; keeps the arithmetic of instants from overflowing when a peer asks for eleven thousand years.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Deadline {
    /// So much time from now, at most a year.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self(Instant::now() + left.min(FOREVER))
    }

    /// The time that is left; zero when it has expired.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether no time is left.
    #[must_use]
    pub fn is_expired(self) -> bool {
        self.remaining().is_zero()
    }

    /// The moment itself.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// What fails when it has expired.
    #[must_use]
    pub fn error() -> mesh_error::Error {
        Expiry::Total.into_error()
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_and_ends() {
        let deadline = Deadline::after(Duration::from_secs(2));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(deadline.remaining(), Duration::from_millis(1500));
        assert!(!deadline.is_expired());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert!(deadline.is_expired());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_one_wins_and_none_overflows() {
        let (short, long) = (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::MAX));
        assert_eq!(short.min(long), short);
        assert_eq!(long.remaining(), FOREVER);
    }
}
