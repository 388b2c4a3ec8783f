//! What of requests is held in memory at once: their bodies and open streams. Both are bounded for all callers together,
//! so that many small limits do not add up to more than the process has; streams also for each user.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mesh_error::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Failure;

/// KiB of bodies at once: 64 MiB.
const BODIES: usize = 64 * 1024;

/// Streams at once. Each holds some texts and answers under way.
const STREAMS: usize = 128;

/// Streams of one user at once.
pub(crate) const STREAMS_EACH: usize = 8;

/// When to come back.
const RETRY: Duration = Duration::from_secs(1);

/// The bounds of this process.
pub(crate) struct Held {
    bodies: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    users: Arc<Users>,
}

/// Open streams by user; who has none is not listed.
type Users = Mutex<HashMap<String, usize>>;

impl Default for Held {
    fn default() -> Self {
        Self::new(BODIES, STREAMS)
    }
}

impl Held {
    /// With other bounds than usual.
    pub(crate) fn new(kib: usize, streams: usize) -> Self {
        let [bodies, streams] = [kib, streams].map(|n| Arc::new(Semaphore::new(n)));
        Self { bodies, streams, users: Arc::default() }
    }

    /// For the body of one request; empty yet.
    pub(crate) fn place(&self) -> Place {
        Place(Arc::new((self.bodies.clone(), Mutex::new(None))))
    }

    /// For a stream of a user.
    pub(crate) fn stream(&self, user: String) -> Result<OpenStream, Failure> {
        let place = self.streams.clone().try_acquire_owned().map_err(|_| busy())?;
        let mut users = lock(&self.users);
        let open = users.entry(user.clone()).or_default();
        if *open >= STREAMS_EACH {
            let message = "too many streams are open; end one first";
            return Err(Error::exhausted("TOO_MANY_STREAMS", message, RETRY).into());
        }
        *open += 1;
        drop(users);
        Ok(OpenStream { user, users: self.users.clone(), _place: place })
    }
}

/// What the body of one request takes, as long as any clone of it lives.
#[derive(Clone)]
pub(crate) struct Place(Arc<(Arc<Semaphore>, Mutex<Option<OwnedSemaphorePermit>>)>);

impl Place {
    /// Takes room for as many bytes as the body has by now, or refuses for all bodies together are too many.
    pub(crate) fn grow_to(&self, bytes: usize) -> Result<(), Failure> {
        let (bodies, held) = &*self.0;
        let mut held = lock(held);
        let more =
            bytes.div_ceil(1024).saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(Error::internal)?;
        let permit = bodies.clone().try_acquire_many_owned(more).map_err(|_| busy())?;
        match &mut *held {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

/// An open stream.
pub(crate) struct OpenStream {
    user: String,
    users: Arc<Users>,
    _place: OwnedSemaphorePermit,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut users = lock(&self.users);
        if let Some(open) = users.get_mut(&self.user) {
            *open -= 1;
            if *open == 0 {
                users.remove(&self.user);
            }
        }
    }
}

fn busy() -> Failure {
    metrics::counter!("gateway_busy_total").increment(1);
    Error::unavailable("GATEWAY_BUSY", "too much is under way").with_retry_after(RETRY).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_together_are_bounded_and_room_comes_back() {
        let held = Held::new(8, 0);
        let (one, two) = (held.place(), held.place());
        one.grow_to(5 * 1024).unwrap();
        one.grow_to(5 * 1024).unwrap();
        two.grow_to(3 * 1024).unwrap();
        let refused = two.grow_to(3 * 1024 + 1).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.error().retry_after()), (503, Some(RETRY)));
        drop(one);
        two.grow_to(8 * 1024).unwrap();
    }

    #[test]
    fn streams_are_bounded_for_each_user_and_for_all() {
        let held = Held::new(0, STREAMS_EACH + 1);
        let mut open: Vec<_> = (0..STREAMS_EACH).map(|_| held.stream("u1".into()).unwrap()).collect();
        assert_eq!(held.stream("u1".into()).err().map(|failure| failure.status().as_u16()), Some(429));
        let other = held.stream("u2".into()).unwrap();
        assert_eq!(held.stream("u3".into()).err().map(|failure| failure.status().as_u16()), Some(503));
        open.pop();
        open.push(held.stream("u1".into()).unwrap());
        drop((open, other));
        assert!(lock(&held.users).is_empty());
    }
}
