//! How the service fails. The texts are what the caller reads.

use std::time::Duration;

use mesh_error::{BoxError, Error, Kind, Violation};
use mesh_store::StoreError;

use crate::domain::api_key::MOST_KEYS;

/// A failure of the service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// Fields that are wrong.
    #[error("invalid fields")]
    Invalid(Vec<Violation>),
    /// Unknown address, wrong password or disabled account: never said which.
    #[error("wrong e-mail address or password")]
    InvalidCredentials,
    /// A refresh token that is not good, for whatever reason.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// An API key that is not good, for whatever reason.
    #[error("the API key is not valid")]
    InvalidApiKey,
    /// An access token that is not good.
    #[error("the access token is not valid")]
    InvalidToken(#[source] mesh_identity::TokenError),
    /// The account of a good token is gone, or its session ended; answered as a token that is not good.
    #[error("the access token is not valid")]
    SessionEnded,
    /// Registration of an address that has an account.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// Too many failures.
    #[error("too many attempts; wait")]
    Throttled(Duration),
    /// The hashing pool is full.
    #[error("too many sign-ins at once")]
    Overloaded,
    /// Nothing there, or nothing that the caller may know of.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// More scopes were asked for than the credential has.
    #[error("a scope is not among those of the credential")]
    ScopeNotGranted,
    /// The user has as many keys as one may have.
    #[error("an account may have {} API keys", MOST_KEYS)]
    TooManyKeys,
    /// Nobody would be left to administer.
    #[error("the last administrator must stay")]
    LastAdmin,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mistake of ours.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl AuthError {
    /// A mistake of ours.
    pub(crate) fn internal(source: impl Into<BoxError>) -> Self {
        Self::Internal(source.into())
    }

    /// One wrong field.
    pub(crate) fn field(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.to_owned(), description: description.into() }])
    }

    /// For metrics: a word of a closed list.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::InvalidCredentials
            | Self::InvalidRefreshToken
            | Self::InvalidApiKey
            | Self::InvalidToken(_)
            | Self::SessionEnded => "refused",
            Self::Throttled(_) => "throttled",
            Self::Overloaded => "overloaded",
            Self::EmailTaken
            | Self::NotFound(_)
            | Self::ScopeNotGranted
            | Self::TooManyKeys
            | Self::LastAdmin => "failed",
            Self::Store(_) | Self::Internal(_) => "error",
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::Invalid(violations) => Self::invalid(violations),
            AuthError::InvalidCredentials => Self::unauthenticated("INVALID_CREDENTIALS", message),
            AuthError::InvalidRefreshToken => Self::unauthenticated("INVALID_REFRESH_TOKEN", message),
            AuthError::InvalidApiKey => Self::unauthenticated("INVALID_API_KEY", message),
            AuthError::InvalidToken(error) => error.into(),
            AuthError::SessionEnded => Self::unauthenticated("INVALID_TOKEN", message),
            AuthError::EmailTaken => Self::new(Kind::AlreadyExists, "EMAIL_TAKEN", message),
            AuthError::Throttled(wait) => {
                // To the second: the exact figure tells a guesser nothing useful, and people read it.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Self::exhausted("TOO_MANY_ATTEMPTS", message, Duration::from_secs(seconds.max(1)))
            }
            AuthError::Overloaded => Self::exhausted("HASHING_POOL_FULL", message, Duration::from_secs(1)),
            AuthError::NotFound(what) => Self::not_found(what),
            AuthError::ScopeNotGranted => Self::denied("SCOPE_NOT_GRANTED", message),
            AuthError::TooManyKeys => Self::new(Kind::FailedPrecondition, "TOO_MANY_API_KEYS", message),
            AuthError::LastAdmin => Self::new(Kind::FailedPrecondition, "LAST_ADMIN", message),
            AuthError::Store(error) => error.into(),
            AuthError::Internal(error) => Self::internal(error),
        }
    }
}

impl From<Error> for AuthError {
    fn from(error: Error) -> Self {
        match error.violations() {
            [] => Self::internal(error),
            violations => Self::Invalid(violations.to_vec()),
        }
    }
}

/// A result of the service.
pub(crate) type Result<T> = std::result::Result<T, AuthError>;
