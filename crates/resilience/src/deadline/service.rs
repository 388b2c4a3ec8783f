//! The service and the future of [`super::DeadlineLayer`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use mesh_error::Error;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::Service;

use super::{
    Bounds, Deadline, GRPC_TIMEOUT,
    body::{BoundedBody, TrackedBody},
    guard::{Guarded, Guards},
    timeout_of,
    watch::{Limits, Watch},
};

/// Gives every call a deadline; see [`super::DeadlineLayer`].
#[derive(Clone)]
pub struct DeadlineService<S> {
    inner: S,
    bounds: Bounds,
    guards: Guards,
}

impl<S: std::fmt::Debug> std::fmt::Debug for DeadlineService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadlineService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S> DeadlineService<S> {
    pub(super) fn new(inner: S, bounds: Bounds) -> Self {
        Self { inner, bounds, guards: Guards::default() }
    }

    /// The limits of a request, or why it is refused.
    fn limits<B>(&self, request: &mut Request<B>) -> Result<Limits, Error> {
        let bounds = request.extensions().get::<Bounds>().copied().unwrap_or(self.bounds);
        let asked = timeout_of(request.headers())?;
        let mut deadline = Deadline::after(asked.map_or(bounds.total, |asked| asked.min(bounds.total)));
        if let Some(outer) = request.extensions().get::<Deadline>() {
            deadline = deadline.min(*outer);
        }
        if deadline.is_expired() {
            return Err(Deadline::error());
        }
        request.headers_mut().remove(GRPC_TIMEOUT);
        request.extensions_mut().insert(deadline);
        Ok(Limits::new(deadline, bounds.idle))
    }
}

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<TrackedBody<B>>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let limits = match self.limits(&mut request) {
            Ok(limits) => limits,
            Err(error) => return ResponseFuture { inner: None, watch: None, refusal: Some(error) },
        };
        let tracked = limits.idle.is_some().then(|| limits.clone());
        let inner = Some(self.inner.call(request.map(|body| TrackedBody::new(body, tracked))));
        let watch = Some((Watch::new(limits), self.guards.clone()));
        ResponseFuture { inner, watch, refusal: None }
    }
}

pin_project! {
    /// Ends with the handler's response or at the deadline.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>,
        watch: Option<(Watch, Guards)>,
        refusal: Option<Error>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(error) = this.refusal.take() {
            return Poll::Ready(Ok(error.into_status().into_http()));
        }
        let (Some(inner), Some((watch, _))) = (this.inner.as_mut().as_pin_mut(), this.watch.as_mut()) else {
            return Poll::Pending;
        };
        // The limit first: a handler whose time is up is not given another turn.
        let expiry = match watch.expired() {
            Some(expiry) => expiry,
            None => match inner.poll(cx) {
                Poll::Ready(result) => {
                    this.inner.set(None);
                    let watch = this.watch.take();
                    return Poll::Ready(result.map(|response| bound(response, watch)));
                }
                Poll::Pending => ready!(watch.poll_expired(cx)),
            },
        };
        metrics::counter!("mesh_deadline_expired_total", "limit" => expiry.name()).increment(1);
        this.inner.set(None);
        Poll::Ready(Ok(expiry.into_error().into_status().into_http()))
    }
}

/// Bounds the body, also while nobody polls it: the peer of a unary call can close its window as well. A body that is
/// complete needs no bound.
fn bound(response: Response<Body>, watch: Option<(Watch, Guards)>) -> Response<Body> {
    use http_body::Body as _;
    let Some((watch, guards)) = watch.filter(|_| !response.body().is_end_stream()) else { return response };
    response.map(|body| {
        let guarded = Guarded::new(body, watch.limits.clone(), &guards);
        Body::new(BoundedBody::watched(guarded, watch))
    })
}
