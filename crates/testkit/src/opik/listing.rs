//! The list of a project's traces.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::fields::{Answer, Result, refused};
use super::kept::{Kept, OpikTrace};

/// One page, newest first.
pub(super) fn list(query: &str, kept: &Kept) -> Result<Answer> {
    let project = parameter(query, "project_name")
        .ok_or_else(|| refused(400, "Either 'project_name' or 'project_id' query params must be provided"))?;
    let filters = parameter(query, "filters").map_or(Ok(Vec::new()), |text| Filter::parse_all(&text))?;
    let page = number(query, "page", 1)?;
    let size = number(query, "size", 10)?;
    let of_project = kept.traces.values().rev().filter(|trace| trace.project == project);
    let found: Vec<_> = of_project.filter(|trace| filters.iter().all(|filter| filter.holds(trace))).collect();
    let on_page = found.iter().skip((page - 1).saturating_mul(size)).take(size);
    let content: Vec<_> = on_page.map(|trace| row(trace, kept)).collect();
    let body = json!({ "page": page, "size": content.len(), "total": found.len(), "content": content });
    Ok(Answer::json(200, &body))
}

fn row(trace: &OpikTrace, kept: &Kept) -> Value {
    let scores: Vec<_> = kept
        .scores
        .range((trace.id, String::new())..)
        .take_while(|((id, _), _)| *id == trace.id)
        .map(|(_, score)| {
            json!({ "name": score.name, "value": score.value, "source": score.source, "reason": score.reason })
        })
        .collect();
    let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    json!({
        "id": trace.id,
        "name": trace.name,
        "thread_id": trace.thread_id,
        "start_time": time(trace.start_time),
        "end_time": trace.end_time.map(time),
        "input": trace.input,
        "output": trace.output,
        "metadata": trace.metadata,
        "tags": trace.tags,
        "error_info": trace.error_info,
        "feedback_scores": scores,
    })
}

/// A condition on one field. Opik knows more fields and operators; those that nobody here asks for are refused.
struct Filter {
    field: fn(&OpikTrace) -> Option<String>,
    operator: fn(&str, &str) -> bool,
    value: String,
}

impl Filter {
    fn parse_all(text: &str) -> Result<Vec<Self>> {
        let wrong = || refused(400, format!("Invalid filters query parameter '{text}'"));
        let filters: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        filters.as_array().ok_or_else(wrong)?.iter().map(|one| Self::parse(one).ok_or_else(wrong)).collect()
    }

    fn parse(object: &Value) -> Option<Self> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        Some(Self {
            field: match text("field")? {
                "id" => |trace| Some(trace.id.to_string()),
                "name" => |trace| Some(trace.name.clone()),
                "thread_id" => |trace| trace.thread_id.clone(),
                _ => return None,
            },
            operator: match text("operator")? {
                "=" => |field, value| field == value,
                "!=" => |field, value| field != value,
                "contains" => |field, value| field.contains(value),
                "starts_with" => |field, value| field.starts_with(value),
                _ => return None,
            },
            value: text("value")?.to_owned(),
        })
    }

    fn holds(&self, trace: &OpikTrace) -> bool {
        (self.field)(trace).is_some_and(|field| (self.operator)(&field, &self.value))
    }
}

fn number(query: &str, name: &str, default: usize) -> Result<usize> {
    let Some(text) = parameter(query, name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| refused(400, format!("query param {name} must be greater than or equal to 1")))
}

/// A parameter of a query, decoded as a form is.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).unwrap_or_default();
                u8::try_from(digit() * 16 + digit()).unwrap_or_default()
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
