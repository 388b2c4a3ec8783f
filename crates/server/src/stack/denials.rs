//! Which denials are written to the audit trail.
//!
//! A caller that is denied over and over says nothing new, and must not be able to fill the log: of each caller a burst
//! is written and then one line a second, which says how many went before it unwritten. The metric counts them all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_identity::SpiffeId;
use tokio::time::Instant;

/// Lines of one caller at once.
const BURST: u32 = 60;
/// How long it takes to earn one more.
const EARN: Duration = Duration::from_secs(1);
/// Callers that are remembered; far more than a mesh has.
const CALLERS: usize = 1024;

/// The denied callers of a server.
#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<SpiffeId, Caller>>);

struct Caller {
    lines: u32,
    earned: Instant,
    unwritten: u64,
}

impl Denials {
    /// Counts a denial. When it is to be written, how many of the same caller were not since the last that was.
    pub(super) fn count(&self, caller: &SpiffeId) -> Option<u64> {
        let now = Instant::now();
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS && !callers.contains_key(caller) {
            callers.clear();
        }
        let fresh = || Caller { lines: BURST, earned: now, unwritten: 0 };
        callers.entry(caller.clone()).or_insert_with(fresh).count(now)
    }
}

impl Caller {
    fn count(&mut self, now: Instant) -> Option<u64> {
        let steps = now.saturating_duration_since(self.earned).as_secs() / EARN.as_secs();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.lines = self.lines.saturating_add(steps).min(BURST);
        self.earned += EARN * steps;
        let Some(left) = self.lines.checked_sub(1) else {
            self.unwritten += 1;
            return None;
        };
        self.lines = left;
        Some(std::mem::take(&mut self.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> SpiffeId {
        format!("spiffe://quipu.local/ns/quipu/sa/{name}").parse().expect("valid")
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_on_and_on_is_written_once_a_second() {
        let (denials, loud) = (Denials::default(), id("loud"));
        let written = |n: u32| (0..n).filter_map(|_| denials.count(&loud)).collect::<Vec<_>>();
        assert_eq!(written(1000), vec![0; 60]);
        assert_eq!(denials.count(&id("quiet")), Some(0), "it silences nobody else");
        tokio::time::advance(Duration::from_millis(2500)).await;
        assert_eq!(written(1000), [940, 0]);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(written(1), [998]);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(written(1000).len(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_callers_is_bounded() {
        let denials = Denials::default();
        for n in 0..3000 {
            denials.count(&id(&format!("w{n}")));
        }
        assert!(denials.0.lock().expect("nobody panicked").len() <= CALLERS);
    }
}
