//! Turns a panic of one call into INTERNAL.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::bodies::Caught;

/// The layer, for the code of `workload`.
pub(super) fn layer<S>(workload: Arc<str>) -> impl Layer<S, Service = CatchPanic<S>> + Clone {
    layer_fn(move |inner| CatchPanic { inner, workload: Arc::clone(&workload) })
}

/// Catches the panics of a handler and of the body that it returns.
#[derive(Clone)]
pub(super) struct CatchPanic<S> {
    inner: S,
    workload: Arc<str>,
}

impl<S, B> Service<Request<B>> for CatchPanic<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let workload = Arc::clone(&self.workload);
        Box::pin(async move {
            // Nothing of the call is used again after a panic, so no broken invariant can be seen.
            match AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind().await {
                Ok(result) => {
                    result.map(|response| response.map(|body| Body::new(Caught::new(body, workload))))
                }
                Err(_) => Ok(crate::bodies::panicked(&workload).into_http()),
            }
        })
    }
}
