//! Users' access tokens: one strict profile of JWT (RFC 9068 over RFC 8725), signed and verified here and nowhere else.
//!
//! Owns the form of a token, the keys that sign it and how a verifier learns them. Never decides what a token's owner
//! may do. Invariants: a token is believed only if every member of its header and every claim is the one expected, of
//! the right type and present once; what is wrong with a refused token is told to the log, never to who sent it.
//! Why there is no JWT library underneath: `docs/adr/0002-own-token-verifier.md`.

mod cache;
mod claims;
mod clock;
mod json;
mod jwks;
mod jws;
mod key;
mod keyring;
mod verifier;

use std::time::Duration;

use mesh_config::{Reader, Reported};

pub use claims::{Claims, InvalidScopes, Scopes};
pub use clock::Clock;
pub(crate) use clock::unix_seconds;
pub use jwks::Jwks;
pub use key::{KeyError, PublicKey, SigningKey};
pub use keyring::KeySource;
pub use verifier::TokenVerifier;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest time from `iat` to `exp` that a verifier believes.
pub const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// The longest `sub`, `sid`, `jti` or `client_id`, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Who must have issued a token, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The exact value of `iss`.
    pub issuer: String,
    /// The exact and only value of `aud`.
    pub audience: String,
    /// How far the issuer's clock may be ahead of ours: for `nbf` and `iat`. `exp` is exact, because a token that
    /// lives longer than it says helps nobody.
    pub leeway: Duration,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            issuer: "https://auth.quipu.local".to_owned(),
            audience: "quipu".to_owned(),
            leeway: Duration::from_secs(5),
        }
    }
}

impl Profile {
    /// Reads `QUIPU_TOKEN_ISSUER` and `QUIPU_TOKEN_AUDIENCE`, which must be the same for whoever issues and whoever
    /// verifies.
    ///
    /// # Errors
    /// When a value is faulty; the reader has recorded it.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let default = Self::default();
        let issuer = reader.or("QUIPU_TOKEN_ISSUER", default.issuer, "claim `iss` of access tokens");
        let audience = reader.or("QUIPU_TOKEN_AUDIENCE", default.audience, "claim `aud` of access tokens");
        Ok(Self { issuer: issuer?, audience: audience?, leeway: default.leeway })
    }

    /// Whether `claims` are for us and good at `now` (seconds since 1970).
    fn check(&self, claims: &Claims, now: u64) -> Result<(), &'static str> {
        let soon = now.saturating_add(self.leeway.as_secs());
        if claims.iss != self.issuer {
            Err("wrong_issuer")
        } else if claims.aud != self.audience {
            Err("wrong_audience")
        } else if claims.exp <= claims.iat || claims.exp <= claims.nbf {
            Err("times_reversed")
        } else if claims.exp - claims.iat > MAX_LIFETIME.as_secs() {
            Err("lives_too_long")
        } else if claims.exp <= now {
            Err("expired")
        } else if claims.nbf > soon {
            Err("not_yet_valid")
        } else if claims.iat > soon {
            Err("issued_in_future")
        } else {
            Ok(())
        }
    }
}

/// Why a token was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It breaks the profile; the reason is one of a closed list of `snake_case` words, for logs and metrics only.
    #[error("the token is refused: {0}")]
    Invalid(&'static str),
    /// It was good, but its session or its user was revoked since.
    #[error("the token is revoked")]
    Revoked,
    /// Whether it is good cannot be found out now.
    #[error("the token cannot be checked: the keys or the revocations are out of reach")]
    Unavailable,
}

impl From<TokenError> for mesh_error::Error {
    /// What the caller learns: the same for every bad token.
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid(_) | TokenError::Revoked => {
                Self::unauthenticated("INVALID_TOKEN", "the access token is not valid").with_source(error)
            }
            TokenError::Unavailable => {
                Self::unavailable("TOKEN_CHECK_UNAVAILABLE", "access tokens cannot be checked right now")
                    .with_retry_after(Duration::from_secs(1))
                    .with_source(error)
            }
        }
    }
}
