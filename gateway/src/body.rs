//! Taking in a request's body: its declared type, its coding, its size and the time it may take.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::{held::Place, problem::Failure};

/// A body of JSON.
pub(crate) const JSON: &str = "application/json";

/// Lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Server-sent events.
pub(crate) const EVENTS: &str = "text/event-stream";

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

/// The whole body, at most `limit` bytes; the request's [`Place`] grows with it.
pub(crate) async fn collect(parts: &Parts, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let declared =
        parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let declared = declared.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if declared > limit {
        return Err(too_large());
    }
    let place = parts.extensions.get::<Place>();
    // Room that is not written to is no memory yet; a buffer that grows is copied and takes twice as much.
    let whole = BytesMut::with_capacity(declared);
    tokio::time::timeout(ARRIVAL, gather(body, whole, limit, place)).await.unwrap_or_else(|_| {
        Err(Failure::http(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "the body did not arrive in time"))
    })
}

async fn gather(
    body: Body,
    mut whole: BytesMut,
    limit: usize,
    place: Option<&Place>,
) -> Result<Bytes, Failure> {
    let mut body = Limited::new(body, limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => too_large(),
            false => Failure::bad_request("BODY_BROKEN_OFF", "the body ended before its end"),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if let Some(place) = place {
            place.grow_to(whole.len() + data.len())?;
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large() -> Failure {
    Failure::http(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "the body is larger than this route takes")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::held::Held;

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

    fn declaring(length: Option<&str>) -> Parts {
        let request = length
            .into_iter()
            .fold(http::Request::post("/"), |request, length| request.header(CONTENT_LENGTH, length));
        request.body(()).unwrap().into_parts().0
    }

    async fn status(length: Option<&str>, body: Body) -> Option<u16> {
        collect(&declaring(length), body, 8).await.err().map(|failure| failure.status().as_u16())
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        assert_eq!(collect(&declaring(None), Body::from(vec![0; 8]), 8).await.unwrap().len(), 8);
        assert_eq!(status(None, Body::from(vec![0; 9])).await, Some(413));
        let absurd = status(Some("99999999999999999999"), Body::empty()).await;
        assert_eq!(absurd, None, "not a number is the HTTP layer's to refuse");
        assert_eq!(status(Some("9"), Body::empty()).await, Some(413));
    }

    #[tokio::test]
    async fn a_body_takes_room_as_it_comes_and_not_as_it_is_announced() {
        let held = Held::new(4, 0);
        let mut parts = declaring(Some("8192"));
        parts.extensions.insert(held.place());
        assert_eq!(collect(&parts, Body::from(vec![0; 4096]), 8192).await.unwrap().len(), 4096);
        let mut other = declaring(None);
        other.extensions.insert(held.place());
        assert_eq!(collect(&other, Body::from("x"), 8192).await.unwrap_err().status(), 503);
        drop(parts);
        assert!(collect(&other, Body::from("x"), 8192).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_a_408() {
        let stalled = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(status(None, stalled).await, Some(408));
    }
}
