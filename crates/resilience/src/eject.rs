//! Which endpoints of a set to leave alone for a while.
//!
//! Two kinds of evidence weigh differently. *Unreachable* (no connection) is certain: the endpoint is ejected at once,
//! and all but one of the set may be. *Failure* (an answer, but a bad one, or silence) may be the fault of the call or
//! of something behind the endpoint that all share, so it takes several in a row, and at most half of the set may be
//! ejected for it. When the last endpoint in rotation turns out to be unreachable too, ejection tells nothing any
//! more and all come back. So there is always an endpoint to try, and a set of one is never ejected.
//!
//! An ejection that ends admits one call as a probe. Its success brings the endpoint back; its failure ejects it for
//! twice as long as before, up to a limit.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When and for how long endpoints are ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row that eject.
    pub failures: u32,
    /// The first ejection; each further one without a success in between lasts twice as long as the one before.
    pub first: Duration,
    /// The longest ejection.
    pub longest: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, first: Duration::from_secs(5), longest: Duration::from_secs(30) }
    }
}

/// What a call tells about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered; what it answered about the call is no fault of the endpoint.
    Success,
    /// It failed, or said nothing at all.
    Failure,
    /// There is no connection to it.
    Unreachable,
}

/// The ejected endpoints of one set.
#[derive(Debug)]
pub struct Outliers<K> {
    settings: Ejection,
    members: Mutex<HashMap<K, Member>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    failures: u32,
    ejections: u32,
    standing: Standing,
    /// When it was last ejected.
    ejected: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Standing {
    #[default]
    Good,
    Ejected {
        until: Instant,
    },
    /// A probe was sent; an answer to it may never be recorded, when its caller left.
    Probed {
        at: Instant,
    },
}

impl<K: Eq + Hash + Clone> Outliers<K> {
    /// Nobody is ejected.
    #[must_use]
    pub fn new(settings: Ejection) -> Self {
        Self { settings, members: Mutex::new(HashMap::new()) }
    }

    /// The set as it is now. What is known of those who stay is kept.
    pub fn retain(&self, keys: &[K]) {
        let mut members = self.lock();
        members.retain(|key, _| keys.contains(key));
        for key in keys {
            members.entry(key.clone()).or_default();
        }
    }

    /// Whether a call could go there now, be it as a probe.
    #[must_use]
    pub fn is_available(&self, key: &K) -> bool {
        self.lock().get(key).is_none_or(|member| member.is_available(self.settings.first))
    }

    /// Whether a call may go there now. After an ejection this takes the one probe.
    #[must_use]
    pub fn admit(&self, key: &K) -> bool {
        let mut members = self.lock();
        let Some(member) = members.get_mut(key) else { return true };
        let available = member.is_available(self.settings.first);
        if available && !matches!(member.standing, Standing::Good) {
            member.standing = Standing::Probed { at: Instant::now() };
        }
        available
    }

    /// What a call told that began at a moment. Says whether the endpoint is ejected by it. Of an endpoint that is out, a
    /// call from before its ejection tells nothing: neither is it back for that, nor has its probe failed.
    pub fn record(&self, key: &K, verdict: Verdict, began: Instant) -> bool {
        let mut members = self.lock();
        let size = members.len();
        let out = members.iter().filter(|(other, m)| *other != key && m.is_out()).count();
        let Some(member) = members.get_mut(key) else { return false };
        if member.is_out() && member.ejected.is_some_and(|ejected| began <= ejected) {
            return false;
        }
        if verdict == Verdict::Success {
            *member = Member::default();
            return false;
        }
        if matches!(member.standing, Standing::Ejected { until } if until > Instant::now()) {
            return false; // a call that had no better choice
        }
        member.failures = member.failures.saturating_add(1);
        let probed = matches!(member.standing, Standing::Probed { .. });
        let (guilty, most) = match verdict {
            Verdict::Unreachable => (true, size.saturating_sub(1)),
            Verdict::Failure | Verdict::Success => {
                (probed || member.failures >= self.settings.failures, size / 2)
            }
        };
        if guilty && out < most {
            member.eject(&self.settings);
            return true;
        }
        if guilty && out + 1 == size && verdict == Verdict::Unreachable {
            members.values_mut().for_each(|member| member.standing = Standing::Good);
        } else if probed {
            member.standing = Standing::Good;
        }
        false
    }

    /// How many are out of rotation.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.lock().values().filter(|member| member.is_out()).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn is_out(&self) -> bool {
        !matches!(self.standing, Standing::Good)
    }

    fn is_available(&self, patience: Duration) -> bool {
        match self.standing {
            Standing::Good => true,
            Standing::Ejected { until } => until <= Instant::now(),
            Standing::Probed { at } => at.elapsed() >= patience,
        }
    }

    fn eject(&mut self, settings: &Ejection) {
        let factor = 2_u32.saturating_pow(self.ejections);
        let lasts = settings.first.saturating_mul(factor).min(settings.longest);
        self.ejections = self.ejections.saturating_add(1);
        let now = Instant::now();
        self.ejected = Some(now);
        self.standing = Standing::Ejected { until: now + lasts };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(size: u8) -> Outliers<u8> {
        let outliers = Outliers::new(Ejection::default());
        outliers.retain(&(0..size).collect::<Vec<_>>());
        outliers
    }

    fn fail(outliers: &Outliers<u8>, key: u8, times: usize) -> usize {
        (0..times).filter(|_| outliers.record(&key, Verdict::Failure, Instant::now())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_eject_and_a_success_between_does_not() {
        let outliers = set(2);
        fail(&outliers, 0, 4);
        outliers.record(&0, Verdict::Success, Instant::now());
        assert_eq!(fail(&outliers, 0, 4), 0);
        assert!(outliers.is_available(&0));
        assert_eq!(fail(&outliers, 0, 1), 1);
        assert!(!outliers.is_available(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn ejections_double_up_to_the_limit_and_a_success_forgives() {
        let outliers = set(2);
        for seconds in [5, 10, 20, 30, 30] {
            assert!(outliers.record(&0, Verdict::Unreachable, Instant::now()));
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!outliers.admit(&0), "back before {seconds} s");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(outliers.admit(&0), "not back after {seconds} s");
        }
        outliers.record(&0, Verdict::Success, Instant::now());
        outliers.record(&0, Verdict::Unreachable, Instant::now());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(outliers.is_available(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_and_one_failure_of_it_ejects() {
        let outliers = set(2);
        fail(&outliers, 0, 5);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(outliers.admit(&0));
        assert!(!outliers.admit(&0), "a second probe");
        assert!(outliers.record(&0, Verdict::Failure, Instant::now()));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!outliers.is_available(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_before_the_ejection_neither_ends_it_nor_decides_the_probe() {
        let outliers = set(2);
        let before = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        outliers.record(&0, Verdict::Unreachable, Instant::now());
        outliers.record(&0, Verdict::Success, before);
        assert!(!outliers.is_available(&0), "an old answer brought it back");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(outliers.admit(&0));
        outliers.record(&0, Verdict::Success, before);
        assert_eq!(outliers.ejected(), 1, "an old answer is no answer to the probe");
        assert!(!outliers.record(&0, Verdict::Failure, before), "an old failure is none of the probe");
        outliers.record(&0, Verdict::Success, Instant::now());
        assert_eq!(outliers.ejected(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_answers_is_repeated() {
        let outliers = set(2);
        outliers.record(&0, Verdict::Unreachable, Instant::now());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(outliers.admit(&0));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(outliers.admit(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_never_eject_more_than_half() {
        for (size, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let outliers = set(size);
            (0..size).for_each(|key| assert!(fail(&outliers, key, 20) <= 1));
            assert_eq!(outliers.ejected(), most, "of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_unreachable_are_ejected_but_for_the_last_and_then_all_come_back() {
        let outliers = set(3);
        assert!(outliers.record(&0, Verdict::Unreachable, Instant::now()));
        assert!(outliers.record(&1, Verdict::Unreachable, Instant::now()));
        assert!(!outliers.record(&2, Verdict::Unreachable, Instant::now()), "the last one was ejected");
        assert_eq!(outliers.ejected(), 0);

        let only = set(1);
        assert!(!only.record(&0, Verdict::Unreachable, Instant::now()));
        assert!(only.is_available(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_set_forgets_who_left() {
        let outliers = set(2);
        outliers.record(&0, Verdict::Unreachable, Instant::now());
        outliers.retain(&[1, 2]);
        assert_eq!(outliers.ejected(), 0);
        outliers.retain(&[0, 1, 2]);
        assert!(outliers.is_available(&0));
    }
}
