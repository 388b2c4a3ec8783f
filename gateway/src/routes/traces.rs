//! `GET /v1/traces`: the newest traces of a local mesh, when this process keeps them.

use std::{collections::BTreeMap, time::SystemTime};

use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use mesh_error::{Error, Kind};
use mesh_telemetry::RecentSpan;

use crate::{
    api::traces::{Span, Trace, Traces},
    json::Json,
    problem::Failure,
    route::Route,
    state::Shared,
};

/// At most so many traces are answered.
const MAX_TRACES: usize = 100;

/// The route of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/traces", traces)
            .named("mesh", "listTraces", "The newest traces of a local mesh")
            .about("A mesh whose traces go to a collector keeps none and answers 404.")
            .needs("mesh:read")
            .answers::<Traces>(200, "The newest traces.")
            .fails(404, "This process keeps no traces."),
    ]
}

async fn traces(State(gateway): State<Shared>) -> Result<Json<Traces>, Failure> {
    let Some(recent) = &gateway.traces else {
        let error = Error::new(Kind::NotFound, "TRACES_NOT_KEPT", "this process keeps no traces");
        return Err(error.into());
    };
    Ok(Json(Traces { traces: newest_first(recent.spans()) }))
}

/// Spans by trace; a trace is as new as its first span.
fn newest_first(spans: Vec<RecentSpan>) -> Vec<Trace> {
    let mut by_trace: BTreeMap<String, Vec<RecentSpan>> = BTreeMap::new();
    for span in spans {
        by_trace.entry(span.trace_id.clone()).or_default().push(span);
    }
    let mut traces: Vec<(SystemTime, Trace)> = by_trace
        .into_iter()
        .filter_map(|(trace_id, mut spans)| {
            spans.sort_by_key(|span| span.start);
            let start = spans.first()?.start;
            Some((start, Trace { trace_id, spans: spans.into_iter().map(Span::from).collect() }))
        })
        .collect();
    traces.sort_by_key(|(start, _)| std::cmp::Reverse(*start));
    traces.into_iter().take(MAX_TRACES).map(|(_, trace)| trace).collect()
}

impl From<RecentSpan> for Span {
    fn from(span: RecentSpan) -> Self {
        Self {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name,
            started_at: DateTime::<Utc>::from(span.start).to_rfc3339_opts(SecondsFormat::Micros, true),
            duration_ms: span.duration.as_secs_f64() * 1e3,
            failed: span.failed,
            attributes: span.attributes.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn span(trace: &str, id: &str, at: u64) -> RecentSpan {
        RecentSpan {
            trace_id: trace.into(),
            span_id: id.into(),
            parent_span_id: None,
            name: id.into(),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
            duration: Duration::from_millis(5),
            failed: false,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn the_newest_trace_comes_first_and_its_spans_in_order() {
        let traces = newest_first(vec![span("a", "2", 11), span("b", "1", 20), span("a", "1", 10)]);
        let ids: Vec<_> = traces.iter().map(|t| t.trace_id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
        let spans: Vec<_> = traces[1].spans.iter().map(|s| s.span_id.as_str()).collect();
        assert_eq!(spans, ["1", "2"]);
    }
}
