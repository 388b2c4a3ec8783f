//! What is recorded of a request is decided once, when it comes; what is left out still knows its trace.

use std::sync::Arc;

use http::HeaderMap;
use mesh_telemetry::{RecentSpan, RequestSpan, Sampling, TelemetryConfig, propagation};

use crate::support::{Captured, Request, json};

const RECORDED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const LEFT_OUT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// What one request told others, and whether it did so in its span.
fn request(parent: Option<&str>) -> String {
    let headers = parent.map(|parent| ("traceparent".parse().unwrap(), parent.parse().unwrap()));
    let span = RequestSpan::begin(&headers.into_iter().collect(), Arc::new(Request));
    span.in_scope(|| {
        let _call = tracing::info_span!("call").entered();
        tracing::warn!("hello");
        let mut sent = HeaderMap::new();
        propagation::inject(&mut sent);
        sent.get("traceparent").unwrap().to_str().unwrap().to_owned()
    })
}

/// Runs under a sampler of a share; the spans that were recorded and the log.
fn sampled<T>(
    sampling: Sampling,
    sampling_ratio: f64,
    work: impl FnOnce() -> T,
) -> (T, Vec<RecentSpan>, Captured) {
    let config = TelemetryConfig { sampling, sampling_ratio, recent_spans: 10_000, ..json("info") };
    let log = Captured::default();
    let (subscriber, telemetry) =
        mesh_telemetry::subscriber("test", &config, Vec::new(), log.clone()).unwrap();
    let result = tracing::subscriber::with_default(subscriber, work);
    (result, telemetry.recent().unwrap().spans(), log)
}

#[test]
fn a_request_that_is_left_out_has_lines_and_no_spans() {
    let (sent, spans, log) = sampled(Sampling::ParentBasedTraceIdRatio, 0.0, || request(None));
    assert!(spans.is_empty(), "{spans:?}");
    assert!(sent.ends_with("-00"), "{sent}");
    let line = &log.lines()[0];
    assert_eq!(line["trace_id"].as_str(), sent.get(3..35));
    assert_eq!((&line["span"]["name"], &line["span"]["user"]), (&"call".into(), &"ada".into()));
}

#[test]
fn lines_say_the_same_of_a_request_that_is_left_out() {
    let line = |sampling| {
        let (_, _, log) = sampled(sampling, 1.0, || {
            RequestSpan::begin(&HeaderMap::new(), Arc::new(Request)).in_scope(|| tracing::warn!("hello"));
            tracing::warn!("after it");
        });
        let [within, after] = &log.lines()[..] else { panic!("two lines") };
        assert!(after.get("span").is_none() && after.get("trace_id").is_none(), "{after}");
        within["span"].clone()
    };
    let said = line(Sampling::AlwaysOff);
    assert_eq!((&said["name"], &said["user"]), (&"request".into(), &"ada".into()));
    assert_eq!(said, line(Sampling::AlwaysOn));
}

#[test]
fn what_the_caller_decided_holds() {
    let (sent, spans, _) = sampled(Sampling::ParentBasedTraceIdRatio, 0.0, || request(Some(RECORDED)));
    let names: Vec<_> =
        spans.iter().map(|span| (span.name.as_str(), span.parent_span_id.as_deref())).collect();
    let request_id = spans.iter().find(|span| span.name == "request").map(|span| span.span_id.as_str());
    assert_eq!(names, [("call", request_id), ("request", Some("b7ad6b7169203331"))]);
    assert!(spans.iter().all(|span| RECORDED.contains(&span.trace_id)) && sent.ends_with("-01"), "{sent}");

    let (sent, spans, log) = sampled(Sampling::ParentBasedTraceIdRatio, 1.0, || request(Some(LEFT_OUT)));
    assert!(spans.is_empty());
    // Whoever records further on finds the last span that was recorded.
    assert_eq!(sent, LEFT_OUT);
    assert_eq!(log.lines()[0]["trace_id"].as_str(), LEFT_OUT.get(3..35));
}

#[test]
fn a_sampler_that_does_not_ask_the_caller_overrides_it() {
    let (sent, spans, _) = sampled(Sampling::AlwaysOff, 1.0, || request(Some(RECORDED)));
    assert!(spans.is_empty() && sent.ends_with("-00") && sent.get(3..35) == RECORDED.get(3..35), "{sent}");
    let (sent, spans, _) = sampled(Sampling::AlwaysOn, 1.0, || request(Some(LEFT_OUT)));
    assert!(spans.len() == 2 && sent.ends_with("-01"), "{sent}");
}

#[test]
fn a_share_is_recorded_and_each_trace_whole() {
    let (sent, spans, _) = sampled(Sampling::ParentBasedTraceIdRatio, 0.5, || {
        (0..400).map(|_| request(None)).collect::<Vec<_>>()
    });
    let recorded: Vec<_> = sent.iter().filter(|sent| sent.ends_with("-01")).collect();
    // Some twenty standard deviations around the half.
    assert!((100..300).contains(&recorded.len()), "{}", recorded.len());
    assert_eq!(spans.len(), 2 * recorded.len());
    for sent in recorded {
        let of_trace = spans.iter().filter(|span| sent.get(3..35) == Some(&span.trace_id));
        assert_eq!(of_trace.count(), 2, "{sent}");
    }
}

#[test]
fn nobody_to_take_them_records_nothing_and_hands_on_what_was_decided() {
    let config = TelemetryConfig { sampling: Sampling::ParentBasedAlwaysOn, ..json("info") };
    let log = Captured::default();
    let (subscriber, _telemetry) =
        mesh_telemetry::subscriber("test", &config, Vec::new(), log.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(request(Some(RECORDED)), RECORDED);
        assert_eq!(request(Some(LEFT_OUT)), LEFT_OUT);
        assert!(request(None).ends_with("-01"));
    });
    assert!(log.lines().iter().all(|line| line["trace_id"].is_string()));
}
