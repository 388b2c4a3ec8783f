//! The span and the metrics of one call, from its first attempt to the end of its response.

use std::sync::Arc;

use mesh_telemetry::red;
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
        let span = tracing::info_span!(
            "rpc client",
            otel.name = &*method,
            otel.kind = "client",
            rpc.system.name = "grpc",
            rpc.method = &*method,
            quipu.workload = &*workload,
            server.address = &*server,
            rpc.response.status_code = Empty,
            rpc.retries = Empty,
            otel.status_code = Empty,
        );
        Self { workload, server, method, span, began: Instant::now(), code: CANCELLED }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
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
        let [workload, server, method] = [&self.workload, &self.server, &self.method].map(Arc::clone);
        red::rpc_client_call(workload, server, method, name, self.began.elapsed());
    }
}
