//! A language model's server that says what a test wants, over the protocol of OpenAI's chat completions.
//!
//! It is a real HTTP/1.1 server on loopback, written on bare TCP, so that a test decides on every byte: where a text is
//! split, when nothing comes any more, how a connection ends. It counts the calls, keeps what was asked, and notices
//! when a caller leaves before its answer's end. It knows no user and checks no key.

mod deltas;
mod play;
mod render;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub use self::reply::{Break, Reply};
use crate::child::until;
use crate::http::Request;
use crate::{Result, remember};

/// A server on loopback; it ends when it is dropped, and with it every call.
pub struct FakeLlm {
    addr: SocketAddr,
    book: Arc<Book>,
    _accepting: AbortOnDropHandle<()>,
}

/// What was asked in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The path, with its query.
    pub path: String,
    /// The header of that name.
    pub authorization: Option<String>,
    /// All headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Calls for an answer, whatever became of them.
    pub calls: u64,
    /// Calls that are being answered now.
    pub under_way: u64,
    /// Calls whose answer was written to its end, errors among them.
    pub completed: u64,
    /// Calls that the script broke off.
    pub broken: u64,
    /// Calls whose caller left before the answer's end.
    pub cancelled: u64,
}

impl Asked {
    fn of(request: Request) -> Self {
        let authorization = request.header("authorization").map(str::to_owned);
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        Self { path: request.path, authorization, headers: request.headers, body }
    }
}

/// Makes an answer from what was asked.
pub type Responder = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

impl FakeLlm {
    /// Starts one on a free port. Until it is told otherwise it says `Hello.`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts one on this address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn listen(addr: SocketAddr) -> Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        // As many as are asked for at once.
        let listener = socket.listen(4096)?;
        let addr = listener.local_addr()?;
        let book = Arc::new(Book::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&book)));
        Ok(Self { addr, book, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As a client is configured: `http://127.0.0.1:…/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// These are the next answers, in this order, after those of earlier scripts; then come the usual ones.
    pub fn script(&self, replies: Vec<Reply>) {
        self.book.open().script.extend(replies);
    }

    /// The usual answer from now on.
    pub fn always(&self, reply: Reply) {
        self.respond_with(Arc::new(move |_: &Asked| reply.clone()));
    }

    /// Makes the usual answers from now on.
    pub fn respond_with(&self, responder: Responder) {
        self.book.open().usual = Some(responder);
    }

    /// From now on it says everything that it was told, the system's part too.
    pub fn obey(&self) {
        self.always(Reply::echo());
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.book.open().counts
    }

    /// When callers left, oldest first, the newest 10,000.
    #[must_use]
    pub fn cancellations(&self) -> Vec<Instant> {
        self.book.open().left.iter().map(|(_, at)| *at).collect()
    }

    /// What those had asked who left, and when they did, oldest first, the newest 10,000.
    #[must_use]
    pub fn left(&self) -> Vec<(Asked, Instant)> {
        self.book.open().left.iter().cloned().collect()
    }

    /// What was asked, oldest first, the newest 10,000.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.book.open().asked.iter().cloned().collect()
    }

    /// Waits until the counts satisfy the test, and returns them.
    ///
    /// # Errors
    /// When they do not in time; the text holds them.
    pub async fn wait_for(&self, limit: Duration, test: impl Fn(&Counts) -> bool) -> Result<Counts> {
        until(limit, "the calls did not come to that", || async {
            let counts = self.counts();
            if test(&counts) { Ok(counts) } else { Err(format!("{counts:?}").into()) }
        })
        .await
    }
}

impl fmt::Debug for FakeLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLlm")
            .field("addr", &self.addr)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                book.open().counts.connections += 1;
                open.spawn(play::connection(stream, Arc::clone(&book)));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

/// What the server knows.
#[derive(Default)]
struct Book(Mutex<Page>);

#[derive(Default)]
struct Page {
    script: VecDeque<Reply>,
    usual: Option<Responder>,
    counts: Counts,
    asked: VecDeque<Asked>,
    left: VecDeque<(Asked, Instant)>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The answer is written.
    Completed,
    /// The script says so.
    Broken(Break),
    /// The caller is gone.
    Cancelled,
}

impl Book {
    fn open(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins; what it is answered with.
    fn begin(&self, asked: &Asked) -> Reply {
        let mut page = self.open();
        page.counts.calls += 1;
        page.counts.under_way += 1;
        remember(&mut page.asked, asked.clone());
        if let Some(reply) = page.script.pop_front() {
            return reply;
        }
        let usual = page.usual.clone();
        drop(page);
        usual.map_or_else(|| Reply::text("Hello."), |responder| responder(asked))
    }

    fn end(&self, ended: Ended, asked: &Asked) {
        let mut page = self.open();
        page.counts.under_way -= 1;
        match ended {
            Ended::Completed => page.counts.completed += 1,
            Ended::Broken(_) => page.counts.broken += 1,
            Ended::Cancelled => {
                page.counts.cancelled += 1;
                remember(&mut page.left, (asked.clone(), Instant::now()));
            }
        }
    }
}
