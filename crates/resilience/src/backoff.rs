//! Waiting before the next attempt: exponential with full jitter.
//!
//! A delay is drawn evenly from zero to the bound, which doubles with each attempt; callers that failed together do
//! not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter").

use std::time::Duration;

use rand::Rng;

/// Bounds of the delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Bound of the first delay.
    pub base: Duration,
    /// Bound of every delay.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// The delay before another attempt after `failures` failed ones (from 1).
    pub fn delay(&self, failures: u32, random: &mut impl Rng) -> Duration {
        self.bound(failures).mul_f64(random.random::<f64>())
    }

    /// The longest that the delay can be.
    #[must_use]
    pub fn bound(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.base.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_limit() {
        let backoff = Backoff { base: Duration::from_millis(10), max: Duration::from_millis(65) };
        let bounds: Vec<_> = (1..6).map(|n| backoff.bound(n).as_millis()).collect();
        assert_eq!(bounds, [10, 20, 40, 65, 65]);
        assert_eq!(backoff.bound(u32::MAX), backoff.max);
    }

    #[test]
    fn delays_spread_over_the_whole_range() {
        let backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(1) };
        let mut random = StdRng::seed_from_u64(7);
        let delays: Vec<_> = (0..1000).map(|_| backoff.delay(1, &mut random).as_millis()).collect();
        assert!(delays.iter().all(|d| *d <= 100));
        let low = delays.iter().filter(|d| **d < 50).count();
        assert!((400..600).contains(&low), "{low} of 1000 in the lower half");
    }
}
