//! Traces that are made without OTLP, and feedback scores.

use serde_json::Value;
use uuid::Uuid;

use super::fields::{self, Answer, Result, refused};
use super::kept::{Kept, OpikScore, OpikTrace, put};
use crate::http::Request;

/// The project of what names none.
pub(super) const DEFAULT_PROJECT: &str = "Default Project";
/// Who may give a score.
const SOURCES: [&str; 3] = ["sdk", "ui", "online_scoring"];

/// Makes traces, all of them or none.
pub(super) fn batch(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let made = fields::list(&body, "traces")?.iter().map(trace).collect::<Result<Vec<_>>>()?;
    for trace in made {
        put(&mut kept.traces, trace.id, trace);
    }
    Ok(Answer::empty(204))
}

fn trace(object: &Value) -> Result<OpikTrace> {
    let start_time = fields::time(object, "start_time")?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(OpikTrace {
        id: fields::id(object, "id")?,
        project: fields::optional_text(object, "project_name")?.unwrap_or(DEFAULT_PROJECT).to_owned(),
        name: owned(fields::optional_text(object, "name")?).unwrap_or_default(),
        thread_id: owned(fields::optional_text(object, "thread_id")?),
        start_time: start_time.ok_or_else(|| refused(400, "start_time must not be null"))?,
        end_time: fields::time(object, "end_time")?,
        input: fields::value(object, "input"),
        output: fields::value(object, "output"),
        metadata: fields::value(object, "metadata"),
        tags: fields::texts(object, "tags")?,
        error_info: object.get("error_info").filter(|info| !info.is_null()).map(error).transpose()?,
    })
}

/// The type and the trace of the calls must be said.
fn error(info: &Value) -> Result<Value> {
    fields::text(info, "exception_type")?;
    fields::text(info, "traceback")?;
    Ok(info.clone())
}

/// Gives one score to a trace that there is.
pub(super) fn score(request: &Request, id: &str, kept: &mut Kept) -> Result<Answer> {
    let id = fields::parse_id(id).ok_or_else(|| refused(400, "trace id must be a version 7 UUID"))?;
    let score = parse(&fields::body(request)?, id)?;
    if !kept.traces.contains_key(&id) {
        return Err(refused(404, format!("Trace id: {id} not found")));
    }
    keep(score, kept);
    Ok(Answer::empty(204))
}

/// Gives scores to traces, which may come later, all of them or none.
pub(super) fn score_batch(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let one = |object: &Value| {
        fields::optional_text(object, "project_name")?;
        parse(object, fields::id(object, "id")?)
    };
    let scores = fields::list(&body, "scores")?.iter().map(one).collect::<Result<Vec<_>>>()?;
    for score in scores {
        keep(score, kept);
    }
    Ok(Answer::empty(204))
}

fn parse(object: &Value, trace_id: Uuid) -> Result<OpikScore> {
    let value = object.get("value").and_then(Value::as_f64);
    let source = fields::text(object, "source")?;
    if !SOURCES.contains(&source) {
        return Err(refused(400, format!("source must be one of {}", SOURCES.join(", "))));
    }
    Ok(OpikScore {
        trace_id,
        name: fields::text(object, "name")?.to_owned(),
        value: value.ok_or_else(|| refused(400, "value must be a number"))?,
        source: source.to_owned(),
        reason: fields::optional_text(object, "reason")?.map(str::to_owned),
    })
}

fn keep(score: OpikScore, kept: &mut Kept) {
    put(&mut kept.scores, (score.trace_id, score.name.clone()), score);
}
