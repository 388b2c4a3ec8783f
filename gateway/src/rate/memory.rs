//! Counts of this replica alone, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use mesh_error::Error;
use tokio::time::Instant;

use super::{Buckets, Quota, Verdict, gcra};

/// At most so many callers are remembered; some 10 MiB.
const CAPACITY: usize = 100_000;

/// Buckets in process.
pub(crate) struct MemoryBuckets {
    start: Instant,
    capacity: usize,
    full_at: Mutex<HashMap<String, u64>>,
}

impl Default for MemoryBuckets {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl MemoryBuckets {
    fn with_capacity(capacity: usize) -> Self {
        Self { start: Instant::now(), capacity, full_at: Mutex::default() }
    }

    /// As [`Buckets::take`], which here can neither wait nor fail.
    pub(crate) fn take_now(&self, key: &str, quota: Quota) -> Verdict {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let (verdict, next) = gcra::decide(full_at.get(key).copied(), now, quota);
        if let Some(next) = next {
            if full_at.len() >= self.capacity && !full_at.contains_key(key) {
                make_room(&mut full_at, now);
            }
            full_at.insert(key.to_owned(), next);
        }
        verdict
    }
}

/// A full bucket is the same as none. If that frees nothing, the half that owes least is forgotten: who floods with
/// many names gains a burst for each, never for one that is already over its limit.
fn make_room(full_at: &mut HashMap<String, u64>, now: u64) {
    let before = full_at.len();
    full_at.retain(|_, full| *full > now);
    if full_at.len() == before {
        let mut debts: Vec<u64> = full_at.values().copied().collect();
        let middle = debts.len() / 2;
        let (_, median, _) = debts.select_nth_unstable(middle);
        let median = *median;
        full_at.retain(|_, full| *full > median);
    }
}

#[async_trait]
impl Buckets for MemoryBuckets {
    async fn take(&self, key: &str, quota: Quota) -> Result<Verdict, Error> {
        Ok(self.take_now(key, quota))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_stays_bounded_and_debtors_are_remembered() {
        let buckets = MemoryBuckets::with_capacity(10);
        let quota = Quota::new(2, Duration::from_secs(60)).unwrap();
        for _ in 0..3 {
            buckets.take_now("greedy", quota);
        }
        for n in 0..100 {
            buckets.take_now(&format!("passer-by {n}"), quota);
            assert!(buckets.full_at.lock().unwrap().len() <= 10);
        }
        assert!(!buckets.take_now("greedy", quota).allowed);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(buckets.take_now("greedy", quota).allowed);
    }
}
