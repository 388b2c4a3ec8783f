//! Opens a connection: TCP, mutual TLS with exactly the workload that is meant, HTTP/2.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use mesh_identity::{SpiffeId, SvidError, Tls};
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::Settings;

/// Windows of a connection and of each of its streams: a few messages of the largest size may be under way.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Metadata that a peer may send.
const MAX_HEADERS: u32 = 32 * 1024;
/// Streams that are begun before the peer has said how many it takes.
const FIRST_STREAMS: usize = 100;

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
    Http2(h2::Error),
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
    sender: SendRequest<Bytes>,
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
    ) -> Result<SendRequest<Bytes>, ConnectError> {
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_window_size(STREAM_WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .initial_max_send_streams(FIRST_STREAMS)
            .handshake(stream)
            .await
            .map_err(ConnectError::Http2)?;
        let silent = silent(connection.ping_pong(), self.settings);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                },
                () = silent => tracing::debug!("connection cut: the peer does not answer"),
                // A certificate ends, and with it the trust in the connection.
                () = tokio::time::sleep_until(ends) => {}
            }
        });
        Ok(sender)
    }
}

impl Connection {
    /// Begins a request: its response, and where its body goes. It waits for its turn when the peer takes no more at once.
    ///
    /// # Errors
    /// The connection takes no request any more.
    pub(crate) fn send(
        &self,
        request: Request<()>,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.sender.clone().send_request(request, false)
    }

    /// Whether requests can be sent on it at all.
    pub(crate) fn is_open(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.is_closed() && self.ends > Instant::now()
    }

    /// Whether it has failed or was cut, or the peer has said goodbye.
    fn is_closed(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        matches!(self.sender.clone().poll_ready(&mut nobody), Poll::Ready(Err(_)))
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

/// Ends when the peer leaves a ping unanswered, also while there are no calls.
async fn silent(pings: Option<PingPong>, settings: Settings) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        tokio::time::sleep(settings.keep_alive).await;
        let answered = timeout(settings.keep_alive_limit, pings.ping(Ping::opaque())).await;
        if !matches!(answered, Ok(Ok(_))) {
            return;
        }
    }
}
