//! The feed of revocations: what one replica commits, every verifier of the mesh hears within a second.
//!
//! One loop asks the database for the newest cursor, twice a second and whenever this process has revoked something; each
//! watcher reads the log from its own cursor on. A heartbeat promises that everything up to its cursor was sent, so it is
//! given only while the loop gets answers: when the database is away the stream ends, and verifiers ask or refuse.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mesh_error::{BoxError, Error};
use mesh_identity::{Claims, RevocationEvent, RevocationSource};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::error::{AuthError, Result};
use crate::metrics;
use crate::ports::Clock;
use crate::store::Store;

/// How often the database is asked for what other replicas revoked.
const POLL: Duration = Duration::from_millis(400);
/// Of each stream.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// An answer older than this vouches for nothing.
const STALE: Duration = Duration::from_secs(1);
/// Revocations read at once.
const BATCH: i64 = 500;

/// The feed. One per process.
pub(crate) struct Feed {
    store: Store,
    clock: Arc<dyn Clock>,
    newest: watch::Sender<Newest>,
    kick: Notify,
}

/// What the loop last learned.
#[derive(Clone, Copy, Debug)]
struct Newest {
    cursor: i64,
    at: Option<Instant>,
}

/// One watcher.
struct Watcher {
    feed: Arc<Feed>,
    newest: watch::Receiver<Newest>,
    cursor: i64,
    unsent: VecDeque<RevocationEvent>,
    heartbeat: Interval,
    stop: CancellationToken,
    ended: bool,
}

impl Feed {
    /// A feed over a database.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Arc<Self> {
        let newest = watch::Sender::new(Newest { cursor: 0, at: None });
        Arc::new(Self { store, clock, newest, kick: Notify::new() })
    }

    /// Says that this process has revoked something.
    pub(crate) fn kick(&self) {
        self.kick.notify_one();
    }

    /// Asks the database once; done before a service calls itself ready.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let at = Instant::now();
        let cursor = self.store.newest_revocation().await?;
        self.newest.send_replace(Newest { cursor, at: Some(at) });
        Ok(())
    }

    /// The loop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        loop {
            let refreshed = self.refresh().await;
            metrics::feed_alive(refreshed.is_ok());
            if let Err(error) = refreshed {
                tracing::warn!(error = Error::from(error).chain(), "cannot read revocations");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.kick.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Every revocation after `cursor`, then each new one, and heartbeats. Ends with an error when the database is away or
    /// the service stops.
    pub(crate) fn watch_from(
        self: &Arc<Self>,
        cursor: i64,
        stop: CancellationToken,
    ) -> BoxStream<'static, Result<RevocationEvent>> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let newest = self.newest.subscribe();
        let feed = Arc::clone(self);
        let watcher =
            Watcher { feed, newest, cursor, unsent: VecDeque::new(), heartbeat, stop, ended: false };
        stream::unfold(watcher, |mut watcher| async move {
            if watcher.ended {
                return None;
            }
            let event = watcher.next().await;
            watcher.ended = event.is_err();
            Some((event, watcher))
        })
        .boxed()
    }

    /// Whether a token that was issued then is still good, by the database's word.
    pub(crate) async fn is_active(&self, session_id: &str, user_id: &str, issued_at: i64) -> Result<bool> {
        let Some(user) = self.store.user(user_id).await? else { return Ok(false) };
        if user.disabled || issued_at <= user.revoked_at {
            return Ok(false);
        }
        let now = self.clock.now();
        if let Some(session) = self.store.session(session_id).await? {
            return Ok(session.user_id == user_id && session.expires_at > now);
        }
        let key = self.store.api_key(session_id).await?;
        Ok(key.is_some_and(|key| key.user_id == user_id && key.expires_at.is_none_or(|end| end > now)))
    }
}

impl Watcher {
    async fn next(&mut self) -> Result<RevocationEvent> {
        loop {
            if let Some(event) = self.unsent.pop_front() {
                return Ok(event);
            }
            let newest = *self.newest.borrow_and_update();
            if newest.at.is_some() && newest.cursor != self.cursor {
                self.read(newest.cursor).await?;
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(stopping()),
                changed = self.newest.changed() => changed.map_err(AuthError::internal)?,
                _ = self.heartbeat.tick() => return self.beat(),
            }
        }
    }

    async fn read(&mut self, newest: i64) -> Result<()> {
        if newest < self.cursor {
            // Either this replica asked too long ago, or the log is younger than its reader, as after a restore: then all
            // of it again.
            self.feed.refresh().await?;
            if self.newest.borrow().cursor < self.cursor {
                self.cursor = 0;
            }
            return Ok(());
        }
        let revocations = self.feed.store.revocations(self.cursor, newest, BATCH).await?;
        // Nothing there means that all up to the newest have expired.
        self.cursor = revocations.last().map_or(newest, |last| last.cursor);
        self.unsent.extend(revocations.into_iter().map(RevocationEvent::Revoked));
        Ok(())
    }

    fn beat(&self) -> Result<RevocationEvent> {
        let newest = *self.newest.borrow();
        match newest.at {
            Some(at) if at.elapsed() < STALE => Ok(RevocationEvent::Heartbeat { cursor: self.cursor }),
            _ => Err(outage()),
        }
    }
}

/// The feed as the verifier of this very process hears it.
pub(crate) struct OwnFeed {
    pub(crate) feed: Arc<Feed>,
    pub(crate) stop: CancellationToken,
}

#[async_trait]
impl RevocationSource for OwnFeed {
    async fn watch(
        &self,
        cursor: i64,
    ) -> std::result::Result<BoxStream<'static, std::result::Result<RevocationEvent, BoxError>>, BoxError>
    {
        let events = self.feed.watch_from(cursor, self.stop.clone());
        Ok(events.map(|event| event.map_err(BoxError::from)).boxed())
    }

    async fn check(&self, claims: &Claims) -> std::result::Result<bool, BoxError> {
        let issued_at = i64::try_from(claims.iat)?;
        Ok(self.feed.is_active(&claims.sid, &claims.sub, issued_at).await?)
    }
}

fn outage() -> AuthError {
    AuthError::Store(mesh_store::StoreError::new(
        mesh_store::StoreErrorKind::Unavailable,
        "revocations are stale",
    ))
}

fn stopping() -> AuthError {
    AuthError::Store(mesh_store::StoreError::new(
        mesh_store::StoreErrorKind::Unavailable,
        "the service stops",
    ))
}
