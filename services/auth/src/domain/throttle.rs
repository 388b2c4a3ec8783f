//! How guessing is slowed down without locking the owner out.
//!
//! Two limits. Each account takes a few attempts at once, then each must wait longer, and 20 an hour in all. Each source
//! (see [`Source`]) may fail so often an hour, over all accounts. An owner who signs in from where the account is
//! known is counted apart from everybody else, so that no one else's guesses can use up her attempts, and does not wait
//! for her place either.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::Source;

/// How attempts at one account are limited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountLimits {
    /// Attempts in an hour.
    pub(crate) most: i64,
    /// Attempts that need not wait.
    pub(crate) free: i64,
    /// The first wait; each further one is twice as long.
    pub(crate) first_wait: Duration,
    /// The longest wait.
    pub(crate) longest_wait: Duration,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self { most: 20, free: 5, first_wait: Duration::seconds(1), longest_wait: Duration::minutes(5) }
    }
}

/// What is remembered of the attempts at one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) window_began: DateTime<Utc>,
    pub(crate) count: i64,
    pub(crate) blocked_until: DateTime<Utc>,
}

/// Over which attempts are counted.
pub(crate) fn window() -> Duration {
    Duration::hours(1)
}

impl AccountLimits {
    /// One more attempt, before it is known whether it succeeds: what to remember, or how long to wait. Nothing is counted
    /// for an attempt that is refused, so waiting always ends.
    pub(crate) fn attempt(
        &self,
        so_far: Option<&Attempts>,
        now: DateTime<Utc>,
    ) -> Result<Attempts, Duration> {
        let so_far = so_far.filter(|attempts| now < attempts.window_began + window());
        let Some(so_far) = so_far else {
            return Ok(Attempts { window_began: now, count: 1, blocked_until: now });
        };
        if so_far.count >= self.most {
            return Err(so_far.window_began + window() - now);
        }
        if now < so_far.blocked_until {
            return Err(so_far.blocked_until - now);
        }
        let count = so_far.count + 1;
        Ok(Attempts { window_began: so_far.window_began, count, blocked_until: now + self.wait_after(count) })
    }

    fn wait_after(&self, count: i64) -> Duration {
        let over = u32::try_from((count - self.free).clamp(0, 31)).unwrap_or_default();
        if over == 0 {
            return Duration::zero();
        }
        let factor = 1_i32.checked_shl(over - 1).unwrap_or(i32::MAX);
        self.first_wait.checked_mul(factor).map_or(self.longest_wait, |wait| wait.min(self.longest_wait))
    }
}

/// Failures of each source in the last hour, of one process. Bounded: when it is full, what is oldest goes.
#[derive(Debug)]
pub(crate) struct SourceLimits {
    most: u32,
    capacity: usize,
    failures: HashMap<Source, (DateTime<Utc>, u32)>,
}

impl SourceLimits {
    /// `most` failures an hour from one source, remembering `capacity` sources.
    pub(crate) fn new(most: u32, capacity: usize) -> Self {
        Self { most, capacity, failures: HashMap::new() }
    }

    /// Whether the source may try again, or how long it must wait.
    pub(crate) fn check(&self, source: &Source, now: DateTime<Utc>) -> Result<(), Duration> {
        match self.failures.get(source) {
            Some((began, count)) if *count >= self.most && now < *began + window() => {
                Err(*began + window() - now)
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure. What is unknown is no place: nobody has to wait for what others did there.
    pub(crate) fn fail(&mut self, source: Source, now: DateTime<Utc>) {
        if !source.is_known() {
            return;
        }
        if !self.failures.contains_key(&source) {
            self.make_room(now);
        }
        let entry = self.failures.entry(source).or_insert((now, 0));
        if now >= entry.0 + window() {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        if self.failures.len() < self.capacity {
            return;
        }
        self.failures.retain(|_, (began, _)| now < *began + window());
        if self.failures.len() < self.capacity {
            return;
        }
        // A tenth at once, so that a full table is not searched for every newcomer.
        let mut ages: Vec<DateTime<Utc>> = self.failures.values().map(|(began, _)| *began).collect();
        ages.sort_unstable();
        if let Some(limit) = ages.get(self.capacity / 10).copied() {
            self.failures.retain(|_, (began, _)| *began > limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Client;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn source(number: u32) -> Source {
        Client::new(&std::net::Ipv4Addr::from(number).to_string(), "").source()
    }

    #[test]
    fn at_most_twenty_of_a_thousand_guesses_an_hour_pass() {
        let limits = AccountLimits::default();
        let (mut state, mut passed) = (None, 0);
        for guess in 0..1_000 {
            if let Ok(next) = limits.attempt(state.as_ref(), at(guess * 3)) {
                state = Some(next);
                passed += 1;
            }
        }
        assert!(passed <= 20, "{passed}");
        assert!(passed > 5, "{passed}");
    }

    #[test]
    fn waits_double_and_are_bounded() {
        let limits = AccountLimits::default();
        let waits: Vec<i64> = (1..=20).map(|count| limits.wait_after(count).num_seconds()).collect();
        assert_eq!(waits[..9], [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert!(waits.iter().all(|wait| *wait <= 300));
        assert_eq!(limits.wait_after(i64::MAX).num_seconds(), 300);
    }

    #[test]
    fn who_waits_as_told_gets_through() {
        let limits = AccountLimits::default();
        let (mut now, mut state) = (at(0), None);
        for _ in 0..60 {
            match limits.attempt(state.as_ref(), now) {
                Ok(next) => state = Some(next),
                Err(wait) => {
                    now += wait;
                    state = Some(limits.attempt(state.as_ref(), now).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_source_is_refused_after_its_failures_and_forgiven_after_an_hour() {
        let mut limits = SourceLimits::new(3, 100);
        for _ in 0..3 {
            limits.check(&source(1), at(0)).unwrap();
            limits.fail(source(1), at(0));
        }
        assert_eq!(limits.check(&source(1), at(600)).unwrap_err().num_seconds(), 3_000);
        limits.check(&source(2), at(600)).unwrap();
        limits.check(&source(1), at(3_600)).unwrap();
        limits.fail(source(1), at(3_600));
        limits.check(&source(1), at(3_601)).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let mut limits = SourceLimits::new(3, 100);
        for number in 0..10_000 {
            limits.fail(source(number), at(i64::from(number) / 100));
            assert!(limits.failures.len() <= 100);
        }
        assert!(limits.failures.contains_key(&source(9_999)));
    }
}
