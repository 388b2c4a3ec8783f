//! Answers, and the reading of what they answer: fields of JSON that must be there.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{self, Request};

/// A status and its text.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    message: String,
}

pub(super) type Result<T> = std::result::Result<T, Refused>;

pub(super) fn refused(status: u16, message: impl Into<String>) -> Refused {
    Refused { status, message: message.into() }
}

/// What is answered.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// It is done.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { body: body.to_string().into_bytes(), ..Self::empty(status) }
    }

    pub(super) fn protobuf(body: Vec<u8>) -> Self {
        Self { content_type: "application/x-protobuf", body, ..Self::empty(200) }
    }

    /// A new thing, which is at this path.
    pub(super) fn created(path: &str) -> Self {
        Self { headers: vec![("location".to_owned(), path.to_owned())], ..Self::empty(201) }
    }

    pub(super) fn refused(refused: Refused) -> Self {
        Self::json(refused.status, &json!({ "code": refused.status, "message": refused.message }))
    }

    /// As it is written to the connection.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        // An answer with this status has neither body nor length (RFC 9110 §8.6).
        if self.status != 204 {
            self.headers.push(pair("content-type", self.content_type.to_owned()));
            self.headers.push(pair("content-length", self.body.len().to_string()));
        }
        let mut bytes = http::head(self.status, &self.headers);
        bytes.append(&mut self.body);
        bytes
    }
}

/// The body of a request, which is JSON.
pub(super) fn body(request: &Request) -> Result<Value> {
    let media = request.header("content-type").unwrap_or_default();
    if media.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(refused(415, "the body is no application/json"));
    }
    serde_json::from_slice(&request.body)
        .map_err(|fault| refused(400, format!("the body is no JSON: {fault}")))
}

/// A list of 1 to 1,000 objects.
pub(super) fn list<'a>(object: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    let all = object.get(name).and_then(Value::as_array);
    all.filter(|all| (1..=1_000).contains(&all.len()))
        .ok_or_else(|| refused(400, format!("{name} must be a list of 1 to 1000")))
}

/// A text that is not blank.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    optional_text(object, name)?.ok_or_else(|| refused(400, format!("{name} must not be blank")))
}

/// As [`text`], if it is there.
pub(super) fn optional_text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(refused(400, format!("{name} must be a text that is not blank"))),
    }
}

/// A UUID of version 7.
pub(super) fn id(object: &Value, name: &str) -> Result<Uuid> {
    parse_id(text(object, name)?).ok_or_else(|| refused(400, format!("{name} must be a version 7 UUID")))
}

pub(super) fn parse_id(text: &str) -> Option<Uuid> {
    let is_hyphenated = text.len() == 36;
    Uuid::try_parse(text).ok().filter(|id| is_hyphenated && id.get_version_num() == 7)
}

/// A time by RFC 3339, if it is there.
pub(super) fn time(object: &Value, name: &str) -> Result<Option<DateTime<Utc>>> {
    let parse = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = optional_text(object, name)?.map(parse).transpose();
    time.map_err(|fault| refused(400, format!("{name} is no time of RFC 3339: {fault}")))
}

/// Any JSON; null if it is not there.
pub(super) fn value(object: &Value, name: &str) -> Value {
    object.get(name).cloned().unwrap_or_default()
}

/// Texts; none if they are not there.
pub(super) fn texts(object: &Value, name: &str) -> Result<Vec<String>> {
    let wrong = || refused(400, format!("{name} must be a list of texts"));
    match object.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(all)) => {
            all.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}
