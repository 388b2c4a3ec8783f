//! Opens a connection: TCP, mutual TLS with exactly the workload that is meant, HTTP/2.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_identity::{SpiffeId, SvidError, Tls};
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::{future::FutureExt as _, sync::CancellationToken};
use tonic::body::Body;

use crate::Settings;

/// Windows of a connection and of each of its streams: a few messages of the largest size may be under way.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Metadata that a peer may send.
const MAX_HEADERS: u32 = 32 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("TCP: {0}")]
    Tcp(std::io::Error),
    #[error("{0} took too long")]
    Slow(&'static str),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("the peer's certificate: {0}")]
    Peer(#[from] SvidError),
    #[error("the peer does not speak HTTP/2")]
    NotHttp2,
    #[error("HTTP/2: {0}")]
    Http2(hyper::Error),
    #[error("connecting was given up")]
    GivenUp,
}

/// How to reach the endpoints of one workload.
#[derive(Debug)]
pub(crate) struct Dial {
    tls: Tls,
    expected: SpiffeId,
    settings: Settings,
    places: Semaphore,
}

/// A connection. It ends when it and every stream on it are dropped, or with the first certificate that ends.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    generation: u64,
    ends: Instant,
    broken: AtomicBool,
}

impl Dial {
    pub(crate) fn new(tls: Tls, expected: SpiffeId, settings: Settings) -> Self {
        Self { tls, expected, settings, places: Semaphore::new(settings.connecting.max(1)) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of the present certificates.
    pub(crate) fn generation(&self) -> u64 {
        *self.tls.generation().borrow()
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let connected = self.open(address).await;
        let outcome = if connected.is_ok() { "opened" } else { "failed" };
        metrics::counter!("mesh_client_connections_total", "outcome" => outcome).increment(1);
        connected
    }

    async fn open(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let _place = self.places.acquire().await.map_err(|_| ConnectError::GivenUp)?;
        let tcp = timeout(self.settings.connect, TcpStream::connect(address)).await;
        let tcp = tcp.map_err(|_| ConnectError::Slow("TCP"))?.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let handshake = timeout(self.settings.handshake, self.handshake(tcp, address));
        handshake.await.map_err(|_| ConnectError::Slow("the handshake"))?
    }

    async fn handshake(&self, tcp: TcpStream, address: SocketAddr) -> Result<Connection, ConnectError> {
        // Read before the configuration: if it changes in between, the connection counts as old, which does no harm.
        let generation = self.generation();
        let own_end = self.tls.not_after();
        let connector = TlsConnector::from(self.tls.client_config(&self.expected));
        let name = ServerName::from(address.ip());
        let stream = connector.connect(name, tcp).await.map_err(ConnectError::Tls)?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NotHttp2);
        }
        let peer = Tls::peer(session.peer_certificates())?;
        let ends = instant_of(own_end.min(peer.not_after));
        let sender = self.http2(stream, ends).await?;
        Ok(Connection { sender, generation, ends, broken: AtomicBool::new(false) })
    }

    async fn http2(
        &self,
        stream: TlsStream<TcpStream>,
        ends: Instant,
    ) -> Result<SendRequest<Body>, ConnectError> {
        let cut = CancellationToken::new();
        let (sender, connection) = Builder::new(Tasks(cut.clone()))
            .timer(TokioTimer::new())
            .keep_alive_interval(self.settings.keep_alive)
            .keep_alive_timeout(self.settings.keep_alive_limit)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Http2)?;
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                },
                // A certificate ends, and with it the trust in the connection.
                () = tokio::time::sleep_until(ends) => cut.cancel(),
            }
        });
        Ok(sender)
    }
}

impl Connection {
    pub(crate) fn sender(&self) -> SendRequest<Body> {
        self.sender.clone()
    }

    /// Whether requests can be sent on it at all.
    pub(crate) fn is_open(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.sender.is_closed() && self.ends > Instant::now()
    }

    /// Whether it was made with the certificates of `generation`.
    pub(crate) fn is_of(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Nothing more is to be sent on it.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

/// The moment on tokio's clock.
fn instant_of(time: SystemTime) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.min(YEAR)
}

/// Runs the tasks of one connection until it is cut.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future.with_cancellation_token_owned(self.0.clone()));
    }
}
