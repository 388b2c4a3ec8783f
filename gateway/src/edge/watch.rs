//! A connection that watches itself: when it last had a request, whether headers are half in, whether its peer reads.
//!
//! hyper bounds neither a peer that sends nothing nor one that does not read; its header time-out would also end idle
//! connections that a load balancer keeps for reuse. So the times are kept here and judged by [`Watch::verdict`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

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
    /// The longest that a request may take: so long after the polite end it is cut.
    pub(crate) longest: Duration,
}

/// Smaller writes are the protocol talking to itself (a ping of HTTP/2 has 17 bytes) and no progress of an answer.
const PAYLOAD: usize = 64;

/// A connection without requests in flight is idle when nothing of an answer went out for so long.
const QUIET: Duration = Duration::from_millis(500);

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
    /// Whether the last answer was given before the body of its request had come.
    expects_more: AtomicBool,
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    in_flight: usize,
    served: bool,
    idle_since: Option<Instant>,
    reading_since: Option<Instant>,
    /// Since when the socket takes nothing.
    unread_since: Option<Instant>,
    /// Pieces of answers that were handed over and have no room yet: a window of HTTP/2 may be shut while the socket
    /// takes whatever it is given.
    handed: usize,
    /// Since when none of those moved.
    stalled_since: Option<Instant>,
}

impl Watch {
    /// Of a connection that begins now.
    pub(crate) fn new() -> Arc<Self> {
        let marks = Marks { idle_since: Some(Instant::now()), ..Marks::default() };
        let [http2, expects_more] = [false; 2].map(AtomicBool::new);
        Arc::new(Self { opened: Instant::now(), http2, expects_more, marks: Mutex::new(marks) })
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
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

    /// The rest of a request's body is still to come, and nobody will read it.
    pub(super) fn expect_more(&self) {
        self.expects_more.store(true, Ordering::Relaxed);
    }

    /// Whether [`Watch::expect_more`] was said.
    pub(super) fn expects_more(&self) -> bool {
        self.expects_more.load(Ordering::Relaxed)
    }

    /// Judged a few times a second.
    pub(crate) fn verdict(&self, times: &Times) -> Verdict {
        let now = Instant::now();
        let marks = self.marks();
        let since = |mark: Option<Instant>, limit| mark.is_some_and(|at| now.duration_since(at) >= limit);
        if since(marks.unread_since, times.unread) || since(marks.stalled_since, times.unread) {
            return Verdict::Cut;
        }
        if now.duration_since(self.opened) >= times.age + times.longest {
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

    /// Whether no request is in flight and nothing of an answer is still on its way.
    pub(crate) fn is_idle(&self) -> bool {
        let marks = self.marks();
        let is_quiet = marks.idle_since.is_some_and(|since| since.elapsed() >= QUIET);
        marks.in_flight == 0 && marks.unread_since.is_none() && is_quiet
    }

    /// A piece of an answer was handed over.
    pub(super) fn handed(&self) {
        let mut marks = self.marks();
        marks.handed += 1;
        marks.stalled_since = Some(Instant::now());
    }

    /// The next piece was asked for, or nobody wants it any more.
    pub(super) fn took(&self) {
        let mut marks = self.marks();
        marks.handed = marks.handed.saturating_sub(1);
        marks.stalled_since = (marks.handed > 0).then(Instant::now);
    }

    /// Bytes came. On HTTP/1 between two requests they begin the next one; on HTTP/2 they may be mere pings.
    pub(super) fn read(&self) {
        if self.http2.load(Ordering::Relaxed) {
            return;
        }
        let mut marks = self.marks();
        if marks.in_flight == 0 && marks.reading_since.is_none() {
            marks.reading_since = Some(Instant::now());
        }
    }

    /// So many bytes were written; `None`: the socket takes nothing for now.
    pub(super) fn wrote(&self, bytes: Option<usize>) {
        let mut guard = self.marks();
        let (marks, now) = (&mut *guard, Instant::now());
        let Some(bytes) = bytes else {
            marks.unread_since.get_or_insert(now);
            return;
        };
        marks.unread_since = None;
        if bytes > PAYLOAD {
            // Whatever moves is moved on; whatever is not going on stays so.
            for mark in [&mut marks.stalled_since, &mut marks.idle_since].into_iter().flatten() {
                *mark = now;
            }
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Watch>);

impl InFlight {
    /// Of its connection.
    pub(super) fn watch(&self) -> Arc<Watch> {
        self.0.clone()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut marks = self.0.marks();
        marks.in_flight = marks.in_flight.saturating_sub(1);
        if marks.in_flight == 0 {
            marks.idle_since = Some(Instant::now());
        }
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
        longest: Duration::from_secs(600),
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
        watch.wrote(None);
        assert_eq!(after(&watch, 29).await, Verdict::Keep);
        watch.wrote(Some(0));
        watch.wrote(None);
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

    #[tokio::test(start_paused = true)]
    async fn and_is_cut_when_even_the_longest_request_would_be_over() {
        let watch = Watch::new();
        let _request = watch.begin(true);
        assert_eq!(after(&watch, 900 + 599).await, Verdict::End);
        assert_eq!(after(&watch, 1).await, Verdict::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_still_being_written_is_not_idleness() {
        let watch = Watch::new();
        drop(watch.begin(false));
        for _ in 0..10 {
            watch.wrote(None);
            assert_eq!(after(&watch, 20).await, Verdict::Keep);
            assert!(!watch.is_idle(), "the socket is full");
            watch.wrote(Some(4096));
            assert!(!watch.is_idle(), "it moved just now");
        }
        assert_eq!(after(&watch, 74).await, Verdict::Keep);
        assert!(watch.is_idle());
        watch.wrote(Some(17));
        assert_eq!(after(&watch, 1).await, Verdict::End, "pings keep nothing alive");
    }
}
