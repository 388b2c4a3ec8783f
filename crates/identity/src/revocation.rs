//! Which tokens went bad before their time, known without a call per request.
//!
//! The issuer pushes revocations to a bounded list ([`follow_revocations`]); while the list is known to be complete it is
//! the answer. When nothing was heard for [`MAX_SILENCE`] the issuer is asked about each session instead, and when
//! that fails the token is refused: a revoked token is good for `MAX_SILENCE` at most, plus the second for which an
//! answer is kept.

mod fallback;
mod follow;
mod list;

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use mesh_error::BoxError;
use metrics::gauge;

pub use follow::follow_revocations;

use crate::token::{Claims, TokenError};
use fallback::Fallback;
use list::List;

/// For so long after a heartbeat the list is held to be complete.
const MAX_SILENCE: Duration = Duration::from_secs(3);

/// Whose tokens went bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokedSubject {
    /// Those of a session or an API key (claim `sid`), whenever they were issued: its id never comes back.
    Session(String),
    /// Those of a user (claim `sub`) that were issued at or before [`Revocation::revoked_at`].
    User(String),
}

/// Tokens of `subject` are bad before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub subject: RevokedSubject,
    /// When, in seconds since 1970. A token issued within the second may be older than the revocation, so it counts as
    /// older.
    pub revoked_at: u64,
    /// Its place among all revocations.
    pub cursor: i64,
}

/// What the issuer's stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationEvent {
    /// All revocations up to `cursor` were sent.
    Heartbeat {
        /// Of the last revocation sent.
        cursor: i64,
    },
    /// One more.
    Revoked(Revocation),
}

/// The issuer, as far as revocations go.
#[async_trait]
pub trait RevocationSource: Send + Sync {
    /// Every revocation after `cursor` (0: all that are kept), then each new one, and a heartbeat every second. The
    /// issuer must see to it that none is skipped when two become visible out of order.
    async fn watch(
        &self,
        cursor: i64,
    ) -> Result<BoxStream<'static, Result<RevocationEvent, BoxError>>, BoxError>;

    /// Whether the session and the user of a token are still good.
    async fn check(&self, claims: &Claims) -> Result<bool, BoxError>;
}

/// The revocations known to a verifier. Clones share them.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    list: RwLock<List>,
    /// `None`: nobody else revokes, so the list is always complete.
    fallback: Option<Fallback>,
}

impl Revocations {
    /// For a process that makes the revocations itself, and for tests: what was [applied](Self::apply) is all there is.
    #[must_use]
    pub fn local() -> Self {
        Self(Arc::new(Inner { list: RwLock::default(), fallback: None }))
    }

    /// For everybody else. Until [`follow_revocations`] hears from it, `source` is asked about each token.
    #[must_use]
    pub fn watched(source: Arc<dyn RevocationSource>) -> Self {
        Self(Arc::new(Inner { list: RwLock::default(), fallback: Some(Fallback::new(source)) }))
    }

    /// Takes a revocation in; again does no harm.
    pub fn apply(&self, revocation: Revocation) {
        let held = {
            let mut list = self.write();
            list.apply(revocation);
            list.len()
        };
        gauge!("revocations_held").set(f64::from(u32::try_from(held).unwrap_or(u32::MAX)));
    }

    /// Notes that everything up to `cursor` was heard.
    pub fn heartbeat(&self, cursor: i64) {
        self.write().heartbeat(cursor);
    }

    /// Whether a token is known to have been revoked.
    #[must_use]
    pub fn is_revoked(&self, claims: &Claims) -> bool {
        self.read().is_revoked(claims)
    }

    /// Whether the list is complete.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.0.fallback.is_none() || self.read().heard_within(MAX_SILENCE)
    }

    /// Of the last revocation heard: where to resume.
    #[must_use]
    pub fn cursor(&self) -> i64 {
        self.read().cursor()
    }

    /// Whether a token may be used, by the list or by the issuer's word.
    pub(crate) async fn admit(&self, claims: &Claims) -> Result<(), TokenError> {
        // Both under one lock: a heartbeat in between must not vouch for a list that was read before it.
        let (revoked, heard) = {
            let list = self.read();
            (list.is_revoked(claims), list.heard_within(MAX_SILENCE))
        };
        match &self.0.fallback {
            _ if revoked => Err(TokenError::Revoked),
            Some(fallback) if !heard => match Box::pin(fallback.is_active(claims)).await? {
                true => Ok(()),
                false => Err(TokenError::Revoked),
            },
            _ => Ok(()),
        }
    }

    fn source(&self) -> Option<Arc<dyn RevocationSource>> {
        self.0.fallback.as_ref().map(Fallback::source)
    }

    /// The issuer lost revocations that we know: everything has to be heard again.
    fn rewind(&self) {
        self.write().rewind();
    }

    fn read(&self) -> RwLockReadGuard<'_, List> {
        self.0.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, List> {
        self.0.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}
