//! What surrounds the services themselves: the process that a handler belongs to, and the end of endless streams.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_lifecycle::Lifecycle;
use mesh_resilience::Place;
use tokio::task::futures::TaskLocalFuture;
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::bodies::{Scoped, Until};
use crate::context::{CALL, Call};

/// The layer; streams of the paths `watches` end when the server closes.
pub(super) fn layer<S>(
    lifecycle: Lifecycle,
    watches: Arc<[String]>,
) -> impl Layer<S, Service = Admitted<S>> + Clone {
    layer_fn(move |inner| Admitted { inner, lifecycle: lifecycle.clone(), watches: Arc::clone(&watches) })
}

/// Runs the handler as a part of the process.
#[derive(Clone)]
pub(super) struct Admitted<S> {
    inner: S,
    lifecycle: Lifecycle,
    watches: Arc<[String]>,
}

impl<S, B> Service<Request<B>> for Admitted<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = futures::future::MapOk<TaskLocalFuture<Call, S::Future>, Ending>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let place = request.extensions_mut().remove::<Place>();
        let call = Call::new(self.lifecycle.clone(), place);
        let watch = self.watches.iter().any(|path| path == request.uri().path());
        let closing = watch.then(|| self.lifecycle.stop_token());
        let of_body = call.clone();
        let ending: Ending = Box::new(move |response| {
            response.map(|body| {
                let body = Body::new(Scoped::new(body, of_body));
                match closing {
                    Some(closing) => Body::new(Until::new(body, closing)),
                    None => body,
                }
            })
        });
        let handler = CALL.scope(call, self.inner.call(request));
        futures::TryFutureExt::map_ok(handler, ending)
    }
}

/// What is done with the response.
type Ending = Box<dyn FnOnce(Response<Body>) -> Response<Body> + Send>;
