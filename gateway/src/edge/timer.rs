//! Measures a request up to the head of its answer, and counts it when it has ended: what comes after the head may fail.

use std::{sync::OnceLock, time::Duration};

use http::{Method, StatusCode};
use mesh_telemetry::red;
use tokio::time::Instant;

/// For a client that left before its answer had a head.
const LEFT: u16 = 499;

/// Counts its request when it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    pub(super) method: &'static str,
    pub(super) route: Option<&'static str>,
    start: Instant,
    answered: Option<(u16, Duration)>,
    failure: OnceLock<String>,
}

impl Timer {
    pub(super) fn start(method: &Method, route: Option<&'static str>) -> Self {
        let method = known_method(method);
        Self { method, route, start: Instant::now(), answered: None, failure: OnceLock::new() }
    }

    /// The answer has its head.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.answered = Some((status.as_u16(), self.start.elapsed()));
    }

    /// The answer failed after its head; the first reason counts.
    pub(super) fn failed(&self, reason: &str) {
        self.failure.get_or_init(|| reason.to_owned());
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let (status, took) = self.answered.unwrap_or_else(|| (LEFT, self.start.elapsed()));
        let error = self.failure.get().map_or("", String::as_str);
        red::http_server_request(self.method, self.route.unwrap_or(red::UNKNOWN), (status, error), took);
    }
}

/// Methods that are not of HTTP have one name together, so that nobody can grow the metrics.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_methods_share_one_name() {
        let method = Method::from_bytes(b"BREW").unwrap();
        assert_eq!((known_method(&method), known_method(&Method::PATCH)), ("_OTHER", "PATCH"));
    }
}
