//! A collector of traces that keeps what it gets.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use crate::Result;
use crate::child::until;

/// A span as it came over OTLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// 16 hexadecimal digits, or empty for a root.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// `service.name` of its resource.
    pub service: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it ended as failed.
    pub failed: bool,
}

/// A collector on loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    addr: SocketAddr,
    spans: Spans,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<CollectedSpan>>>);

impl OtlpReceiver {
    /// Starts one.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let spans = Spans::default();
        let service = TraceServiceServer::new(spans.clone());
        #[expect(clippy::disallowed_methods, reason = "a collector outside the mesh, spoken to without TLS")]
        let server = tonic::transport::Server::builder().add_service(service);
        let serving = tokio::spawn(async move {
            // It ends only with the receiver.
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Self { addr, spans, _serving: AbortOnDropHandle::new(serving) })
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has come so far.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has come of one trace.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<CollectedSpan> {
        self.spans().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }

    /// Waits until the spans satisfy the test, and returns them.
    ///
    /// # Errors
    /// When they do not in time; the text names the spans that came.
    pub async fn wait_for(
        &self,
        limit: Duration,
        test: impl Fn(&[CollectedSpan]) -> bool,
    ) -> Result<Vec<CollectedSpan>> {
        until(limit, "the spans did not come", || async {
            let spans = self.spans();
            if test(&spans) {
                Ok(spans)
            } else {
                let names: Vec<_> =
                    spans.iter().map(|span| format!("{}/{}", span.service, span.name)).collect();
                Err(format!("{names:?}").into())
            }
        })
        .await
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of_resource in request.into_inner().resource_spans {
            let attributes =
                of_resource.resource.map(|resource| texts(resource.attributes)).unwrap_or_default();
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(collected(span, service.clone()));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collected(span: Span, service: String) -> CollectedSpan {
    CollectedSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        service,
        attributes: texts(span.attributes),
        // `STATUS_CODE_ERROR`.
        failed: span.status.is_some_and(|status| status.code == 2),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, attribute.value.map(text).unwrap_or_default()))
        .collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
