//! A server that speaks the protocol of Opik, Comet's open server for the observability of language models, so that what
//! is sent to it can be checked field by field.
//!
//! It is a real HTTP/1.1 server on loopback, on bare TCP as [`FakeLlm`](crate::FakeLlm) is. It takes spans over OTLP and
//! maps them as Opik does, and it keeps traces, feedback scores, datasets and experiments. It is stricter than Opik where
//! Opik is lenient: what it takes, Opik takes. Paths, status codes and mapping are those of Opik's public source
//! (github.com/comet-ml/opik, `apps/opik-backend`).

mod experiments;
mod fields;
mod kept;
mod listing;
mod otel;
mod routes;
mod rules;
#[cfg(test)]
mod tests;
mod traces;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use self::fields::Answer;
use self::kept::Kept;
pub use self::kept::{
    OpikDataset, OpikExperiment, OpikItem, OpikPair, OpikRequest, OpikScore, OpikSpan, OpikTrace,
};
use crate::Result;
use crate::child::until;
use crate::http::{self, Request};

/// A server on loopback; it ends when it is dropped, and with it every call.
pub struct FakeOpik {
    addr: SocketAddr,
    book: Arc<Book>,
    _accepting: AbortOnDropHandle<()>,
}

impl FakeOpik {
    /// Starts one that asks for no key, as Opik does on one's own machine.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        Self::listen(None).await
    }

    /// Starts one that asks for this key and this workspace, as Comet's own does.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with(key: &str, workspace: &str) -> Result<Self> {
        Self::listen(Some(Access { key: key.to_owned(), workspace: workspace.to_owned() })).await
    }

    async fn listen(access: Option<Access>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let book = Arc::new(Book { access, page: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&book)));
        Ok(Self { addr, book, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// As a client is configured: `http://127.0.0.1:…/api`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api", self.addr)
    }

    /// The next so many calls are answered with this status, and nothing is done.
    pub fn fail_next(&self, calls: usize, status: u16) {
        self.book.open().failing = (calls, status);
    }

    /// The next so many calls are worked on only after this time, or never, if their caller leaves before.
    pub fn stall_next(&self, calls: usize, time: Duration) {
        self.book.open().stalling = (calls, time);
    }

    /// The traces, oldest first, the newest 10,000.
    #[must_use]
    pub fn traces(&self) -> Vec<OpikTrace> {
        self.book.open().kept.traces.values().cloned().collect()
    }

    /// The spans that came over OTLP, those of the oldest traces first, the newest 10,000.
    #[must_use]
    pub fn spans(&self) -> Vec<OpikSpan> {
        self.book.open().kept.spans.values().cloned().collect()
    }

    /// The feedback scores, one for each trace and name, those of the oldest traces first.
    #[must_use]
    pub fn scores(&self) -> Vec<OpikScore> {
        self.book.open().kept.scores.values().cloned().collect()
    }

    /// The datasets, by name.
    #[must_use]
    pub fn datasets(&self) -> Vec<OpikDataset> {
        self.book.open().kept.datasets.values().cloned().collect()
    }

    /// The experiments, oldest first.
    #[must_use]
    pub fn experiments(&self) -> Vec<OpikExperiment> {
        self.book.open().kept.experiments.values().cloned().collect()
    }

    /// Everything that was asked, refused calls too, oldest first: the newest 10,000, and no more than 64 MiB.
    #[must_use]
    pub fn requests(&self) -> Vec<OpikRequest> {
        self.book.open().kept.requests.iter().cloned().collect()
    }

    /// Waits until the test holds.
    ///
    /// # Errors
    /// When it does not in time; the text says how much is there.
    pub async fn wait_for(&self, limit: Duration, test: impl Fn(&Self) -> bool) -> Result<()> {
        until(limit, "it did not come", || async {
            if test(self) { Ok(()) } else { Err(format!("{self:?}").into()) }
        })
        .await
    }
}

impl fmt::Debug for FakeOpik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.book.open();
        f.debug_struct("FakeOpik")
            .field("addr", &self.addr)
            .field("requests", &page.kept.requests.len())
            .field("traces", &page.kept.traces.len())
            .field("spans", &page.kept.spans.len())
            .field("scores", &page.kept.scores.len())
            .finish_non_exhaustive()
    }
}

/// Who may call.
struct Access {
    key: String,
    workspace: String,
}

/// What the server knows.
struct Book {
    access: Option<Access>,
    page: Mutex<Page>,
}

#[derive(Default)]
struct Page {
    kept: Kept,
    failing: (usize, u16),
    stalling: (usize, Duration),
}

impl Book {
    fn open(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins; how long it waits, and the status that it fails with.
    fn begin(&self, request: &Request) -> (Duration, Option<u16>) {
        let mut page = self.open();
        page.kept.remember(request);
        let stall = if take_one(&mut page.stalling.0) { page.stalling.1 } else { Duration::ZERO };
        let fail = take_one(&mut page.failing.0).then_some(page.failing.1);
        (stall, fail)
    }

    fn answer(&self, request: &Request) -> Answer {
        let allowed = self.access.as_ref().map_or(Ok(()), |access| access.check(request));
        let answer = allowed.and_then(|()| routes::answer(request, &mut self.open().kept));
        answer.unwrap_or_else(Answer::refused)
    }
}

impl Access {
    fn check(&self, request: &Request) -> fields::Result<()> {
        if request.header("authorization") != Some(&self.key) {
            return Err(fields::refused(401, "API key should be provided"));
        }
        match request.header("comet-workspace") {
            Some(name) if name == self.workspace => Ok(()),
            _ => Err(fields::refused(403, "User is not allowed to access workspace")),
        }
    }
}

fn take_one(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                open.spawn(connection(stream, Arc::clone(&book)));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn connection(mut stream: TcpStream, book: Arc<Book>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = http::read(&mut stream, &mut buffer).await {
        let (stall, fail) = book.begin(&request);
        let (read, _write) = stream.split();
        tokio::select! {
            biased;
            () = tokio::time::sleep(stall) => {}
            () = http::gone(read, &mut buffer) => return,
        }
        let answer = match fail {
            Some(status) => Answer::refused(fields::refused(status, "It fails because a test says so")),
            None => book.answer(&request),
        };
        if stream.write_all(&answer.bytes()).await.is_err() {
            return;
        }
    }
}
