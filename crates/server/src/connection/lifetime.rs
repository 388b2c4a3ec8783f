//! How long a connection may live.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::Limits;

/// When a connection is asked to end, and when it is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) soft: Instant,
    pub(super) hard: Instant,
}

impl Lifetime {
    /// The age of the limits varied by a tenth, but the hard end never after `not_after`, the earlier end of the two
    /// certificates: an identity that has ended neither calls nor answers any more. A tenth of that time is left for
    /// calls to finish.
    pub(super) fn of(not_after: SystemTime, limits: &Limits, now: SystemTime) -> Self {
        let certificate = not_after.duration_since(now).unwrap_or_default();
        let soft = vary(limits.age).min(certificate / 10 * 9);
        let hard = soft.saturating_add(limits.linger).min(certificate);
        let begun = Instant::now();
        Self { soft: begun + soft.min(FAR), hard: begun + hard.min(FAR) }
    }

    /// New certificates or roots: what was believed at the handshake may not be believed any more, so the connection
    /// ends soon. Those of a server spread over the time of [`Limits::linger`], so that they do not all come back at once.
    pub(super) fn renewed(self, limits: &Limits) -> Self {
        let soft = self.soft.min(Instant::now() + (limits.linger.min(FAR) / 1000) * random());
        Self { soft, hard: self.hard.min(soft + limits.linger.min(FAR)) }
    }
}

/// Far enough, and safe to add to an instant.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Between nine and eleven tenths, so that the connections of a restart do not all end together.
fn vary(age: Duration) -> Duration {
    (age / 1000).saturating_mul(900 + random() / 5)
}

/// From 0 to 1000. The hasher's keys are random, which is all the randomness that this needs.
fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    u32::try_from(RandomState::new().hash_one(0_u8) % 1001).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(age: u64) -> Limits {
        Limits { age: Duration::from_secs(age), linger: Duration::from_secs(30), ..Limits::default() }
    }

    fn life(certificate: u64, age: u64) -> (u64, u64) {
        let now = SystemTime::now();
        let begun = Instant::now();
        let life = Lifetime::of(now + Duration::from_secs(certificate), &limits(age), now);
        ((life.soft - begun).as_secs(), (life.hard - begun).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_certificate_leaves_the_age() {
        for _ in 0..100 {
            let (soft, hard) = life(86_400, 1000);
            assert!((900..=1100).contains(&soft), "{soft}");
            assert_eq!(hard, soft + 30);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_certificate_ends_the_connection_before_itself() {
        assert_eq!(life(20, 1000), (18, 20));
        assert_eq!(life(0, 1000), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn new_certificates_end_connections_soon_but_not_all_at_once() {
        let begun = Instant::now();
        let ends: std::collections::BTreeSet<_> = (0..100)
            .map(|_| {
                let long = Lifetime::of(SystemTime::now() + FAR, &limits(1000), SystemTime::now());
                let life = long.renewed(&limits(1000));
                assert!(life.soft <= begun + Duration::from_secs(30));
                assert_eq!(life.hard, life.soft + Duration::from_secs(30));
                life.soft
            })
            .collect();
        assert!(ends.len() > 10, "{}", ends.len());
        // Never later than it would have been.
        let short = Lifetime::of(SystemTime::now(), &limits(1000), SystemTime::now());
        assert_eq!(short.renewed(&limits(1000)).hard, short.hard);
    }
}
