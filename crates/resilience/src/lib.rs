//! Keeps calls bounded: deadlines, admission, retry budgets, backoff, ejection.
//!
//! Each part is a mechanism without opinion about services: [`DeadlineLayer`] and [`AdmissionLayer`] are tower layers of
//! the inbound stack; [`RetryBudget`], [`Backoff`] and [`Outliers`] are what the outbound stack decides with. All time
//! is tokio's, so that a test may hold it. Nothing here sends a request or knows a method.

mod admission;
mod backoff;
mod budget;
mod deadline;
mod eject;

pub use admission::{Admission, AdmissionLayer, AdmissionService, Held, Place};
pub use backoff::Backoff;
pub use budget::{Budget, RetryBudget};
pub use deadline::{
    BoundedBody, Bounds, Deadline, DeadlineLayer, DeadlineService, Expiry, GRPC_TIMEOUT, Malformed,
    TrackedBody, parse_grpc_timeout, timeout_of,
};
pub use eject::{Ejection, Outliers, Verdict};
