//! Taking in a request's body: its declared type, its coding, its size and the time it may take.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::problem::Failure;

/// A body of JSON.
pub(crate) const JSON: &str = "application/json";

/// Lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// How long a whole body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);

/// Refuses a body that is not declared to be of `expected`, or that is coded.
pub(crate) fn check_type(headers: &HeaderMap, expected: &str) -> Result<(), Failure> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let declared = types.next().and_then(|v| v.to_str().ok());
    if types.next().is_some() || !declared.is_some_and(|d| is_type(d, expected)) {
        let message = if expected == NDJSON {
            "the body must be application/x-ndjson in UTF-8"
        } else {
            "the body must be application/json in UTF-8"
        };
        return Err(Failure::unsupported_media(message, false));
    }
    let coded =
        headers.get_all(CONTENT_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return Err(Failure::unsupported_media("a compressed body is not taken", true));
    }
    Ok(())
}

/// The media type alone, or with the one parameter `charset=utf-8`.
fn is_type(declared: &str, expected: &str) -> bool {
    let mut parts = declared.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.next();
    let charset_fits = charset.is_none_or(|c| {
        let (name, value) = c.split_once('=').unwrap_or_default();
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    essence.eq_ignore_ascii_case(expected) && charset_fits && parts.next().is_none()
}

/// The whole body, at most `limit` bytes.
pub(crate) async fn collect(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|n| usize::try_from(n).is_ok_and(|n| n > limit) || usize::try_from(n).is_err()) {
        return Err(too_large());
    }
    let whole = tokio::time::timeout(ARRIVAL, Limited::new(body, limit).collect()).await;
    match whole {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::bad_request("BODY_BROKEN_OFF", "the body ended before its end")),
        Err(_) => Err(Failure::http(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            "the body did not arrive in time",
        )),
    }
}

fn too_large() -> Failure {
    Failure::http(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "the body is larger than this route takes")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn typed(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_json_in_utf8_is_json() {
        for good in
            ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
        {
            assert!(check_type(&typed(good), JSON).is_ok(), "{good}");
        }
        let bad = [
            "text/plain",
            "application/jsonp",
            "application/json; charset=latin1",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json, text/plain",
            "",
        ];
        for bad in bad {
            let refused = check_type(&typed(bad), JSON).unwrap_err();
            assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{bad}");
        }
        assert!(check_type(&HeaderMap::new(), JSON).is_err());
    }

    #[test]
    fn a_compressed_body_and_two_types_are_refused() {
        let mut coded = typed(JSON);
        coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check_type(&coded, JSON).is_err());
        let mut twice = typed(JSON);
        twice.append(CONTENT_TYPE, HeaderValue::from_static(JSON));
        assert!(check_type(&twice, JSON).is_err());
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        let none = HeaderMap::new();
        assert_eq!(collect(&none, Body::from(vec![0; 8]), 8).await.unwrap().len(), 8);
        let over = collect(&none, Body::from(vec![0; 9]), 8).await.unwrap_err();
        assert_eq!(over.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let declared =
            HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("99999999999999999999"))]);
        assert!(
            collect(&declared, Body::empty(), 8).await.is_ok(),
            "not a number is the HTTP layer's to refuse"
        );
        let declared = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        assert_eq!(
            collect(&declared, Body::empty(), 8).await.unwrap_err().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_a_408() {
        let stalled = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = collect(&HeaderMap::new(), stalled, 8).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
