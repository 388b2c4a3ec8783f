//! What the rules need from outside: the time and randomness.

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time.
pub(crate) trait Clock: Send + Sync {
    /// Now, to the microsecond, which is what both databases keep.
    fn now(&self) -> DateTime<Utc>;
}

/// Gives random bytes.
pub(crate) trait Random: Send + Sync {
    /// Fills `bytes` with what nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The clock of the machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// The random source of the operating system.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
}
