//! Log lines name their trace, cannot be forged, and the audit trail cannot be silenced.

use std::sync::Arc;

use http::HeaderMap;
use mesh_telemetry::audit::{AuditEvent, Outcome, audit};
use mesh_telemetry::{Format, RequestSpan, Sampling, TelemetryConfig, propagation};

use crate::support::{Request, capture, json};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_line_names_its_trace_without_any_collector() {
    let log = capture(&json("info"), || {
        let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), PARENT.parse().unwrap())]);
        let span = RequestSpan::begin(&headers, Arc::new(Request));
        span.in_scope(|| {
            assert_eq!(propagation::trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
            tracing::info!(answer = 42, "hello");
        });
    });
    assert!(log.text().starts_with("{\"timestamp\":\""), "{}", log.text());
    let line = &log.lines()[0];
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    assert_eq!((&line["message"], &line["answer"]), (&"hello".into(), &42.into()));
    assert_eq!((&line["span"]["name"], &line["span"]["user"]), (&"request".into(), &"ada".into()));
    assert!(line["span"].get("otel.kind").is_none());
}

#[test]
fn a_filter_hides_lines_but_not_the_trace() {
    let log = capture(&json("error"), || {
        let _entered = tracing::info_span!("call").entered();
        assert!(propagation::trace_id().is_some());
        tracing::info!("hidden");
        tracing::error!("shown");
    });
    assert_eq!(log.lines().len(), 1);
    assert!(log.lines()[0]["trace_id"].is_string());
}

#[test]
fn what_is_not_sampled_is_named_in_the_log_and_told_onwards() {
    let config = TelemetryConfig { sampling: Sampling::AlwaysOff, ..json("info") };
    let log = capture(&config, || {
        let _entered = tracing::info_span!("call").entered();
        let mut headers = HeaderMap::new();
        propagation::inject(&mut headers);
        assert!(headers["traceparent"].to_str().unwrap().ends_with("-00"));
        tracing::info!("hello");
    });
    assert!(log.lines()[0]["trace_id"].is_string());
}

#[test]
fn a_child_carries_the_trace_onwards() {
    capture(&json("info"), || {
        let _entered = tracing::info_span!("call").entered();
        let mut headers = HeaderMap::new();
        propagation::inject(&mut headers);
        let sent = headers["traceparent"].to_str().unwrap();
        assert_eq!(sent.split('-').nth(1).map(str::to_owned), propagation::trace_id());
    });
}

#[test]
fn audit_events_pass_every_filter_and_cannot_forge_lines() {
    let log = capture(&json("off"), || {
        for _ in 0..100 {
            audit(&AuditEvent {
                action: "login",
                outcome: Outcome::Failure,
                actor: "mallory\r\n{\"level\":\"ERROR\"}\u{2028}\u{1b}[2J",
                subject: "alice",
                client: "127.0.0.1",
                detail: "",
            });
        }
    });
    assert_eq!(log.lines().len(), 100);
    let line = &log.lines()[0];
    assert_eq!(
        (&line["target"], &line["action"], &line["outcome"]),
        (&"audit".into(), &"login".into(), &"failure".into())
    );
    assert!(!log.text().contains(['\u{2028}', '\u{1b}', '\r']));
}

#[test]
fn a_field_cannot_pose_as_the_trace() {
    let log = capture(&json("info"), || tracing::info!(trace_id = "forged", "x\u{2028}y"));
    assert!(log.lines()[0].get("trace_id").is_none());
    assert!(!log.text().contains('\u{2028}'));
}

#[test]
fn text_lines_name_the_trace_too() {
    let config = TelemetryConfig { format: Format::Text, ..TelemetryConfig::default() };
    let log = capture(&config, || {
        let _entered = tracing::info_span!("call").entered();
        tracing::info!("hello");
    });
    assert!(log.text().contains("hello") && log.text().contains("trace_id="), "{}", log.text());
}
