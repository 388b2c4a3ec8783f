//! Which service a call goes to, and how large its messages may be.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use hyper::body::Incoming;
use mesh_error::{Error, Kind};
use mesh_resilience::TrackedBody;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;
use tower::util::{BoxCloneSyncService, Oneshot, ServiceExt as _};

use crate::bodies::Limited;
use crate::grpc;

/// The body of a request, as it comes here.
type Inbound = TrackedBody<Incoming>;

type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A service as it is generated from the contract.
pub trait GrpcService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The services of a server by their names. Few of them: looking at each is as fast as any index.
#[derive(Clone, Default)]
pub(crate) struct Routes(Arc<Vec<Route>>);

#[derive(Clone)]
struct Route {
    name: &'static str,
    /// Bytes of a request message.
    limit: usize,
    service: Inner,
}

impl Routes {
    /// Adds a generated service.
    pub(crate) fn add<S: GrpcService>(&mut self, service: S, limit: usize) {
        let route = Route { name: S::NAME, limit, service: BoxCloneSyncService::new(service) };
        Arc::make_mut(&mut self.0).push(route);
    }

    /// The service of a path `/<name>/<method>`.
    fn find(&self, path: &str) -> Option<&Route> {
        let (name, _) = path.strip_prefix('/')?.split_once('/')?;
        self.0.iter().find(|route| route.name == name)
    }
}

impl Service<Request<Inbound>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Oneshot<Inner, Request<Body>>, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Inbound>) -> Self::Future {
        let Some(route) = self.find(request.uri().path()) else {
            let error = Error::new(
                Kind::Unimplemented,
                Kind::Unimplemented.default_reason(),
                "the server has no such service",
            );
            return Either::Right(ready(Ok(grpc::trailers_only(error))));
        };
        let request = request.map(|body| Body::new(Limited::new(body, route.limit)));
        Either::Left(route.service.clone().oneshot(request))
    }
}
