//! A request body that may have to be sent twice.
//!
//! The body of a unary request is in memory anyway; up to a limit it is kept whole. A stream is sent once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_error::{Error, Kind};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use crate::stream::pipe;

/// The body of one call.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// As often as needed.
    Kept(Bytes),
    /// Once; nothing when it was sent.
    Once(Option<Body>),
}

impl Outgoing {
    /// A stream, which ends with its call.
    pub(crate) fn once(body: Body, ended: CancellationToken) -> Self {
        let ended = Box::pin(ended.cancelled_owned());
        Self::Once(Some(Body::new(Leashed { body, ended })))
    }

    /// Reads a unary request's body, up to `limit` bytes.
    ///
    /// # Errors
    /// What the encoder says, for example that the message is too large.
    pub(crate) async fn keep(mut body: Body, limit: usize) -> Result<Self, Status> {
        let mut kept = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if kept.is_empty() && data.len() <= limit && http_body::Body::is_end_stream(&body) {
                return Ok(Self::Kept(data));
            }
            kept.extend_from_slice(&data);
            if kept.len() > limit {
                let begun = futures::stream::iter([Ok(Frame::data(kept.freeze()))]);
                let rest = http_body_util::BodyStream::new(body);
                let whole = StreamBody::new(futures::StreamExt::chain(begun, rest));
                return Ok(Self::Once(Some(Body::new(whole))));
            }
        }
        Ok(Self::Kept(kept.freeze()))
    }

    /// Sends it: what is kept at once, a stream from now on.
    ///
    /// # Errors
    /// The stream is reset; the response tells why.
    pub(crate) fn send(&mut self, mut to: SendStream<Bytes>) -> Result<(), h2::Error> {
        match self {
            Self::Kept(bytes) => to.send_data(bytes.clone(), true)?,
            Self::Once(body) => {
                if let Some(body) = body.take() {
                    tokio::spawn(pipe(body, to));
                }
            }
        }
        Ok(())
    }

    /// Whether there is a body for another attempt.
    pub(crate) fn is_at_hand(&self) -> bool {
        !matches!(self, Self::Once(None))
    }
}

/// A stream that is left when its call has ended: HTTP/2 would go on sending it, since its half of the stream is still
/// open, and its source would wait for a reader that does not come.
struct Leashed {
    body: Body,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for Leashed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended.as_mut().poll(cx).is_ready() {
            let over = Error::new(Kind::Cancelled, "CALL_ENDED", "the call has ended");
            return Poll::Ready(Some(Err(over.into_status())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(chunks: &'static [&'static str]) -> Body {
        let frames =
            chunks.iter().map(|chunk| Ok::<_, Status>(Frame::data(Bytes::from_static(chunk.as_bytes()))));
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    #[tokio::test]
    async fn what_fits_can_be_sent_as_often_as_needed() {
        let outgoing = Outgoing::keep(body(&["abc", "def"]), 6).await.unwrap();
        assert!(matches!(outgoing, Outgoing::Kept(bytes) if bytes == "abcdef"));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_sent_once_and_whole() {
        let outgoing = Outgoing::keep(body(&["abc", "def", "ghi"]), 5).await.unwrap();
        assert!(outgoing.is_at_hand());
        let Outgoing::Once(Some(only)) = outgoing else { panic!("{outgoing:?}") };
        assert_eq!(only.collect().await.unwrap().to_bytes(), "abcdefghi");
    }
}
