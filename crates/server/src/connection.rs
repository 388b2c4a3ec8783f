//! One connection, from the accepted socket to its end.
//!
//! Every wait has a limit: the handshake, the preface, the silence of a peer (keep-alive), the age, the certificate and
//! the drain. Calls of one connection are tasks that end with it at the latest.

mod counted;
mod events;
mod executor;
mod lifetime;
mod quiet;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures::TryFutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_identity::{Peer, Tls};
use mesh_lifecycle::Lifecycle;
use metrics::{counter, gauge};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use self::counted::{Counted, Traffic};
use self::events::{Event, Events};
use self::executor::CallTasks;
use self::lifetime::Lifetime;
use self::quiet::Quiet;
use crate::stack::Stack;
use crate::{Limits, RemoteAddr};

/// The bytes of the HTTP/2 preface.
const PREFACE: u64 = 24;
/// How often a closing connection is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What the connections of a listener share.
pub(crate) struct Shared {
    pub(crate) workload: Arc<str>,
    pub(crate) tls: Tls,
    pub(crate) limits: Limits,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) stack: Stack,
}

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, socket: TcpStream, addr: SocketAddr) {
    let _open = Open::enter(&shared.workload);
    let closing = shared.lifecycle.stop_token();
    // Read before the handshake: what changes in between counts as older than it is, which does no harm.
    let own = Own { not_after: shared.tls.not_after(), generation: shared.tls.generation() };
    // A peer that has not even shaken hands when the server closes has nothing in flight.
    let end = match closing.run_until_cancelled(handshake(&shared, socket)).await {
        Some(Ok((stream, peer))) => converse(&shared, own, (stream, peer), addr).await,
        Some(Err(end)) => end,
        None => End::Closing,
    };
    let (workload, end) = (Arc::clone(&shared.workload), end.as_str());
    counter!("mesh_connections_total", "quipu_workload" => workload, "end" => end).increment(1);
    tracing::debug!(%addr, end, "connection ended");
}

/// Counts a connection as open until it is dropped.
struct Open(metrics::Gauge);

impl Open {
    fn enter(workload: &Arc<str>) -> Self {
        let gauge = gauge!("mesh_connections_open", "quipu_workload" => Arc::clone(workload));
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The server's own side of a handshake.
struct Own {
    not_after: SystemTime,
    generation: watch::Receiver<u64>,
}

/// How a connection ended; a label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the peer, or after its GOAWAY was obeyed.
    Done,
    /// TLS failed or took too long: no certificate, a foreign CA, a bad SVID, another protocol.
    Handshake,
    /// No preface in time.
    Preface,
    /// HTTP/2 was broken or abused.
    Protocol,
    /// Cut at its age or before its certificate ended.
    Expired,
    /// Cut by the drain.
    Closing,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Handshake => "handshake",
            Self::Preface => "preface",
            Self::Protocol => "protocol",
            Self::Expired => "expired",
            Self::Closing => "closing",
        }
    }
}

/// Mutual TLS with the material of this moment, and who is at the other end.
async fn handshake(shared: &Shared, socket: TcpStream) -> Result<(TlsStream<TcpStream>, Peer), End> {
    // Answers are small and awaited.
    let _ = socket.set_nodelay(true);
    let acceptor = TlsAcceptor::from(shared.tls.server_config());
    let stream = match timeout(shared.limits.handshake, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            return Err(End::Handshake);
        }
        Err(_) => return Err(End::Handshake),
    };
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(b"h2") {
        return Err(End::Handshake);
    }
    let peer = Tls::peer(session.peer_certificates()).map_err(|error| {
        tracing::warn!(%error, "a certificate passed the handshake but is no SVID");
        End::Handshake
    })?;
    Ok((stream, peer))
}

/// HTTP/2 with a known peer.
async fn converse(
    shared: &Arc<Shared>,
    own: Own,
    (stream, peer): (TlsStream<TcpStream>, Peer),
    addr: SocketAddr,
) -> End {
    let not_after = own.not_after.min(peer.not_after);
    let mut life = Lifetime::of(not_after, &shared.limits, SystemTime::now());
    let (io, traffic) = Counted::new(stream);
    let calls = Arc::new(AtomicUsize::new(0));
    let tasks = CallTasks::default();
    let service = {
        let (stack, calls) = (shared.stack.clone(), Arc::clone(&calls));
        service_fn(move |request| call(stack.clone(), request, peer.clone(), addr, Active::enter(&calls)))
    };
    let connection = builder(&shared.limits, tasks.clone()).serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let events = Events::of(&shared.lifecycle, &shared.limits, own.generation, life.soft);
    // Looked at when something is due, and not whenever the connection is.
    let mut events = FuturesUnordered::from_iter([events.next()]);
    let end = loop {
        let (event, mut rest) = tokio::select! {
            biased;
            result = &mut connection => break ended(result),
            Some(event) = events.next() => event,
        };
        match event {
            Event::Preface if traffic.received() < PREFACE => break End::Preface,
            Event::Preface => {}
            Event::Renewed => {
                life = life.renewed(&shared.limits);
                rest.age_at(life.soft);
            }
            Event::Aged => {
                connection.as_mut().graceful_shutdown();
                break leave(shared, connection, (&calls, &traffic), Some(life.hard)).await;
            }
            Event::Closing => {
                connection.as_mut().graceful_shutdown();
                break leave(shared, connection, (&calls, &traffic), None).await;
            }
        }
        events.push(rest.next());
    };
    tasks.cancel();
    end
}

/// After the GOAWAY: calls in flight finish, until the hard end, the end of the drain, or nothing is left to do.
async fn leave<C>(
    shared: &Shared,
    mut connection: Pin<&mut C>,
    (calls, traffic): (&AtomicUsize, &Traffic),
    hard: Option<tokio::time::Instant>,
) -> End
where
    C: Future<Output = hyper::Result<()>>,
{
    let aborting = shared.lifecycle.abort_token();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = Quiet::begun(tokio::time::Instant::now(), traffic.sent());
    loop {
        tokio::select! {
            result = &mut connection => return ended(result),
            () = aborting.cancelled() => return End::Closing,
            now = look.tick() => {
                if hard.is_some_and(|hard| now >= hard) {
                    return End::Expired;
                }
                if quiet.is_over(now, calls.load(Ordering::Relaxed), traffic.sent()) {
                    return if hard.is_some() { End::Done } else { End::Closing };
                }
            }
        }
    }
}

fn ended(result: hyper::Result<()>) -> End {
    match result {
        Ok(()) => End::Done,
        Err(error) => {
            tracing::debug!(error = mesh_error::chain(&error), "connection failed");
            End::Protocol
        }
    }
}

/// HTTP/2 with every limit named: tonic's defaults undo those of hyper.
fn builder(limits: &Limits, tasks: CallTasks) -> http2::Builder<CallTasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_local_error_reset_streams(limits.local_resets)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_header_list_size(limits.headers)
        .keep_alive_interval(limits.ping_every)
        .keep_alive_timeout(limits.ping_limit)
        .adaptive_window(false)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(128 * 1024);
    builder
}

/// One call: what is known of the connection goes into its extensions, then it goes through the stack.
fn call(
    stack: Stack,
    mut request: Request<Incoming>,
    peer: Peer,
    addr: SocketAddr,
    active: Active,
) -> impl Future<Output = Result<Response<counted::WithGuard<Active>>, Infallible>> {
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(RemoteAddr(addr));
    let response = stack.oneshot(request);
    response.map_ok(|response| response.map(|body| counted::WithGuard::new(body, active)))
}

/// Counts a call of the connection as in progress until its body has ended.
struct Active(Arc<AtomicUsize>);

impl Active {
    fn enter(calls: &Arc<AtomicUsize>) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(calls))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
