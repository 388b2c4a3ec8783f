//! A captured log.

use std::io;
use std::sync::{Arc, Mutex};

use mesh_telemetry::{Describe, Format, TelemetryConfig};
use serde_json::Value;
use tracing::Span;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

pub(crate) fn json(filter: &str) -> TelemetryConfig {
    TelemetryConfig { filter: filter.into(), format: Format::Json, ..TelemetryConfig::default() }
}

/// Runs `work` under a captured subscriber and returns its lines.
pub(crate) fn capture(config: &TelemetryConfig, work: impl FnOnce()) -> Captured {
    let captured = Captured::default();
    let (subscriber, _telemetry) =
        mesh_telemetry::subscriber("test", config, Vec::new(), captured.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    captured
}

/// A request of somebody.
pub(crate) struct Request;

impl Describe for Request {
    fn span(&self) -> Span {
        tracing::info_span!("request", user = "ada", otel.kind = "server")
    }

    fn name(&self) -> &'static str {
        "request"
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, &str)) {
        field("user", "ada");
    }
}
