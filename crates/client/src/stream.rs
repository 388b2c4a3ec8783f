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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::StreamExt as _;
    use h2::client::ResponseFuture;
    use http::{Request, Response};
    use http_body_util::StreamBody;
    use mesh_error::Error;
    use tonic::Status;

    use super::*;

    const WINDOW: u32 = 64 * 1024;
    const MESSAGE: usize = 16 * 1024;

    type Source = Vec<Result<Frame<Bytes>, Status>>;

    /// A source that is piped to a peer.
    struct Piped {
        /// What the peer gets.
        stream: RecvStream,
        /// How many messages were taken from the source.
        taken: Arc<AtomicUsize>,
        /// Whoever drops it gives the stream up.
        response: ResponseFuture,
    }

    /// Over a connection in memory.
    async fn piped(source: Source) -> Piped {
        let (near, far) = tokio::io::duplex(4 * MESSAGE);
        let (near, far) = tokio::join!(
            h2::client::handshake(near),
            h2::server::Builder::new().initial_window_size(WINDOW).handshake::<_, Bytes>(far)
        );
        let ((mut sender, connection), mut far) = (near.unwrap(), far.unwrap());
        tokio::spawn(connection);
        let request = Request::post("https://peer/").body(()).unwrap();
        let (response, stream) = sender.send_request(request, false).unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let source = futures::stream::iter(source).inspect(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(pipe(Body::new(StreamBody::new(source)), stream));
        let (request, mut respond) = far.accept().await.unwrap().unwrap();
        tokio::spawn(async move {
            let _begun = respond.send_response(Response::new(()), false);
            while far.accept().await.is_some() {}
        });
        Piped { stream: request.into_body(), taken, response }
    }

    fn message() -> Result<Frame<Bytes>, Status> {
        Ok(Frame::data(Bytes::from(vec![7; MESSAGE])))
    }

    #[tokio::test]
    async fn a_source_that_fails_does_not_look_like_one_that_ends() {
        let Piped { mut stream, response: _response, .. } =
            piped(vec![message(), Err(Error::internal("lost").into_status())]).await;
        let mut last = stream.data().await.unwrap();
        while last.is_ok() {
            last = stream.data().await.expect("it does not end");
        }
        assert_eq!(last.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_waits_for_a_slow_peer() {
        let Piped { mut stream, taken, response: _response } =
            piped((0..20).map(|_| message()).collect()).await;
        // Time passes when there is nothing left to do.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(taken.load(Ordering::Relaxed) <= 1 + WINDOW as usize / MESSAGE);
        let mut length = 0;
        while let Some(data) = stream.data().await {
            let data = data.unwrap();
            length += data.len();
            stream.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!((length, taken.load(Ordering::Relaxed)), (20 * MESSAGE, 20));
    }
}
