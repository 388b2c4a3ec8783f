//! The channel that generated clients call through.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response, uri::Authority};
use mesh_identity::SpiffeId;
use mesh_policy::PolicyHandle;
use mesh_resilience::RetryBudget;
use tonic::body::Body;
use tower::Service;

use crate::{Mesh, Settings, Target, balance::Balancer, call, connect::Dial, resolve};

/// Calls one workload. Clones share connections, ejections and the retry budget.
///
/// It never fails itself: what goes wrong on the way is a response that is nothing but a status, so that a client sees
/// every failure in one form.
#[derive(Clone, Debug)]
pub struct Channel(Arc<Upstream>);

/// A workload that is called.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its name in the policy.
    pub(crate) name: Arc<str>,
    /// The same, as requests say whom they are for.
    pub(crate) authority: Authority,
    /// Who calls.
    pub(crate) own: SpiffeId,
    /// The name under which the caller is counted.
    pub(crate) own_name: Arc<str>,
    pub(crate) policy: PolicyHandle,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) budget: RetryBudget,
    pub(crate) settings: Settings,
}

impl Channel {
    pub(crate) fn open(mesh: &Mesh, authority: Authority, expected: SpiffeId, target: Target) -> Self {
        let settings = mesh.settings();
        let name: Arc<str> = authority.as_str().into();
        let dial = Dial::new(mesh.tls.clone(), expected, settings);
        let balancer = Arc::new(Balancer::new(Arc::clone(&name), dial));
        if let Target::Static(addresses) = &target {
            balancer.update(addresses.clone());
        }
        let lifecycle = mesh.lifecycle();
        let follow =
            resolve::follow(target, Arc::downgrade(&balancer), settings.refresh, lifecycle.stop_token());
        lifecycle.spawn("endpoints", follow);
        let own = mesh.id();
        Self(Arc::new(Upstream {
            name,
            authority,
            own_name: own.service_account().unwrap_or("unknown").into(),
            own,
            policy: mesh.policy.clone(),
            balancer,
            budget: RetryBudget::new(settings.budget),
            settings,
        }))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let upstream = Arc::clone(&self.0);
        Box::pin(async move { Ok(call::call(&upstream, request).await) })
    }
}
