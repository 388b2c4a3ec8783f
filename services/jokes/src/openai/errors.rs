//! What a failure of the server is to us.
//!
//! A server's messages may quote the prompt or the key, so they are never taken over: of an error only its status goes on,
//! and its code or its type if that is one plain word.

use std::error::Error;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

use crate::ports::ModelError;

/// No server sends us away for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// In milliseconds; OpenAI sends it besides `Retry-After`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// A longer word is no code.
const MOST_WORD: usize = 40;
/// A longer text of the system says no more.
const MOST_CAUSE: usize = 120;
/// Codes and types that mean 429.
const TOO_MUCH: [&str; 8] = [
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate_limited",
    "too_many_requests",
    "insufficient_quota",
    "resource_exhausted",
    "requests",
    "tokens",
];
/// Beginnings and ends of codes and types that mean 400 to 404.
const REFUSED: [&str; 10] = [
    "invalid",
    "unsupported",
    "missing",
    "authentication",
    "permission",
    "content_",
    "context_length",
    "billing",
    "_not_found",
    "not_found",
];

/// The answer is over before its end.
pub(super) fn broken_off() -> ModelError {
    ModelError::Unavailable("broken off".to_owned())
}

/// An answer of HTTP that is none of success. `now` is what dates are compared with.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> ModelError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match of_code(status.as_u16(), word(body.get("error").unwrap_or(&body))) {
        ModelError::RateLimited { .. } => ModelError::RateLimited { retry_after: retry_after(headers, now) },
        other => other,
    }
}

/// An error in the place of an answer: an object as OpenAI has it, or only a text.
pub(super) fn of_object(error: &Value) -> ModelError {
    let code = error.get("code").and_then(|code| match code {
        Value::String(code) => code.parse().ok(),
        code => code.as_u64().and_then(|code| u16::try_from(code).ok()),
    });
    let word = word(error);
    if let Some(code @ 400..600) = code {
        return of_code(code, word);
    }
    let words: Vec<String> = words(error).map(str::to_ascii_lowercase).collect();
    let refused =
        |word: &String| REFUSED.iter().any(|known| word.starts_with(known) || word.ends_with(known));
    if words.iter().any(|word| TOO_MUCH.contains(&word.as_str())) {
        ModelError::RateLimited { retry_after: None }
    } else if words.iter().any(refused) {
        ModelError::Rejected(said("an error", word))
    } else {
        ModelError::Unavailable(said("an error", word))
    }
}

/// No answer of HTTP, or only a part of one.
pub(super) fn of_transport(error: &reqwest::Error) -> ModelError {
    if !error.is_connect() {
        return broken_off();
    }
    if error.is_timeout() {
        return ModelError::Timeout("connect");
    }
    // Nothing has been sent yet, so no cause can quote it.
    ModelError::Unavailable(format!("no connection: {}", cause(error)))
}

/// The innermost cause, in one line; the outer ones quote the URL.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().chars().filter(|c| !c.is_control()).take(MOST_CAUSE).collect()
}

fn of_code(code: u16, word: Option<&str>) -> ModelError {
    match code {
        429 => ModelError::RateLimited { retry_after: None },
        408 | 409 | 500..600 => ModelError::Unavailable(said(&format!("status {code}"), word)),
        300..400 => ModelError::Rejected(format!("status {code}: no redirect is followed")),
        _ => ModelError::Rejected(said(&format!("status {code}"), word)),
    }
}

fn said(what: &str, word: Option<&str>) -> String {
    word.map_or_else(|| what.to_owned(), |word| format!("{what}: {word}"))
}

/// The code, or else the type.
fn word(error: &Value) -> Option<&str> {
    words(error).next()
}

/// Codes are words of letters joined by underscores. Keys have digits or dashes, and prompts have blanks.
fn words(error: &Value) -> impl Iterator<Item = &str> {
    let plain = |word: &&str| {
        (1..=MOST_WORD).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    };
    ["code", "type"].into_iter().filter_map(|name| error.get(name)?.as_str()).filter(plain)
}

/// When the server wants to be asked again: in milliseconds, in seconds, or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str, unit: f64| {
        let seconds = text.parse::<f64>().ok().filter(|number| *number >= 0.0)? * unit;
        Duration::try_from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())).ok()
    };
    let date = |text: &str| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default().min(LONGEST_WAIT))
    };
    let wait = text(RETRY_AFTER_MS).and_then(|text| seconds(text, 0.001));
    wait.or_else(|| text(RETRY_AFTER).and_then(|text| seconds(text, 1.0).or_else(|| date(text))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wait_is_in_seconds_milliseconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, now)
        };
        for (value, wanted) in [
            ("0", Some(0)),
            ("7", Some(7_000)),
            (" 1.5 ", Some(1_500)),
            ("999999999", Some(3_600_000)),
            ("inf", Some(3_600_000)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:00:00 GMT", Some(3_600_000)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait("retry-after", value), wanted.map(Duration::from_millis), "{value:?}");
        }
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_error_in_an_answer_is_like_its_code() {
        let names = |error: Value| (of_object(&error).name(), of_object(&error).to_string());
        for (error, name) in [
            (json!({ "code": 429, "message": "slow" }), "rate_limited"),
            (json!({ "code": "429" }), "rate_limited"),
            (json!({ "code": 502 }), "unavailable"),
            (json!({ "code": 401 }), "rejected"),
            (json!({ "code": null, "type": "requests" }), "rate_limited"),
            (json!({ "code": "rate_limit_exceeded", "type": "x" }), "rate_limited"),
            (json!({ "type": "server_error" }), "unavailable"),
            (json!({ "type": "overloaded_error" }), "unavailable"),
            (json!({ "type": "invalid_request_error" }), "rejected"),
            (json!({ "code": "model_not_found" }), "rejected"),
            (json!({ "code": 7 }), "unavailable"),
            (json!("something"), "unavailable"),
            (json!(["x"]), "unavailable"),
        ] {
            assert_eq!(names(error.clone()).0, name, "{error}");
        }
        let (_, text) = names(
            json!({ "message": "SECRET", "code": "sk-SECRET-1", "type": "a SECRET", "param": "SECRET" }),
        );
        assert_eq!(text, "the provider is away: an error");
        assert!(
            names(json!({ "type": "invalid_request_error" })).1.ends_with("an error: invalid_request_error")
        );
    }
}
