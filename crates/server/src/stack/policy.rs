//! Decides whether the calling workload may call the method, before anything of the body is read.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use mesh_client::CALL_NOT_ALLOWED;
use mesh_error::Error;
use mesh_identity::{Peer, Principal, SpiffeId};
use mesh_policy::{Decision, Denial, PolicyHandle, UserRule};
use mesh_resilience::Bounds;
use mesh_telemetry::audit::{AuditEvent, Outcome, audit};
use metrics::counter;
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::denials::Denials;
use crate::{RemoteAddr, grpc};

/// The layer, for calls of `workload`.
pub(super) fn layer<S>(
    workload: Arc<str>,
    policy: PolicyHandle,
) -> impl Layer<S, Service = CheckPolicy<S>> + Clone {
    let denials = Arc::new(Denials::default());
    layer_fn(move |inner| CheckPolicy {
        inner,
        workload: Arc::clone(&workload),
        policy: policy.clone(),
        denials: Arc::clone(&denials),
    })
}

/// Which user the method asks for, for the layer that looks at the token.
#[derive(Clone)]
pub(super) struct Terms(pub(super) UserRule);

/// Lets through what the policy allows, with its terms in the extensions.
#[derive(Clone)]
pub(super) struct CheckPolicy<S> {
    inner: S,
    workload: Arc<str>,
    policy: PolicyHandle,
    denials: Arc<Denials>,
}

impl<S> CheckPolicy<S> {
    /// Writes the terms of the call into its extensions, or says why it is refused.
    fn check<B>(&self, request: &mut Request<B>) -> Result<(), Error> {
        let caller = request.extensions().get::<Peer>().map(|peer| peer.id.clone());
        let Some(caller) = caller else {
            return Err(Error::unauthenticated("NO_PEER", "the caller presented no identity"));
        };
        let policy = self.policy.load();
        match policy.decide(&self.workload, &caller, grpc::path(request)) {
            Decision::Allow(rule) => {
                let extensions = request.extensions_mut();
                extensions.insert(Bounds { total: rule.deadline, idle: rule.idle });
                extensions.insert(Terms(rule.user.clone()));
                extensions.insert(Principal { workload: caller, user: None });
                Ok(())
            }
            Decision::Deny(denial) => {
                self.record(denial, &caller, request);
                Err(Error::denied(CALL_NOT_ALLOWED, "the policy does not allow this call"))
            }
        }
    }

    fn record<B>(&self, denial: Denial, caller: &SpiffeId, request: &Request<B>) {
        let workload = Arc::clone(&self.workload);
        counter!("mesh_policy_denied_total", "quipu_workload" => workload, "reason" => denial.as_str())
            .increment(1);
        let Some(unwritten) = self.denials.count(caller) else { return };
        let reason = denial.as_str();
        let detail = match unwritten {
            0 => Cow::Borrowed(reason),
            more => Cow::Owned(format!("{reason}; {more} more denials of this caller are not written")),
        };
        let client = request
            .extensions()
            .get::<RemoteAddr>()
            .map(|RemoteAddr(addr): &RemoteAddr| SocketAddr::to_string(addr));
        audit(&AuditEvent {
            action: "rpc.call",
            outcome: Outcome::Denied,
            actor: caller.as_str(),
            subject: grpc::path(request),
            client: client.as_deref().unwrap_or_default(),
            detail: &detail,
        });
    }
}

impl<S, B> Service<Request<B>> for CheckPolicy<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(refusal) = grpc::refusal(&request) {
            return Either::Left(ready(Ok(refusal)));
        }
        match self.check(&mut request) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(error) => Either::Left(ready(Ok(grpc::trailers_only(error)))),
        }
    }
}
