//! Tokens that were verified a moment ago, so that a hot client costs a hash and not a signature check.
//!
//! Keyed by the token's SHA-256, so the memory holds no token that could be used. Invariants: an entry is used only
//! before the token's own `exp`, for [`LIFE`] at most, and only while the issuer's keys are those it was verified
//! with. Revocation is not kept here: it is asked for at every use.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use tokio::time::Instant;

use super::Claims;

const CAPACITY: u64 = 10_000;
const LIFE: Duration = Duration::from_secs(60);

/// SHA-256 of a token.
pub(super) type Fingerprint = [u8; 32];

/// `None` never happens: SHA-256 has 32 bytes.
pub(super) fn fingerprint(token: &str) -> Option<Fingerprint> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}

pub(super) struct Verified(Cache<Fingerprint, Entry>);

#[derive(Clone)]
struct Entry {
    claims: Arc<Claims>,
    /// Of the keys.
    generation: u64,
    verified_at: Instant,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(LIFE).build())
    }

    /// The claims, if they are still to be believed at `now` (seconds since 1970) with keys of this generation.
    pub(super) fn get(&self, token: &Fingerprint, generation: u64, now: u64) -> Option<Arc<Claims>> {
        let entry = self.0.get(token)?;
        let good =
            entry.generation == generation && entry.claims.exp > now && entry.verified_at.elapsed() < LIFE;
        good.then_some(entry.claims)
    }

    pub(super) fn insert(&self, token: Fingerprint, generation: u64, claims: Arc<Claims>) {
        self.0.insert(token, Entry { claims, generation, verified_at: Instant::now() });
    }
}
