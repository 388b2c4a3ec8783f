//! The service of [`super::AdmissionLayer`] and the body that keeps a call's place.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tower::Service;

use super::{
    Exempt,
    gate::{Gate, Place},
};

/// Admits calls; see [`super::AdmissionLayer`].
#[derive(Clone)]
pub struct AdmissionService<S> {
    inner: S,
    gate: Arc<Gate>,
    exempt: Exempt,
}

impl<S> AdmissionService<S> {
    pub(super) fn new(inner: S, gate: Arc<Gate>, exempt: Exempt) -> Self {
        Self { inner, gate, exempt }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for AdmissionService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmissionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if (self.exempt)(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        // The clone stays; the one that said it was ready is used.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let place = match gate.enter().await {
                Ok(place) => place,
                Err(error) => return Ok(error.into_status().into_http()),
            };
            request.extensions_mut().insert(place.clone());
            let response = inner.call(request).await?;
            Ok(response.map(|body| Body::new(Held { body, _place: place })))
        })
    }
}

/// A response body that keeps its call's place until it is dropped.
#[derive(Debug)]
pub struct Held {
    body: Body,
    _place: Place,
}

impl http_body::Body for Held {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
