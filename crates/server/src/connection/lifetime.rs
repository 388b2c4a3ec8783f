//! How long a connection may live.

use std::time::{Duration, SystemTime};

use mesh_identity::Peer;
use tokio::time::Instant;

use crate::Limits;

/// When a connection is asked to end, and when it is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) soft: Instant,
    pub(super) hard: Instant,
}

impl Lifetime {
    /// The age of the limits varied by a tenth, but the hard end never after the peer's certificate: an identity that
    /// has ended calls nothing any more. A tenth of the certificate's time is left for calls to finish.
    pub(super) fn of(peer: &Peer, limits: &Limits, now: SystemTime) -> Self {
        let certificate = peer.not_after.duration_since(now).unwrap_or_default();
        let soft = vary(limits.age).min(certificate / 10 * 9);
        let hard = soft.saturating_add(limits.linger).min(certificate);
        let begun = Instant::now();
        Self { soft: begun + soft.min(FAR), hard: begun + hard.min(FAR) }
    }
}

/// Far enough, and safe to add to an instant.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Between nine and eleven tenths, so that the connections of a restart do not all end together. The hasher's keys are
/// random, which is all the randomness that this needs.
fn vary(age: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8) % 201;
    let thousandths = 900 + u32::try_from(random).unwrap_or_default();
    (age / 1000).saturating_mul(thousandths)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use mesh_identity::SpiffeId;

    use super::*;

    fn life(certificate: u64, age: u64) -> (u64, u64) {
        let now = SystemTime::now();
        let id = SpiffeId::from_str("spiffe://quipu.local/ns/quipu/sa/gateway").expect("valid");
        let peer = Peer { id, not_after: now + Duration::from_secs(certificate) };
        let limits =
            Limits { age: Duration::from_secs(age), linger: Duration::from_secs(30), ..Limits::default() };
        let begun = Instant::now();
        let life = Lifetime::of(&peer, &limits, now);
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
}
