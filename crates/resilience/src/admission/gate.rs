//! The places and the queue before them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mesh_error::Error;
use metrics::Gauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Admission;

/// One gate for all calls of a server.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Admission,
    /// Calls that have a place: looked up once, not for each call.
    in_flight: Gauge,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A call's place, given back when its last clone is dropped. It is in the extensions of an admitted request, for work
/// that may go on after the call has ended: who counts the calls must count that too.
#[derive(Clone, Debug)]
pub struct Place {
    _taken: Arc<Taken>,
}

#[derive(Debug)]
struct Taken {
    _permit: OwnedSemaphorePermit,
    in_flight: Gauge,
}

impl Gate {
    pub(super) fn new(limits: Admission) -> Self {
        let places = limits.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let in_flight = metrics::gauge!("mesh_admission_in_flight");
        Self { limits, in_flight, places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    /// A place at once or within the limit; places are given in the order of arrival.
    pub(super) async fn enter(&self) -> Result<Place, Error> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(self.place(permit));
        }
        let Some(_ticket) = Ticket::take(&self.waiting, self.limits.queue) else {
            return Err(self.refuse("queue_full"));
        };
        match timeout(self.limits.wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.place(permit)),
            Ok(Err(_)) | Err(_) => Err(self.refuse("queue_time")),
        }
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        self.in_flight.increment(1.0);
        Place { _taken: Arc::new(Taken { _permit: permit, in_flight: self.in_flight.clone() }) }
    }

    fn refuse(&self, cause: &'static str) -> Error {
        metrics::counter!("mesh_admission_refused_total", "cause" => cause).increment(1);
        Error::exhausted("OVERLOADED", "the service has too much to do", self.limits.retry_after)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}

/// A place in the queue; given back also when the caller leaves while it waits.
struct Ticket<'a>(&'a AtomicUsize);

impl<'a> Ticket<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let taken =
            waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < limit).then_some(n + 1));
        taken.is_ok().then(|| Self(waiting))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
