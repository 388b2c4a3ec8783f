//! The issuer's public keys as a verifier knows them: fetched when first needed, kept, and fetched again in the
//! background.
//!
//! At most one fetch runs at a time, in its own task, so a caller that leaves does not end it for the others. Invariants:
//! a failed fetch keeps the keys; tokens that name unknown keys cause at most one fetch in [`UNKNOWN_KID`]; no lock
//! is held while waiting.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use mesh_error::BoxError;
use metrics::counter;
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{Jwks, PublicKey, TokenError};

/// Keys older than this are fetched again in the background. An issuer publishes a new key at least this long before
/// it signs with it.
const REFRESH: Duration = Duration::from_secs(300);
/// Keys older than this, after a time in which nobody asked, are fetched again before they are used.
const IDLE: Duration = Duration::from_secs(600);
/// Between two fetches while there are keys.
const UNKNOWN_KID: Duration = Duration::from_secs(10);
/// Between two fetches while there are none: the issuer may just be starting.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// For one fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// Where the issuer's keys come from.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The keys that are good now. Called seldom; the answer is kept.
    async fn fetch(&self) -> Result<Jwks, BoxError>;
}

/// The keys as they were fetched.
pub(super) struct KeySet {
    /// Changes when the keys do.
    pub(super) generation: u64,
    keys: Jwks,
    fetched_at: Instant,
}

pub(super) struct Keyring(Arc<Inner>);

struct Inner {
    source: Arc<dyn KeySource>,
    set: ArcSwapOption<KeySet>,
    fetches: Mutex<Fetches>,
}

#[derive(Default)]
struct Fetches {
    running: Option<(AbortHandle, Fetch)>,
    started_at: Option<Instant>,
    failed_at: Option<Instant>,
}

/// Ends when the fetch has ended, well or badly.
type Fetch = Shared<BoxFuture<'static, ()>>;

impl Keyring {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self(Arc::new(Inner { source, set: ArcSwapOption::empty(), fetches: Mutex::default() }))
    }

    /// Of the keys that are held; 0 without any.
    pub(super) fn generation(&self) -> u64 {
        self.0.set.load().as_ref().map_or(0, |set| set.generation)
    }

    /// The key of this name, and the generation that it is from.
    pub(super) async fn find(&self, kid: &str) -> Result<(PublicKey, u64), TokenError> {
        let set = self.current().await?;
        if let Some(key) = set.keys.get(kid) {
            return Ok((key.clone(), set.generation));
        }
        if let Some(fetch) = self.fetch(UNKNOWN_KID) {
            fetch.await;
        }
        let set = self.0.set.load_full().ok_or(TokenError::Unavailable)?;
        let key = set.keys.get(kid).ok_or(TokenError::Invalid("unknown_kid"))?;
        Ok((key.clone(), set.generation))
    }

    /// The keys, fresh enough to be used.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, TokenError> {
        let Some(set) = self.0.set.load_full() else {
            if let Some(fetch) = self.fetch(FIRST_RETRY) {
                fetch.await;
            }
            return self.0.set.load_full().ok_or(TokenError::Unavailable);
        };
        let age = set.fetched_at.elapsed();
        if age < REFRESH {
            return Ok(set);
        }
        let idle = age >= IDLE && !self.0.failed_within(IDLE);
        if let Some(fetch) = self.fetch(UNKNOWN_KID)
            && idle
        {
            fetch.await;
        }
        Ok(self.0.set.load_full().unwrap_or(set))
    }

    /// Joins the fetch that runs, or starts one unless the last was started less than `interval` ago.
    fn fetch(&self, interval: Duration) -> Option<Fetch> {
        let mut fetches = self.0.fetches();
        if let Some((task, running)) = &fetches.running
            && !task.is_finished()
        {
            return Some(running.clone());
        }
        if fetches.started_at.is_some_and(|at| at.elapsed() < interval) {
            return None;
        }
        let task = tokio::spawn(Arc::clone(&self.0).run());
        let handle = task.abort_handle();
        let running = task.map(|_| ()).boxed().shared();
        fetches.running = Some((handle, running.clone()));
        fetches.started_at = Some(Instant::now());
        Some(running)
    }
}

impl Inner {
    async fn run(self: Arc<Self>) {
        let fetched = match timeout(FETCH_LIMIT, self.source.fetch()).await {
            Ok(Ok(keys)) => Ok(keys),
            Ok(Err(error)) => Err(error),
            Err(late) => Err(late.into()),
        };
        let outcome = match fetched {
            Ok(keys) => {
                self.fetches().failed_at = None;
                if self.store(keys) { "changed" } else { "same" }
            }
            Err(error) => {
                self.fetches().failed_at = Some(Instant::now());
                tracing::warn!(
                    error,
                    "the issuer's keys could not be fetched; those that are held stay in use"
                );
                "failed"
            }
        };
        counter!("token_key_fetches_total", "outcome" => outcome).increment(1);
    }

    /// Only one fetch runs, so nobody else stores meanwhile.
    fn store(&self, keys: Jwks) -> bool {
        let held = self.set.load_full();
        let same = held.as_ref().is_some_and(|held| held.keys == keys);
        let last = held.map_or(0, |held| held.generation);
        let generation = if same { last } else { last + 1 };
        if !same {
            let kids: Vec<_> = keys.keys().iter().map(PublicKey::kid).collect();
            tracing::info!(?kids, "the issuer's keys changed");
        }
        self.set.store(Some(Arc::new(KeySet { generation, keys, fetched_at: Instant::now() })));
        !same
    }

    fn failed_within(&self, time: Duration) -> bool {
        self.fetches().failed_at.is_some_and(|at| at.elapsed() < time)
    }

    fn fetches(&self) -> std::sync::MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
