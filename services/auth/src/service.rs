//! What the service does, apart from how it is asked: each operation in a file of its own.
//!
//! An operation checks, changes everything it changes in one transaction together with its audit record, and tells the
//! feed of revocations afterwards.

mod admin;
mod api_keys;
mod bootstrap;
mod exchange;
mod login;
mod password;
mod refresh;
mod register;
mod sessions;
mod turns;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};
use mesh_identity::{RevokedSubject, Scopes, TokenVerifier};
use mesh_store::Tx;
use mesh_store::page::PageKey;
use mesh_telemetry::audit::Outcome;

use crate::audit::{Actor, Entry};
use crate::domain::throttle::{AccountLimits, SourceLimits};
use crate::error::{AuthError, Result};
use crate::hashing::HashPool;
use crate::keys::KeyRing;
use crate::metrics;
use crate::ports::{Clock, Random};
use crate::revocations::Feed;
use crate::store::users::User;
use crate::store::{self, Store};
use crate::tokens::{Grant, Tokens, derive};
use turns::Turns;

pub(crate) use admin::Changes;
pub(crate) use api_keys::NewKey;
pub(crate) use exchange::Exchanged;
pub(crate) use register::NewAccount;

/// How long things live and how much is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Of an access token.
    pub(crate) access_life: Duration,
    /// Of a session without a refresh.
    pub(crate) idle_life: Duration,
    /// Of a session in all.
    pub(crate) session_life: Duration,
    /// For a refresh token whose answer was lost.
    pub(crate) grace: Duration,
    /// Of audit records.
    pub(crate) audit_life: Duration,
    /// Attempts at one account.
    pub(crate) accounts: AccountLimits,
    /// Failures of one source in an hour.
    pub(crate) source_failures: u32,
}

/// What the operations work with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) hasher: Arc<HashPool>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) verifier: TokenVerifier,
    pub(crate) profile: mesh_identity::Profile,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) rules: Rules,
}

/// The service.
pub(crate) struct Auth {
    store: Store,
    keys: Arc<KeyRing>,
    tokens: Tokens,
    hasher: Arc<HashPool>,
    feed: Arc<Feed>,
    verifier: TokenVerifier,
    sources: Mutex<SourceLimits>,
    turns: Turns,
    pages: PageKey,
    clock: Arc<dyn Clock>,
    rules: Rules,
}

/// The user of a call, by a verified token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) actor: Actor,
}

/// What a sign-in gives.
#[derive(Clone)]
pub(crate) struct TokenPair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// Seconds.
    pub(crate) expires_in: u32,
}

/// For so long a repeated call to end something is known as such.
const REPEAT: Duration = Duration::hours(1);
/// Sources whose failures are remembered.
const SOURCES: usize = 50_000;

impl Auth {
    /// Needs a database that is up to date.
    pub(crate) async fn open(parts: Parts) -> Result<Self> {
        let root = parts.store.db().root_key().await?;
        let tokens =
            Tokens::new(Arc::clone(&parts.keys), parts.random, parts.profile, parts.rules.access_life, &root);
        Ok(Self {
            tokens,
            sources: Mutex::new(SourceLimits::new(parts.rules.source_failures, SOURCES)),
            turns: Turns::new(),
            pages: PageKey::new(&derive(&root, "page tokens v1")),
            store: parts.store,
            keys: parts.keys,
            hasher: parts.hasher,
            feed: parts.feed,
            verifier: parts.verifier,
            clock: parts.clock,
            rules: parts.rules,
        })
    }

    /// The public keys, as a JWK set in JSON.
    pub(crate) fn jwks(&self) -> Result<String> {
        Ok(self.keys.jwks()?.to_json())
    }

    /// The feed of revocations.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Ends the validity of tokens as the last step of a change.
    async fn revoke(
        &self,
        tx: &mut Tx,
        subjects: &[RevokedSubject],
        revoked_at: DateTime<Utc>,
    ) -> store::Result<()> {
        // A token may be dated some seconds ahead, and clocks differ.
        let expires_at = revoked_at + self.rules.access_life + Duration::minutes(1);
        for subject in subjects {
            store::revocations::insert(tx, subject, revoked_at, expires_at).await?;
        }
        Ok(())
    }

    /// Records an event in the change that it is about.
    async fn record(&self, tx: &mut Tx, entry: &Entry) -> store::Result<()> {
        store::audit_log::insert(tx, &self.tokens.id(), entry).await
    }

    /// Commits a change and writes its audit line; when it revoked anything, counts that and wakes the feed.
    async fn finish(&self, tx: Tx, entry: &Entry, revoked: &[RevokedSubject]) -> store::Result<()> {
        tx.commit().await?;
        entry.log();
        for subject in revoked {
            metrics::revoked(match subject {
                RevokedSubject::Session(_) => "session",
                RevokedSubject::User(_) => "user",
            });
        }
        if !revoked.is_empty() {
            self.feed.kick();
        }
        Ok(())
    }

    /// Whether the caller has done just this within the last hour, so that nothing is left to do: the answer to a call
    /// whose first answer was lost.
    async fn is_done_already(&self, entry: &Entry) -> Result<bool> {
        Ok(self.store.has_recorded(entry, entry.at - REPEAT).await?)
    }

    /// Records an event that changed nothing.
    async fn note(&self, entry: Entry) -> Result<()> {
        entry.log();
        self.store.record(&self.tokens.id(), &entry).await?;
        Ok(())
    }

    /// Counts one more attempt at an account before it is known how it ends. Many at once are counted one by one.
    async fn count_attempt(&self, account: &[u8], now: DateTime<Utc>) -> Result<()> {
        for _ in 0..8 {
            let stored = self.store.attempts(account).await?;
            let so_far = stored.as_ref().map(store::attempts::StoredAttempts::attempts);
            let next = self.rules.accounts.attempt(so_far.as_ref(), now).map_err(throttled)?;
            if self.store.put_attempts(account, stored.as_ref(), &next).await? {
                return Ok(());
            }
        }
        Err(throttled(Duration::seconds(1)))
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, SourceLimits> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a session of this user may do.
    fn grant(user: &User, session_id: &str) -> Grant {
        Grant {
            user_id: user.id.clone(),
            session_id: session_id.to_owned(),
            scopes: user.roles.scopes(),
            roles: user.roles.names(),
            revoked_at: user.revoked_at,
            ends_at: None,
        }
    }
}

impl Caller {
    /// An event of this caller.
    fn event(&self, now: DateTime<Utc>, action: &'static str, subject: &str) -> Entry {
        Entry::new(now, action, Outcome::Success, &self.actor, subject)
    }
}

fn throttled(wait: Duration) -> AuthError {
    AuthError::Throttled(wait.to_std().unwrap_or_default())
}
