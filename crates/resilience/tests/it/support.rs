//! Handlers and bodies that do as told.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::{Code, Status, body::Body};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) frames: usize,
    pub(crate) status: Status,
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        self.status.code()
    }

    pub(crate) fn reason(&self) -> String {
        mesh_error::Error::from_status(&self.status).reason().to_owned()
    }
}

/// Reads a response to its end.
pub(crate) async fn read(response: Response<Body>) -> Answer {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Answer { frames: 0, status };
    }
    let (mut body, mut frames) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("no transport error");
        if let Some(trailers) = frame.trailers_ref() {
            return Answer { frames, status: Status::from_header_map(trailers).expect("a status") };
        }
        frames += 1;
    }
    panic!("the body ended without a status");
}

/// A good answer: the frames of a stream and then OK.
pub(crate) fn streaming(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let end = futures::stream::once(async { Frame::trailers(trailers) });
    let frames = frames.map(Frame::data).chain(end).map(Ok::<_, Status>);
    Response::new(Body::new(StreamBody::new(Box::pin(frames))))
}

/// A stream of `count` messages, each after `pause`.
pub(crate) fn ticks(count: usize, pause: Duration) -> impl Stream<Item = Bytes> + Send {
    futures::stream::iter(0..count).then(move |_| async move {
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
        Bytes::from_static(b"tick")
    })
}

pub(crate) fn request() -> Request<Body> {
    Request::builder().uri("/test.v1.Test/Call").body(Body::empty()).expect("a request")
}

/// Knows when a future or a stream that owns the other half is dropped.
pub(crate) struct Dropped(Arc<AtomicBool>);

pub(crate) struct OnDrop(Arc<AtomicBool>);

impl Dropped {
    pub(crate) fn pair() -> (Self, OnDrop) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&flag)), OnDrop(flag))
    }

    pub(crate) fn yet(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets everything that can run do so, without time passing.
pub(crate) async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// Whether a future is still waiting once everything has settled.
pub(crate) async fn is_waiting(future: &mut (impl Future + Unpin)) -> bool {
    settle().await;
    futures::poll!(future).is_pending()
}
