//! Bounded admission: so many calls at once, a short wait for the next free place, and a fast refusal of the rest.
//!
//! The wait is bounded by time, not only by length: a queue that is only bounded by length turns overload into
//! latency for everyone. The gate is built with the layer, once, and shared by every clone of its services; a limit
//! that each connection has for itself would be none.

mod gate;
mod service;

use std::{sync::Arc, time::Duration};

use gate::Gate;
pub use gate::Place;
pub use service::{AdmissionService, Held};
use tower::Layer;

/// Limits of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Calls at once; one counts until its response's body has ended and nothing holds its [`Place`] any more.
    pub concurrency: usize,
    /// Calls that may wait for a place.
    pub queue: usize,
    /// How long one waits at most.
    pub wait: Duration,
    /// When a refused caller should try again.
    pub retry_after: Duration,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            concurrency: 256,
            queue: 256,
            wait: Duration::from_millis(100),
            retry_after: Duration::from_secs(1),
        }
    }
}

type Exempt = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Admits calls to what is behind it; refuses with RESOURCE_EXHAUSTED and `RetryInfo`.
#[derive(Clone)]
pub struct AdmissionLayer {
    gate: Arc<Gate>,
    exempt: Exempt,
}

impl AdmissionLayer {
    /// A gate of its own.
    #[must_use]
    pub fn new(limits: Admission) -> Self {
        Self { gate: Arc::new(Gate::new(limits)), exempt: Arc::new(|_| false) }
    }

    /// Calls to paths for which this holds always pass and count for nothing: health must answer under overload.
    #[must_use]
    pub fn exempt(mut self, exempt: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Arc::new(exempt);
        self
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService::new(inner, Arc::clone(&self.gate), Arc::clone(&self.exempt))
    }
}

impl std::fmt::Debug for AdmissionLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmissionLayer").field("gate", &self.gate).finish_non_exhaustive()
    }
}
