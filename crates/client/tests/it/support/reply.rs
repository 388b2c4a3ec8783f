//! What a server answers.

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use mesh_error::Error;
use prost::Message;
use tonic::body::Body;

pub(crate) type Reply = Response<Body>;

/// A message in its gRPC frame.
pub(crate) fn message(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(encoded.len()).expect("a small message"));
    framed.put_slice(&encoded);
    framed.freeze()
}

/// One message and OK.
pub(crate) fn ok(answer: &impl Message) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let end = stream::once(async { Frame::trailers(trailers) });
    frames(stream::iter([Frame::data(message(answer))]).chain(end))
}

/// Messages without an end of their own.
pub(crate) fn stream(messages: impl Stream<Item = Bytes> + Send + 'static) -> Reply {
    frames(messages.map(Frame::data).chain(stream::pending()))
}

/// A status that follows the headers, as of a handler that fails while it answers.
pub(crate) fn late(error: Error) -> Reply {
    let mut trailers = HeaderMap::new();
    error.into_status().add_header(&mut trailers).expect("trailers");
    frames(stream::iter([Frame::trailers(trailers)]))
}

/// Nothing but a status.
pub(crate) fn status(error: Error) -> Reply {
    error.into_status().into_http()
}

fn frames(frames: impl Stream<Item = Frame<Bytes>> + Send + 'static) -> Reply {
    let body = StreamBody::new(Box::pin(frames.map(Ok::<_, tonic::Status>)));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
