//! A breaker: a provider that failed several times in a row is left alone for a while, then tried by one call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try.
const PAUSE: Duration = Duration::from_secs(10);

/// The breaker of one model.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until when nobody may try; then one.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made now. Of those that ask when the pause is over only one may; the others wait for one more pause
    /// or for its success.
    pub(crate) fn admits(&self) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.open_until = Some(Instant::now() + PAUSE);
                true
            }
        }
    }

    /// The provider answered.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The provider failed.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        state.failures += 1;
        if state.failures >= FAILURES {
            state.open_until = Some(Instant::now() + PAUSE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_five_failures_and_lets_one_try_later() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.admits());
            breaker.failed();
        }
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "one may try");
        assert!(!breaker.admits(), "and only one");
        breaker.succeeded();
        assert!(breaker.admits() && breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_forgets_failures() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.failed();
            }
            breaker.succeeded();
        }
        assert!(breaker.admits());
    }
}
