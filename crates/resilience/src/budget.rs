//! How much a layer of retries may add to the load it puts on others.
//!
//! Every original call earns a part of a retry, and some come with time, so that a channel with little traffic can
//! retry at all. Both are kept only up to a limit: what was saved in good times must not become a storm in bad ones.
//! So at most `ratio` × originals + `per_second` × time + both limits are sent again, whatever happens.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// What retries may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Retries that each original call earns.
    pub ratio: f64,
    /// Retries earned per second; at most one second's worth is kept.
    pub per_second: f64,
    /// How many earned by originals are kept.
    pub keep: f64,
}

impl Default for Budget {
    /// 20 % of originals and 10 a second.
    fn default() -> Self {
        Self { ratio: 0.2, per_second: 10.0, keep: 50.0 }
    }
}

/// The budget of one channel.
#[derive(Debug)]
pub struct RetryBudget {
    budget: Budget,
    purse: Mutex<Purse>,
}

#[derive(Debug)]
struct Purse {
    earned: f64,
    reserve: f64,
    at: Instant,
}

impl RetryBudget {
    /// Starts with the reserve of one second.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let purse = Purse { earned: 0.0, reserve: budget.per_second, at: Instant::now() };
        Self { budget, purse: Mutex::new(purse) }
    }

    /// An original call was sent.
    pub fn deposit(&self) {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        purse.earned = (purse.earned + self.budget.ratio).min(self.budget.keep);
    }

    /// Whether one more retry may be sent; it is paid for then.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let came = now.duration_since(purse.at).as_secs_f64() * self.budget.per_second;
        purse.reserve = (purse.reserve + came).min(self.budget.per_second);
        purse.at = now;
        let from = if purse.earned >= ONE { &mut purse.earned } else { &mut purse.reserve };
        let affordable = *from >= ONE;
        if affordable {
            *from -= 1.0;
        }
        affordable
    }
}

/// The price of a retry, less what adding fractions may lose.
const ONE: f64 = 1.0 - 1e-9;

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(Budget::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spend(budget: &RetryBudget) -> usize {
        std::iter::repeat_with(|| budget.withdraw()).take_while(|paid| *paid).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_channel_has_ten_a_second_and_saves_no_more() {
        let budget = RetryBudget::default();
        assert_eq!(spend(&budget), 10);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(spend(&budget), 5);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(spend(&budget), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn originals_earn_a_fifth_each() {
        let budget = RetryBudget::default();
        spend(&budget);
        (0..100).for_each(|_| budget.deposit());
        assert_eq!(spend(&budget), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn good_times_do_not_pay_for_a_storm() {
        let budget = RetryBudget::default();
        (0..1_000_000).for_each(|_| budget.deposit());
        assert_eq!(spend(&budget), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_outage_is_amplified_by_a_fifth_at_most() {
        let budget = RetryBudget::default();
        let mut retries = 0;
        for _ in 0..5000 {
            budget.deposit();
            tokio::time::advance(Duration::from_millis(4)).await;
            // Each failed call would like two more attempts.
            retries += (0..2).filter(|_| budget.withdraw()).count();
        }
        assert!((1000..=1000 + 20 * 10 + 10).contains(&retries), "{retries}");
    }
}
