//! The generic cell rate algorithm as a pure function of the clock and of one stored instant.
//!
//! The stored instant is the "theoretical arrival time" (ITU-T I.371): when the bucket would be full again.

use std::time::Duration;

use super::Quota;

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it may go on.
    pub(crate) allowed: bool,
    /// How many more may come at once.
    pub(crate) remaining: u32,
    /// Until the bucket is full again.
    pub(crate) reset: Duration,
    /// Until the next one may come; zero if allowed.
    pub(crate) retry_after: Duration,
}

/// The verdict at `now`, and the instant to store if the call is allowed. All in microseconds of one clock.
pub(crate) fn decide(stored: Option<u64>, now: u64, quota: Quota) -> (Verdict, Option<u64>) {
    let interval = quota.interval_micros();
    let burst = interval.saturating_mul(u64::from(quota.limit()));
    let full = stored.unwrap_or(now).max(now);
    let next = full.saturating_add(interval);
    let earliest = next.saturating_sub(burst);
    if now < earliest {
        return (verdict(false, 0, full - now, earliest - now), None);
    }
    let left = burst.saturating_sub(next - now) / interval;
    (verdict(true, left, next - now, 0), Some(next))
}

/// From the figures that [`decide`] and the script in Redis give.
pub(crate) fn verdict(allowed: bool, remaining: u64, reset: u64, retry_after: u64) -> Verdict {
    Verdict {
        allowed,
        remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
        reset: Duration::from_micros(reset),
        retry_after: Duration::from_micros(retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_of_the_limit_passes_and_then_one_each_interval() {
        let quota = Quota::new(3, Duration::from_secs(3)).unwrap();
        let mut stored = None;
        for left in [2, 1, 0] {
            let (verdict, next) = decide(stored, SECOND, quota);
            assert!(verdict.allowed);
            assert_eq!(verdict.remaining, left);
            stored = next;
        }
        let (refused, none) = decide(stored, SECOND, quota);
        assert!(!refused.allowed && none.is_none());
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(!decide(stored, 2 * SECOND - 1, quota).0.allowed);
        assert!(decide(stored, 2 * SECOND, quota).0.allowed);
        assert_eq!(
            decide(stored, 100 * SECOND, quota).0.remaining,
            2,
            "a rest fills the bucket, and no more"
        );
    }

    #[test]
    fn a_clock_that_steps_back_refuses_no_longer_than_a_window() {
        let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
        let (_, stored) = decide(None, 10 * SECOND, quota);
        let (refused, _) = decide(stored, 9 * SECOND, quota);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_secs(2));
    }
}
