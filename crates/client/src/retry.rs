//! Whether a call is sent again.

use std::time::Duration;

use http::HeaderMap;
use mesh_error::{Error, Kind};
use tonic::{Code, Status};

use crate::failure::{UPSTREAM_LOST, UPSTREAM_UNREACHABLE};

/// When a server says how long to wait before a retry, in milliseconds; anything but a number says never (gRPC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Reasons of outages behind the server, which its own client has retried already: retries at each layer would multiply.
const RETRIED: [&str; 3] = [UPSTREAM_UNREACHABLE, UPSTREAM_LOST, "TOKEN_CHECK_UNAVAILABLE"];

/// What became of an attempt, as far as another one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Surely not handled: another attempt repeats nothing.
    Untouched,
    /// Perhaps or surely handled, and the failure may pass; the server may have said when.
    Unavailable(Option<Duration>),
    /// It is what it is.
    Final,
}

impl Fate {
    /// Of a failure on the way.
    pub(crate) fn of_failure(error: &Error, sent: bool) -> Self {
        match error.kind() {
            Kind::Unavailable if sent => Self::Unavailable(None),
            Kind::Unavailable => Self::Untouched,
            _ => Self::Final,
        }
    }

    /// Of an answer: only one that is nothing but a status can be replaced by another.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Self {
        let Some(status) = Status::from_header_map(headers) else { return Self::Final };
        if status.code() != Code::Unavailable {
            return Self::Final;
        }
        let pushback = headers.get(PUSHBACK).map(|ms| ms.to_str().ok().and_then(|ms| ms.parse().ok()));
        match pushback {
            Some(None) => Self::Final,
            Some(Some(ms)) => Self::Unavailable(Some(Duration::from_millis(ms))),
            None => {
                let error = Error::from_status(&status);
                let retried = RETRIED.contains(&error.reason());
                if retried { Self::Final } else { Self::Unavailable(error.retry_after()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(error: Error, pushback: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        error.into_status().add_header(&mut headers).unwrap();
        if let Some(pushback) = pushback {
            headers.insert(PUSHBACK, HeaderValue::from_static(pushback));
        }
        headers
    }

    fn unavailable() -> Error {
        Error::unavailable("AWAY", "away")
    }

    #[test]
    fn only_unavailable_may_pass() {
        assert_eq!(Fate::of_answer(&HeaderMap::new()), Fate::Final);
        assert_eq!(Fate::of_answer(&answer(Error::internal("x"), None)), Fate::Final);
        assert_eq!(Fate::of_answer(&answer(unavailable(), None)), Fate::Unavailable(None));
        assert_eq!(Fate::of_failure(&Error::internal("x"), false), Fate::Final);
        assert_eq!(Fate::of_failure(&unavailable(), false), Fate::Untouched);
        assert_eq!(Fate::of_failure(&unavailable(), true), Fate::Unavailable(None));
    }

    #[test]
    fn an_outage_behind_the_server_was_retried_there() {
        for reason in RETRIED {
            assert_eq!(
                Fate::of_answer(&answer(Error::unavailable(reason, "x"), None)),
                Fate::Final,
                "{reason}"
            );
        }
        let passed_on = Error::from_status(&unavailable().into_status());
        assert_eq!(Fate::of_answer(&answer(passed_on, None)), Fate::Final);
    }

    #[test]
    fn the_token_check_is_one_of_them() {
        let error = Error::from(mesh_identity::TokenError::Unavailable);
        assert!(RETRIED.contains(&error.reason()), "{error:?}");
    }

    #[test]
    fn the_server_says_when_and_whether() {
        let second = Duration::from_secs(1);
        assert_eq!(
            Fate::of_answer(&answer(unavailable().with_retry_after(second), None)),
            Fate::Unavailable(Some(second))
        );
        assert_eq!(Fate::of_answer(&answer(unavailable(), Some("1000"))), Fate::Unavailable(Some(second)));
        for never in ["-1", "soon", ""] {
            assert_eq!(Fate::of_answer(&answer(unavailable(), Some(never))), Fate::Final, "{never:?}");
        }
    }
}
