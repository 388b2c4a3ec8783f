//! One span and one measurement for every call, until its last frame.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use mesh_identity::{Peer, SpiffeId};
use mesh_policy::PolicyHandle;
use mesh_telemetry::{Describe, RequestSpan, red};
use tonic::Status;
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::{Layer, Service};
use tracing::{Span, field};

use crate::grpc;

/// The code of a call whose caller went away.
const CANCELLED: i32 = 1;
/// The code of a response that named none.
const UNKNOWN: i32 = 2;
/// The code of what is no gRPC call at all and is answered by an HTTP status, which is no fault of the server.
const INVALID_ARGUMENT: i32 = 3;

/// The layer, for calls of `workload`.
pub(super) fn layer<S>(
    workload: Arc<str>,
    policy: PolicyHandle,
) -> impl Layer<S, Service = Observe<S>> + Clone {
    let active = red::ActiveCalls::of(Arc::clone(&workload));
    let unknown: Arc<str> = red::UNKNOWN.into();
    layer_fn(move |inner| Observe {
        inner,
        unknown: Arc::clone(&unknown),
        workload: Arc::clone(&workload),
        policy: policy.clone(),
        active: active.clone(),
    })
}

/// Observes every call.
#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    workload: Arc<str>,
    policy: PolicyHandle,
    unknown: Arc<str>,
    active: red::ActiveCalls,
}

impl<S> Observe<S> {
    fn begin<B>(&self, request: &Request<B>) -> Call {
        let policy = self.policy.load();
        let known = policy.method(grpc::path(request));
        let named = Named {
            workload: Arc::clone(&self.workload),
            service: known.map(|method| Arc::clone(&method.service)),
            method: known.map_or_else(|| Arc::clone(&self.unknown), |method| Arc::clone(&method.full_name)),
            caller: request.extensions().get::<Peer>().map(|peer| peer.id.clone()),
        };
        let named = Arc::new(named);
        let span = RequestSpan::begin(request.headers(), named.clone());
        Call { in_flight: Some(red::InFlight::enter(&self.active)), named, span, begun: Instant::now() }
    }
}

/// What a call is called, and who calls.
struct Named {
    workload: Arc<str>,
    service: Option<Arc<str>>,
    method: Arc<str>,
    caller: Option<SpiffeId>,
}

impl Named {
    fn service(&self) -> &str {
        self.service.as_deref().unwrap_or_default()
    }

    fn caller(&self) -> &str {
        self.caller.as_ref().map_or("", SpiffeId::as_str)
    }
}

impl Describe for Named {
    fn span(&self) -> Span {
        tracing::info_span!(
            "rpc.server",
            otel.name = &*self.method,
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system.name = "grpc",
            rpc.service = self.service(),
            rpc.method = &*self.method,
            rpc.response.status_code = field::Empty,
            quipu.workload = &*self.workload,
            quipu.caller = self.caller(),
        )
    }

    fn name(&self) -> &'static str {
        "rpc.server"
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, &str)) {
        field("rpc.system.name", "grpc");
        field("rpc.service", self.service());
        field("rpc.method", &self.method);
        field("quipu.workload", &self.workload);
        field("quipu.caller", self.caller());
    }
}

impl<S, B> Service<Request<B>> for Observe<S>
where
    S: Service<Request<B>, Response = Response<Body>, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = self.begin(&request);
        // The next layer does nothing before its future is polled, so that is within the span as well.
        let response = call.span.follow(self.inner.call(request));
        Box::pin(async move {
            let response = response.await?;
            // Trailers only: the code is in the headers, and there is no body to wait for.
            if let Some(code) = grpc::status_code(response.headers()).or_else(|| refusal(response.status())) {
                call.finish(code);
            }
            Ok(response.map(|body| Body::new(Observed { inner: body, call })))
        })
    }
}

/// The code for an HTTP status that says all there is to say.
fn refusal(status: StatusCode) -> Option<i32> {
    if status.is_client_error() { Some(INVALID_ARGUMENT) } else { (!status.is_success()).then_some(UNKNOWN) }
}

/// One call, measured when its code is known, or else when it is dropped.
struct Call {
    in_flight: Option<red::InFlight>,
    named: Arc<Named>,
    span: RequestSpan,
    begun: Instant,
}

impl Call {
    fn finish(&mut self, code: i32) {
        // What counts it as in progress also says that it has not ended.
        let Some(_in_flight) = self.in_flight.take() else { return };
        let (name, took) = (red::code_name(code), self.begun.elapsed());
        red::rpc_server_call(&self.named.workload, &self.named.method, name, took);
        self.span.record("rpc.response.status_code", name);
        if red::is_server_fault(code) {
            self.span.record("otel.status_code", "ERROR");
            self.span
                .in_scope(|| tracing::info!(code = name, took_ms = took.as_secs_f64() * 1e3, "call failed"));
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            self.span.in_scope(|| {
                tracing::debug!(code = name, took_ms = took.as_secs_f64() * 1e3, "call finished")
            });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(CANCELLED);
    }
}

/// A response body that tells the call how it ended.
struct Observed {
    inner: Body,
    call: Call,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { inner, call } = &mut *self;
        let poll = call.span.in_scope(|| Pin::new(inner).poll_frame(cx));
        match &poll {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let code = grpc::status_code(trailers).unwrap_or(UNKNOWN);
                    self.call.finish(code);
                }
            }
            Poll::Ready(Some(Err(status))) => {
                let code = i32::from(status.code());
                self.call.finish(code);
            }
            Poll::Ready(None) => self.call.finish(UNKNOWN),
            Poll::Pending => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_call_is_no_fault_of_the_server() {
        let is_fault = |status| refusal(status).map(red::is_server_fault);
        assert_eq!(is_fault(StatusCode::OK), None);
        assert_eq!(is_fault(StatusCode::METHOD_NOT_ALLOWED), Some(false));
        assert_eq!(is_fault(StatusCode::UNSUPPORTED_MEDIA_TYPE), Some(false));
        assert_eq!(is_fault(StatusCode::INTERNAL_SERVER_ERROR), Some(true));
    }
}
