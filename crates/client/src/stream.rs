//! One stream of HTTP/2, directly on h2: the caller's own task sends the request and is woken by the response. hyper's client passes
//! both through two tasks of its own, and a request's message goes out behind its headers, in a packet of its own.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;

/// The body of a response.
#[derive(Debug)]
pub(crate) struct Received {
    stream: RecvStream,
    has_all_data: bool,
}

impl Received {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, has_all_data: false }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.has_all_data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only for more than was received.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(broken(error)),
                None => self.has_all_data = true,
            }
        }
        let trailers: Result<Option<HeaderMap>, _> = ready!(self.stream.poll_trailers(cx));
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

/// A peer that has nothing more to say may reset the stream in place of ending it.
fn broken(error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
    let is_over = matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL));
    (!is_over).then_some(Err(error))
}

/// Sends a stream of messages, no faster than the peer takes them, until it ends, fails, or nobody wants it any more.
pub(crate) async fn pipe(mut body: Body, mut stream: SendStream<Bytes>) {
    loop {
        stream.reserve_capacity(1);
        while stream.capacity() == 0 {
            let Some(Ok(_)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        }
        let frame = tokio::select! {
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return,
            frame = body.frame() => frame,
        };
        let sent = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => stream.send_data(data, false),
            // Not a message.
            Some(Ok(Err(_))) => Ok(()),
            // Never CANCEL, which a peer may take for an end.
            Some(Err(_)) => return stream.send_reset(Reason::INTERNAL_ERROR),
            None => return drop(stream.send_data(Bytes::new(), true)),
        };
        if sent.is_err() {
            return;
        }
    }
}
