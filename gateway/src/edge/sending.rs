//! The body of an answer on its way out: its request is in flight until hyper has taken all of it.
//!
//! It is handed over in small pieces. hyper takes a piece only when the one before has room, so an answer whose peer
//! does not read stays in here, where the [`Watch`] sees it, and not in hyper's buffers, where nobody would.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::watch::{InFlight, Watch};

/// The largest piece: as much as a frame of HTTP/2 holds by default.
const PIECE: usize = 16 * 1024;

/// The body of an answer.
pub(crate) struct Sending {
    body: Body,
    rest: Bytes,
    handed: Option<Handed>,
    in_flight: InFlight,
}

/// A piece that was handed over and after which nothing was asked for yet.
struct Handed(Arc<Watch>);

impl Drop for Handed {
    fn drop(&mut self) {
        self.0.took();
    }
}

impl Sending {
    /// Holds `in_flight` as long as the body.
    pub(crate) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, rest: Bytes::new(), handed: None, in_flight }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        let watch = self.in_flight.watch();
        watch.handed();
        self.handed = Some(Handed(watch));
        Frame::data(piece)
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.handed = None;
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| match frame?.into_data() {
            Ok(data) => {
                self.rest = data;
                Ok(self.piece())
            }
            Err(other) => Ok(other),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use tokio::time::advance;

    use super::*;
    use crate::edge::watch::{Times, Verdict};

    const TIMES: Times = Times {
        headers: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        unread: Duration::from_secs(30),
        age: Duration::from_secs(900),
        longest: Duration::from_secs(600),
    };

    async fn after(watch: &Watch, seconds: u64) -> Verdict {
        advance(Duration::from_secs(seconds)).await;
        watch.verdict(&TIMES)
    }

    #[tokio::test]
    async fn a_large_answer_goes_in_pieces_and_is_whole_at_the_end() {
        let whole: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let watch = Watch::new();
        let mut sending = Sending::new(Body::from(whole.clone()), watch.begin(true));
        let mut got = Vec::new();
        while let Some(frame) = sending.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            got.extend_from_slice(&piece);
            assert_eq!(sending.size_hint().exact(), Some((whole.len() - got.len()) as u64));
            assert_eq!(sending.is_end_stream(), got.len() == whole.len());
            assert!(!watch.is_idle(), "in flight until the body is given up");
        }
        assert_eq!(got, whole);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_that_the_peer_has_no_room_for_is_waited_for_and_then_cut() {
        let watch = Watch::new();
        let mut sending = Sending::new(Body::from(vec![0; 100_000]), watch.begin(true));
        sending.frame().await.unwrap().unwrap();
        assert_eq!(after(&watch, 29).await, Verdict::Keep);
        sending.frame().await.unwrap().unwrap();
        assert_eq!(after(&watch, 29).await, Verdict::Keep, "it took one more");
        watch.wrote(Some(17));
        assert_eq!(after(&watch, 1).await, Verdict::Cut, "a ping is no progress");
        drop(sending);
        assert_eq!(watch.verdict(&TIMES), Verdict::Keep, "given up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_piece_may_trickle() {
        let watch = Watch::new();
        let mut sending = Sending::new(Body::from(vec![0; 100_000]), watch.begin(true));
        sending.frame().await.unwrap().unwrap();
        for _ in 0..5 {
            assert_eq!(after(&watch, 29).await, Verdict::Keep);
            watch.wrote(Some(1_000));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_has_nothing_to_say_yet_is_not_stalled() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, axum::Error>>(1);
        let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let watch = Watch::new();
        let mut sending = Sending::new(body, watch.begin(true));
        sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
        sending.frame().await.unwrap().unwrap();
        assert!(futures::poll!(std::pin::pin!(sending.frame())).is_pending());
        assert_eq!(after(&watch, 300).await, Verdict::Keep);
    }
}
