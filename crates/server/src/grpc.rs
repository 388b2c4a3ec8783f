//! What the stack reads and writes of gRPC over HTTP/2.

use http::{HeaderMap, Request, Response, StatusCode, header};
use mesh_error::Error;
use tonic::body::Body;

/// The content type of gRPC, with or without the name of the encoding. `application/grpc-web` is another protocol.
fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => rest.first().is_none_or(|next| matches!(next, b'+' | b';')),
        None => false,
    }
}

/// The answer to what is no gRPC call, as the specification says; `None` when it is one.
pub(crate) fn refusal<B>(request: &Request<B>) -> Option<Response<Body>> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let status = if request.method() != http::Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if content_type.is_none_or(|value| !is_grpc(value.as_bytes())) {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    Some(response)
}

/// An error as a response of trailers only, so that nothing of the call is read or sent before it.
pub(crate) fn trailers_only(error: Error) -> Response<Body> {
    error.into_status().into_http()
}

/// The code in headers or trailers; `None` when they hold none.
pub(crate) fn status_code(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Path and query as one text: only the exact path of a method is one, so a query makes it another.
pub(crate) fn path<B>(request: &Request<B>) -> &str {
    request.uri().path_and_query().map_or("", |path| path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_is_grpc() {
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in
            ["", "application/grpc-web", "application/grpc-web+proto", "application/grpcx", "text/plain"]
        {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
