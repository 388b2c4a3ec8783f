//! The wall clock as a dependency, so that a test can set it.

use std::time::{SystemTime, UNIX_EPOCH};

/// What time it is. `std::time::SystemTime::now` is one.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync> Clock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}

/// Whole seconds since 1970; 0 for a clock before that, at which every token comes from the future.
pub(crate) fn unix_seconds(clock: &dyn Clock) -> u64 {
    clock.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
