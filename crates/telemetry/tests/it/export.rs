//! A collector that is away or silent costs nothing but its spans.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mesh_telemetry::{Telemetry, TelemetryConfig, metrics_text};

use crate::support::{Captured, json};

/// Records `count` spans for the collector, ends the export and says whether it went.
async fn record(endpoint: String, count: usize) -> bool {
    let config = TelemetryConfig { otlp_endpoint: Some(endpoint), ..json("off") };
    let (subscriber, telemetry) =
        mesh_telemetry::subscriber("test", &config, Vec::new(), Captured::default()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..count {
            let _entered = tracing::info_span!("work").entered();
        }
    });
    telemetry.shutdown(Duration::from_secs(1)).await
}

#[tokio::test(flavor = "current_thread")]
async fn a_black_hole_does_not_hold_the_end_on_one_thread() {
    Telemetry::init("test", &json("off")).unwrap();
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    assert!(!record(format!("http://{}", hole.local_addr().unwrap()), 10_000).await);
    // More than the queue holds, and nothing of it lost in silence.
    assert!(metrics_text().contains("quipu_telemetry_spans_total{outcome=\"dropped\"}"));
    // A bound far above the limit of one second, but below the time-outs of the exporter.
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "current_thread")]
async fn a_closed_port_does_not_hold_the_end() {
    let start = Instant::now();
    record("http://127.0.0.1:1".into(), 100).await;
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let config = TelemetryConfig { otlp_endpoint: Some("not a url".into()), ..json("off") };
    assert!(mesh_telemetry::subscriber("test", &config, Vec::new(), Captured::default()).is_err());
}
