//! Who calls: credentials from the headers, verified here; an API key is exchanged for a token first.
//!
//! A token is verified by this process alone, also one that came for an API key: a revocation that `auth` announces
//! takes both from the next request on. Nothing else of the request says who somebody is.

mod credentials;
mod exchange;

use std::sync::Arc;

use mesh_error::{Error, Kind};
use mesh_identity::{User, token::TokenVerifier};

pub(crate) use self::{
    credentials::Credentials,
    exchange::{Exchanged, KeyExchange},
};
use crate::problem::Failure;

/// A verified caller.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// Whether an API key was shown.
    pub(crate) by_key: bool,
}

impl Caller {
    /// Whose limits count: a user has one quota, however many tokens and API keys show the user.
    pub(crate) fn account(&self) -> String {
        format!("user:{}", self.user.claims.sub)
    }

    /// Whose a write is: an API key's own writes are apart from those of its user.
    pub(crate) fn subject(&self) -> String {
        if self.by_key { format!("key:{}", self.user.claims.sid) } else { self.account() }
    }

    /// Whether the token has the scope.
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.user.claims.scope.contains(scope)
    }
}

/// Verifies a token; a refusal is one and the same 401 for every cause.
pub(crate) async fn verify(
    verifier: &TokenVerifier,
    token: Arc<str>,
    by_key: bool,
) -> Result<Caller, Failure> {
    match verifier.verify(&token).await {
        Ok(claims) => Ok(Caller { user: User { claims, token }, by_key }),
        Err(error) => Err(refused(Error::from(error))),
    }
}

/// 401 with the challenge that says that the credential was seen; other failures as they are.
pub(crate) fn refused(error: Error) -> Failure {
    if error.kind() == Kind::Unauthenticated { Failure::unauthenticated(error, true) } else { error.into() }
}

/// The one refusal of an API key.
pub(crate) fn key_refused() -> Failure {
    Failure::unauthenticated(Error::unauthenticated("INVALID_API_KEY", "the API key is not valid"), true)
}
