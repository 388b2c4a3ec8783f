//! Cross-origin requests: an exact list of origins, no wildcard, no credentials of the browser.

use std::{fmt, str::FromStr};

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

/// An origin of a web page: `https://app.example` or `http://localhost:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("`{text}` is not an origin such as https://app.example (no path, no wildcard)");
        let rest =
            text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(fault)?;
        let plain = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
        };
        let uri: http::Uri = text.parse().map_err(|_| fault())?;
        let is_origin = !rest.is_empty()
            && rest.bytes().all(plain)
            && uri.authority().is_some_and(|a| a.as_str() == rest);
        if !is_origin {
            return Err(fault());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| fault())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// The origins that may read answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors(Vec<Origin>);

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, traceparent, x-api-key, x-request-id",
);
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "idempotency-replayed, ratelimit, ratelimit-policy, retry-after, traceparent, x-request-id",
);
/// Ten minutes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

impl Cors {
    /// Exactly these origins.
    pub(crate) fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// The answer to a preflight of an origin of the list. Any other `OPTIONS` goes on to the routes.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        self.allowed(headers)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        out.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        out.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// Lets the page of an origin of the list read the answer.
    pub(crate) fn apply(&self, allowed: Option<HeaderValue>, out: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        out.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = allowed {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }

    /// The request's one origin, if the list has it.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none())?;
        self.0.iter().find(|known| known.0 == origin).map(|known| known.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(value)),
            (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST")),
        ])
    }

    #[test]
    fn only_the_exact_origin_is_allowed() {
        let cors = Cors::new(vec!["https://app.example".parse().unwrap()]);
        assert!(cors.preflight(&Method::OPTIONS, &origin("https://app.example")).is_some());
        for other in [
            "null",
            "https://app.example.evil",
            "https://evil-app.example",
            "http://app.example",
            "https://app.example:444",
        ] {
            assert!(cors.preflight(&Method::OPTIONS, &origin(other)).is_none(), "{other}");
            assert!(cors.allowed(&origin(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn origins_are_read_strictly() {
        for good in ["https://app.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
        for bad in [
            "*",
            "null",
            "https://",
            "https://a/",
            "https://a/b",
            "https://A.example",
            "ftp://a",
            "https://u@a",
            "https://*.a",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
