//! Headers: how much of them is taken, which are never taken, and which every answer has.

use std::sync::LazyLock;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, FORWARDED, HOST, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        TE, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use crate::problem::Failure;

/// Longest path with query.
const MAX_TARGET: usize = 8 * 1024;

/// Most headers.
pub(super) const MAX_COUNT: usize = 100;

/// All header names and values together.
const MAX_HEADERS: usize = 16 * 1024;

/// Names that begin like this are said by the mesh to itself, or by proxies; from outside they are nothing.
const INTERNAL_PREFIXES: [&str; 12] = [
    "grpc-",
    "x-auth-",
    "x-b3-",
    "x-envoy-",
    "x-forwarded-",
    "x-principal",
    "x-quipu-",
    "x-role",
    "x-scope",
    "x-spiffe-",
    "x-tenant",
    "x-user",
];

/// Refuses a request of HTTP/1.1 that does not name exactly one host (RFC 9112 §3.2).
pub(crate) fn check_host<B>(request: &Request<B>) -> Result<(), Failure> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, more) = (hosts.next(), hosts.next());
    let is_host = |host: &HeaderValue| host.as_bytes().is_empty() || is_authority(host.as_bytes());
    let holds = match first {
        Some(host) => more.is_none() && is_host(host),
        None => request.version() != Version::HTTP_11,
    };
    if holds {
        return Ok(());
    }
    Err(Failure::bad_request("HOST_INVALID", "exactly one Host header is needed"))
}

/// A host with or without a port, and no user.
fn is_authority(host: &[u8]) -> bool {
    !host.contains(&b'@') && http::uri::Authority::try_from(host).is_ok()
}

/// Refuses every transfer coding but `chunked`, once (RFC 9112 §6.1): whoever stands before this gateway may see the end
/// of any other body elsewhere.
pub(crate) fn check_coding<B>(request: &Request<B>) -> Result<(), Failure> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    let is_chunked = first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && codings.next().is_none() {
        return Ok(());
    }
    Err(Failure::bad_request("TRANSFER_CODING_UNKNOWN", "no transfer coding but chunked is taken"))
}

/// Refuses a request whose target is too long, or whose headers are too long or too many.
pub(crate) fn check_size<B>(request: &Request<B>) -> Result<(), Failure> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        return Err(Failure::http(
            StatusCode::URI_TOO_LONG,
            "TARGET_TOO_LONG",
            "the path and query are too long",
        ));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADERS || request.headers().len() > MAX_COUNT {
        return Err(Failure::http(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "HEADERS_TOO_LARGE",
            "the headers are too large",
        ));
    }
    Ok(())
}

/// Removes every header that names an identity or belongs to the inside. Nothing is forwarded from a request anyway:
/// this keeps what is behind from ever reading such a header by mistake.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let internal: Vec<HeaderName> = headers.keys().filter(|name| is_internal(name)).cloned().collect();
    for name in internal {
        headers.remove(name);
    }
}

fn is_internal(name: &HeaderName) -> bool {
    let text = name.as_str();
    name == FORWARDED
        || name == TE
        || text == "x-real-ip"
        || text.ends_with("-bin")
        || INTERNAL_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// What every answer says to browsers, read once.
static DEFAULTS: LazyLock<[(HeaderName, HeaderValue); 6]> = LazyLock::new(|| {
    let defaults = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    defaults.map(|(name, value)| (name, HeaderValue::from_static(value)))
});

/// Adds what every answer says to browsers, unless the route said otherwise.
pub(crate) fn secure(headers: &mut HeaderMap, tls: bool) {
    for (name, value) in &*DEFAULTS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if tls {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identity_header_is_stripped() {
        let internal = [
            "x-user-id",
            "x-user",
            "x-spiffe-id",
            "x-forwarded-client-cert",
            "x-forwarded-for",
            "x-forwarded-host",
            "grpc-timeout",
            "grpc-encoding",
            "x-quipu-workload",
            "x-role",
            "x-roles",
            "x-auth-user",
            "forwarded",
            "x-real-ip",
            "te",
            "anything-bin",
            "x-envoy-peer-metadata",
            "x-principal",
            "x-tenant-id",
            "x-scopes",
        ];
        let kept =
            ["authorization", "x-api-key", "x-request-id", "traceparent", "content-type", "idempotency-key"];
        let mut headers: HeaderMap = internal
            .iter()
            .chain(&kept)
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect();
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let mut kept = kept;
        kept.sort_unstable();
        assert_eq!(left, kept);
    }

    #[test]
    fn one_plain_host_is_needed() {
        let of = |hosts: &[&str]| {
            let request = hosts.iter().fold(Request::get("/"), |request, host| request.header(HOST, *host));
            check_host(&request.body(()).unwrap()).is_ok()
        };
        for good in ["quipu.example", "quipu:8080", "[::1]:80", ""] {
            assert!(of(&[good]), "{good}");
        }
        for bad in [&[] as &[&str], &["a", "a"], &["a, b"], &["a/b"], &["u@a"], &["a b"]] {
            assert!(!of(bad), "{bad:?}");
        }
    }

    #[test]
    fn no_coding_but_chunked_is_taken() {
        let of = |codings: &[&str]| {
            let request = codings
                .iter()
                .fold(Request::post("/"), |request, coding| request.header(TRANSFER_ENCODING, *coding));
            check_coding(&request.body(()).unwrap()).is_ok()
        };
        assert!(of(&[]) && of(&["chunked"]) && of(&["Chunked"]));
        for bad in [
            &["gzip, chunked"] as &[&str],
            &["chunked, chunked"],
            &["identity", "chunked"],
            &[""],
            &["chunked;q=1"],
        ] {
            assert!(!of(bad), "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let long = |n: usize| Request::get(format!("/{}", "a".repeat(n))).body(()).unwrap();
        assert!(check_size(&long(MAX_TARGET - 1)).is_ok());
        assert_eq!(check_size(&long(MAX_TARGET)).unwrap_err().status(), StatusCode::URI_TOO_LONG);
        let fat = Request::get("/").header("a", "x".repeat(MAX_HEADERS)).body(()).unwrap();
        assert_eq!(check_size(&fat).unwrap_err().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        let many = |n: usize| {
            let headers = (0..n).fold(Request::get("/"), |request, _| request.header("a", "b"));
            headers.body(()).unwrap()
        };
        assert!(check_size(&many(MAX_COUNT)).is_ok());
        assert!(check_size(&many(MAX_COUNT + 1)).is_err());
    }

    #[test]
    fn hsts_comes_with_tls_only_and_a_route_may_say_otherwise() {
        let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("public"))]);
        secure(&mut headers, false);
        assert_eq!(headers[CACHE_CONTROL], "public");
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        secure(&mut headers, true);
        assert!(headers.contains_key(STRICT_TRANSPORT_SECURITY));
    }
}
