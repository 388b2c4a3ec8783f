//! `application/problem+json` (RFC 9457): the one form of every failure that leaves the gateway.
//!
//! A handler gives back a [`Failure`]; what depends on the request (its id, its trace) is added in one place, by the
//! envelope at the edge, which also logs the cause once. No cause, path or address of the inside is ever in the text.

mod form;

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::IntoResponse};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use mesh_client::is_own_denial;
use mesh_error::{Error, Kind};
use tonic::Status;

pub(crate) use self::form::Problem;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What is told to a caller that must prove who it is.
const CHALLENGE: &str = "Bearer realm=\"quipu\"";

/// A failure on its way out: what the mesh says of it, and what only HTTP knows.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    status: StatusCode,
    headers: HeaderMap,
}

/// Marks an answer that is no success and yet has a body of its own: `/readyz`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnBody;

impl Failure {
    /// A failure whose HTTP status has no kind of its own (404 of a route, 405, 408, 413, 414, 415, 422, 431).
    pub(crate) fn http(status: StatusCode, reason: &'static str, message: &'static str) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::REQUEST_TIMEOUT => Kind::DeadlineExceeded,
            _ => Kind::InvalidArgument,
        };
        Self { error: Error::new(kind, reason, message), status, headers: HeaderMap::new() }
    }

    /// A request that makes no sense.
    pub(crate) fn bad_request(
        reason: &'static str,
        message: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Error::new(Kind::InvalidArgument, reason, message).into()
    }

    /// A body of a type that is not taken; `accept_encoding` when it was the content coding.
    pub(crate) fn unsupported_media(message: &'static str, accept_encoding: bool) -> Self {
        let failure = Self::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message);
        if accept_encoding {
            return failure.with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        failure
    }

    /// No credentials, or ones that are refused (`error="invalid_token"`).
    pub(crate) fn unauthenticated(error: Error, presented: bool) -> Self {
        let challenge = if presented { "Bearer realm=\"quipu\", error=\"invalid_token\"" } else { CHALLENGE };
        Self::from(error).with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// A token without the scope that the route needs (RFC 6750 §3.1).
    pub(crate) fn insufficient_scope(scope: &'static str) -> Self {
        let error = Error::denied("INSUFFICIENT_SCOPE", format!("the token lacks the scope {scope}"))
            .with_metadata("scope", scope);
        let challenge = format!("Bearer realm=\"quipu\", error=\"insufficient_scope\", scope=\"{scope}\"");
        match HeaderValue::from_str(&challenge) {
            Ok(value) => Self::from(error).with_header(WWW_AUTHENTICATE, value),
            Err(_) => error.into(),
        }
    }

    /// Adds a header to the answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Another status than that of its kind.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What the mesh says of it, for an answer that has begun already.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What the mesh says of it.
    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// Whole seconds, at least one, for whatever a later try can mend.
    fn retry_after(&self) -> Option<u64> {
        let given = self.error.retry_after();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(whole_seconds(given.unwrap_or(Duration::from_secs(1))))
            }
            _ => given.map(whole_seconds),
        }
    }
}

/// Rounded up, at least one.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// What a service answered. A denial that is about the gateway's own identity is a fault of ours, not of the caller; so is
/// a service that does not accept the call at all.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let error = Error::from_status(&status);
        if is_own_denial(&error) {
            metrics::counter!("gateway_identity_denied_total").increment(1);
            return Error::internal(error).into();
        }
        error.into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: error.kind().http_status(), error, headers: HeaderMap::new() }
    }
}

/// The answer still lacks its body: the envelope writes it when it knows the request.
impl IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_status_of_the_frozen_table() {
        let table = [
            (Kind::Cancelled, 499),
            (Kind::InvalidArgument, 400),
            (Kind::DeadlineExceeded, 504),
            (Kind::NotFound, 404),
            (Kind::AlreadyExists, 409),
            (Kind::PermissionDenied, 403),
            (Kind::Unauthenticated, 401),
            (Kind::ResourceExhausted, 429),
            (Kind::TooLarge, 413),
            (Kind::FailedPrecondition, 400),
            (Kind::Aborted, 409),
            (Kind::OutOfRange, 400),
            (Kind::Unimplemented, 501),
            (Kind::Internal, 500),
            (Kind::Unavailable, 503),
            (Kind::DataLoss, 500),
        ];
        for (kind, status) in table {
            assert_eq!(Failure::from(Error::new(kind, "X", "x")).status().as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn a_denial_of_a_user_stays_and_a_denial_of_the_gateway_is_our_fault() {
        let user = Error::denied("INSUFFICIENT_SCOPE", "no").into_status();
        assert_eq!(Failure::from(user).status(), StatusCode::FORBIDDEN);
        let own = Error::denied(mesh_client::CALL_NOT_ALLOWED, "gateway may not").into_status();
        let failure = Failure::from(own);
        assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(failure.error().message(), "internal error");
    }

    #[test]
    fn unavailable_and_exhausted_always_say_when_to_come_back() {
        let plain = Failure::from(Error::unavailable("AWAY", "away")).into_response();
        assert_eq!(plain.headers()[RETRY_AFTER], "1");
        let timed = Error::exhausted("MANY", "many", Duration::from_millis(2_500));
        assert_eq!(Failure::from(timed).into_response().headers()[RETRY_AFTER], "3");
    }

    #[test]
    fn every_401_carries_a_challenge() {
        let login = Failure::from(Error::unauthenticated("INVALID_CREDENTIALS", "no")).into_response();
        assert_eq!(login.headers()[WWW_AUTHENTICATE], CHALLENGE);
    }
}
