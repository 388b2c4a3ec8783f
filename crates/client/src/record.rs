//! The span and the metrics of one call, from its first attempt to the end of its response.

use std::sync::Arc;

use mesh_telemetry::{RequestSpan, red};
use tokio::time::Instant;
use tracing::{Span, field::Empty};

/// A caller that leaves before the end is a cancelled call.
const CANCELLED: i32 = 1;

/// Ends with the call; without a status it ends as CANCELLED.
#[derive(Debug)]
pub(crate) struct Record {
    workload: Arc<str>,
    server: Arc<str>,
    method: Arc<str>,
    span: Span,
    began: Instant,
    code: i32,
}

impl Record {
    /// `method` is `package.Service/Method` of the contract, or what stands for a path that is not in it.
    pub(crate) fn begin(workload: Arc<str>, server: Arc<str>, method: Arc<str>) -> Self {
        let mut record =
            Self { workload, server, method, span: Span::none(), began: Instant::now(), code: CANCELLED };
        if !RequestSpan::is_left_out() {
            record.span = record.make_span();
        }
        record
    }

    fn make_span(&self) -> Span {
        tracing::info_span!(
            "rpc client",
            otel.name = &*self.method,
            otel.kind = "client",
            rpc.system.name = "grpc",
            rpc.method = &*self.method,
            quipu.workload = &*self.workload,
            server.address = &*self.server,
            rpc.response.status_code = Empty,
            rpc.retries = Empty,
            otel.status_code = Empty,
        )
    }

    /// The span, which is none when nobody records it.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Writes a line about the call, which names it whether its span is recorded or not.
    pub(crate) fn log(&self, line: impl FnOnce()) {
        if self.span.is_none() { self.make_span().in_scope(line) } else { self.span.in_scope(line) }
    }

    pub(crate) fn retried(&self, retries: u32) {
        self.span.record("rpc.retries", retries);
    }

    /// The call has its status.
    pub(crate) fn end(mut self, code: i32) {
        self.code = code;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let name = red::code_name(self.code);
        self.span.record("rpc.response.status_code", name);
        if self.code != 0 {
            self.span.record("otel.status_code", "ERROR");
        }
        red::rpc_client_call((&self.workload, &self.server), &self.method, name, self.began.elapsed());
    }
}
