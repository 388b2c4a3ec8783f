//! The one judge of access tokens: form, key, signature, claims, then revocation.

use std::{sync::Arc, time::SystemTime};

use metrics::{Counter, counter};

use super::{
    Claims, Clock, KeySource, Profile, TokenError,
    cache::{Fingerprint, Verified, fingerprint},
    jws::Compact,
    keyring::Keyring,
    unix_seconds,
};
use crate::revocation::Revocations;

/// Verifies access tokens locally. Clones share keys, caches and revocations.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Inner>);

struct Inner {
    profile: Profile,
    keys: Keyring,
    revocations: Revocations,
    verified: Verified,
    clock: Arc<dyn Clock>,
    /// How many were good: looked up once, not for each call.
    believed: Counter,
}

fn verifications(outcome: &'static str) -> Counter {
    counter!("token_verifications_total", "outcome" => outcome)
}

impl TokenVerifier {
    /// A verifier by the system's clock. Nothing is fetched yet.
    #[must_use]
    pub fn new(profile: Profile, keys: Arc<dyn KeySource>, revocations: Revocations) -> Self {
        Self::with_clock(profile, keys, revocations, Arc::new(SystemTime::now))
    }

    /// A verifier by a given clock.
    #[must_use]
    pub fn with_clock(
        profile: Profile,
        keys: Arc<dyn KeySource>,
        revocations: Revocations,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (keys, verified, believed) = (Keyring::new(keys), Verified::new(), verifications("ok"));
        Self(Arc::new(Inner { profile, keys, revocations, verified, clock, believed }))
    }

    /// Fetches the issuer's keys if there are none yet: for readiness.
    pub async fn warm_up(&self) -> Result<(), TokenError> {
        self.0.keys.current().await.map(|_| ())
    }

    /// What a token says, if it is to be believed now.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let result = self.0.verify(token).await;
        let outcome = match &result {
            Ok(_) => {
                self.0.believed.increment(1);
                return result;
            }
            Err(TokenError::Invalid(reason)) => *reason,
            Err(TokenError::Revoked) => "revoked",
            Err(TokenError::Unavailable) => "unavailable",
        };
        verifications(outcome).increment(1);
        tracing::debug!(outcome, "an access token was refused");
        result
    }

    /// The revocations that it heeds.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }
}

impl Inner {
    async fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let claims = self.signed(token).await?;
        self.revocations.admit(&claims).await?;
        Ok(claims)
    }

    /// All but revocation, from the cache if it was done a moment ago.
    async fn signed(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        // The length comes first: nothing is hashed or parsed for a token that is too long.
        if token.len() > super::MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid("too_long"));
        }
        let fingerprint = fingerprint(token).ok_or(TokenError::Invalid("too_long"))?;
        let now = unix_seconds(&*self.clock);
        if let Some(claims) = self.verified.get(&fingerprint, self.keys.generation(), now) {
            return Ok(claims);
        }
        // Rare, and its state is large: a future of every request would carry it along.
        Box::pin(self.checked(token, fingerprint)).await
    }

    async fn checked(&self, token: &str, fingerprint: Fingerprint) -> Result<Arc<Claims>, TokenError> {
        let compact = Compact::parse(token).map_err(TokenError::Invalid)?;
        let (key, generation) = self.keys.find(&compact.kid).await?;
        if !key.verify(compact.signed, &compact.signature) {
            return Err(TokenError::Invalid("signature"));
        }
        let claims =
            compact.payload().and_then(|payload| Claims::parse(&payload)).map_err(TokenError::Invalid)?;
        // The keys may have taken a while: the time is asked again.
        self.profile.check(&claims, unix_seconds(&*self.clock)).map_err(TokenError::Invalid)?;
        let claims = Arc::new(claims);
        self.verified.insert(fingerprint, generation, Arc::clone(&claims));
        Ok(claims)
    }
}
