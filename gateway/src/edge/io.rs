//! A connection that watches itself: when it last had a request, whether headers are half in, whether its peer reads.
//!
//! hyper bounds neither a peer that sends nothing nor one that does not read; its header time-out would also end idle
//! connections that a load balancer keeps for reuse. So the times are kept here and judged by [`Watch::verdict`].

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From the first byte of a request to the end of its headers, and from the handshake to the first request.
    pub(crate) headers: Duration,
    /// Without any request.
    pub(crate) idle: Duration,
    /// Without the peer reading anything of an answer.
    pub(crate) unread: Duration,
    /// From its beginning, until it is ended politely.
    pub(crate) age: Duration,
}

/// What should become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Keep,
    /// It ends when the requests in flight are done.
    End,
    /// It ends now.
    Cut,
}

/// The times of one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    opened: Instant,
    http2: AtomicBool,
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    in_flight: usize,
    served: bool,
    idle_since: Option<Instant>,
    reading_since: Option<Instant>,
    unread_since: Option<Instant>,
}

impl Watch {
    /// Of a connection that begins now.
    pub(crate) fn new() -> Arc<Self> {
        let marks = Marks { idle_since: Some(Instant::now()), ..Marks::default() };
        Arc::new(Self { opened: Instant::now(), http2: AtomicBool::new(false), marks: Mutex::new(marks) })
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; it ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> InFlight {
        self.http2.store(http2, Ordering::Relaxed);
        let mut marks = self.marks();
        marks.in_flight += 1;
        marks.served = true;
        (marks.idle_since, marks.reading_since) = (None, None);
        drop(marks);
        InFlight(self.clone())
    }

    /// Judged a few times a second.
    pub(crate) fn verdict(&self, times: &Times) -> Verdict {
        let now = Instant::now();
        let marks = self.marks();
        let since = |mark: Option<Instant>, limit| mark.is_some_and(|at| now.duration_since(at) >= limit);
        if since(marks.unread_since, times.unread) {
            return Verdict::Cut;
        }
        if !marks.served && now.duration_since(self.opened) >= times.headers {
            return Verdict::Cut;
        }
        if marks.in_flight == 0 && since(marks.reading_since, times.headers) {
            return Verdict::Cut;
        }
        if since(marks.idle_since, times.idle + times.headers) {
            return Verdict::Cut;
        }
        if since(marks.idle_since, times.idle) || now.duration_since(self.opened) >= times.age {
            return Verdict::End;
        }
        Verdict::Keep
    }

    /// Whether no request is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.marks().in_flight == 0
    }

    /// Bytes came. On HTTP/1 between two requests they begin the next one; on HTTP/2 they may be mere pings.
    fn read(&self) {
        if self.http2.load(Ordering::Relaxed) {
            return;
        }
        let mut marks = self.marks();
        if marks.in_flight == 0 && marks.reading_since.is_none() {
            marks.reading_since = Some(Instant::now());
        }
    }

    fn wrote(&self, blocked: bool) {
        let mut marks = self.marks();
        marks.unread_since = match (blocked, marks.unread_since) {
            (false, _) => None,
            (true, None) => Some(Instant::now()),
            (true, since) => since,
        };
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Watch>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut marks = self.0.marks();
        marks.in_flight = marks.in_flight.saturating_sub(1);
        if marks.in_flight == 0 {
            marks.idle_since = Some(Instant::now());
        }
    }
}

/// The body of an answer; its request is in flight until it is sent.
pub(crate) struct Sending {
    body: Body,
    _in_flight: InFlight,
}

impl Sending {
    /// Holds `in_flight` as long as the body.
    pub(crate) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells its [`Watch`] what it does.
pub(crate) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    /// Watches `stream`.
    pub(crate) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.watch.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TIMES: Times = Times {
        headers: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        unread: Duration::from_secs(30),
        age: Duration::from_secs(900),
    };

    async fn after(watch: &Watch, seconds: u64) -> Verdict {
        advance(Duration::from_secs(seconds)).await;
        watch.verdict(&TIMES)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_nothing_is_cut_at_the_header_limit() {
        let watch = Watch::new();
        assert_eq!(after(&watch, 9).await, Verdict::Keep);
        assert_eq!(after(&watch, 1).await, Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_reuse_and_then_ended() {
        let watch = Watch::new();
        drop(watch.begin(false));
        assert_eq!(after(&watch, 74).await, Verdict::Keep);
        assert_eq!(after(&watch, 1).await, Verdict::End);
        assert_eq!(after(&watch, 10).await, Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_second_request_is_cut_at_the_header_limit() {
        let watch = Watch::new();
        drop(watch.begin(false));
        advance(Duration::from_secs(20)).await;
        watch.read();
        assert_eq!(after(&watch, 9).await, Verdict::Keep);
        watch.read();
        assert_eq!(after(&watch, 1).await, Verdict::Cut, "a byte now and then does not help");
    }

    #[tokio::test(start_paused = true)]
    async fn pings_of_http2_are_no_half_request() {
        let watch = Watch::new();
        drop(watch.begin(true));
        watch.read();
        assert_eq!(after(&watch, 20).await, Verdict::Keep);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_request_is_kept_unless_its_peer_stops_reading() {
        let watch = Watch::new();
        let request = watch.begin(false);
        assert_eq!(after(&watch, 500).await, Verdict::Keep);
        watch.wrote(true);
        assert_eq!(after(&watch, 29).await, Verdict::Keep);
        watch.wrote(false);
        watch.wrote(true);
        assert_eq!(after(&watch, 29).await, Verdict::Keep);
        assert_eq!(after(&watch, 1).await, Verdict::Cut);
        drop(request);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_ends_politely() {
        let watch = Watch::new();
        let _request = watch.begin(true);
        assert_eq!(after(&watch, 900).await, Verdict::End);
    }
}
