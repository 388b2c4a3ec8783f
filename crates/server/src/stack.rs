//! The stack around every call, outermost first.
//!
//! | layer | why it stands here |
//! |---|---|
//! | telemetry | one span and one measurement for every call, also for those that are refused below |
//! | catch-panic | a bug in one call answers INTERNAL, is counted and ends nothing else; telemetry sees the code |
//! | policy | workload × method is decided before a byte of the body is read, for unknown paths as well |
//! | deadline | bounds all that follows, the check of the token and the body included |
//! | user | the token that the method's rule asks for; what is not asked for is not looked at |
//! | admission | only calls that may be made take a place; health always passes |
//! | routes | the services, health and reflection, each with the limit of its messages |

mod admitted;
mod denials;
mod panic;
mod policy;
mod routes;
mod telemetry;
mod user;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use mesh_identity::TokenVerifier;
use mesh_lifecycle::Lifecycle;
use mesh_policy::PolicyHandle;
use mesh_resilience::{AdmissionLayer, DeadlineLayer};
use tonic::body::Body;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;

use crate::Limits;
use crate::health::is_health;

pub use routes::GrpcService;
pub(crate) use routes::Routes;

/// The whole stack, once for a server; each call gets a clone.
pub(crate) type Stack = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// What the layers need to know.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) workload: Arc<str>,
    pub(crate) policy: PolicyHandle,
    pub(crate) verifier: Option<TokenVerifier>,
    pub(crate) limits: Limits,
    pub(crate) lifecycle: Lifecycle,
    /// Paths whose streams have no end of their own.
    pub(crate) watches: Arc<[String]>,
}

/// Puts the stack around the routes.
pub(crate) fn build(parts: &Parts, routes: Routes) -> Stack {
    let stack = ServiceBuilder::new()
        .layer(telemetry::layer(Arc::clone(&parts.workload), parts.policy.clone()))
        .layer(panic::layer(Arc::clone(&parts.workload)))
        .layer(policy::layer(Arc::clone(&parts.workload), parts.policy.clone()))
        .layer(DeadlineLayer::new(parts.limits.call))
        .layer(user::layer(parts.verifier.clone()))
        .layer(AdmissionLayer::new(parts.limits.admission).exempt(is_health))
        .layer(admitted::layer(parts.lifecycle.clone(), Arc::clone(&parts.watches)))
        .service(routes);
    BoxCloneSyncService::new(stack)
}
