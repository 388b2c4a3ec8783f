//! The accept loop: how many connections, how long each may be silent, and how they end.
//!
//! `axum::serve` has no header time-out, no connection limit and no bound on its end; hence this loop over hyper.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{
    HeaderValue,
    header::{CONNECTION, TRANSFER_ENCODING},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use mesh_error::Error;
use mesh_lifecycle::Lifecycle;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tower::ServiceExt as _;

use super::{
    Peer,
    events::{Event, Events},
    hygiene,
    io::Watched,
    sending::Sending,
    taking::{Taking, Unread},
    tls::PublicTls,
    watch::{Times, Verdict, Watch},
};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// After a failed `accept` (usually: no descriptors left).
const BREATH: Duration = Duration::from_millis(50);

/// A bound socket and what serves it.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<PublicTls>,
    server: Arc<Server>,
    places: Arc<Semaphore>,
}

struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    times: Times,
    lifecycle: Lifecycle,
}

impl Listener {
    /// Binds; nothing is accepted before [`Listener::serve`]. `times` says how long what may take.
    pub(crate) async fn bind(
        address: SocketAddr,
        (max_connections, times): (usize, Times),
        tls: Option<PublicTls>,
        router: Router,
        lifecycle: Lifecycle,
    ) -> Result<Self, Error> {
        let socket = mesh_server::listen(address)?;
        let server = Arc::new(Server { router, builder: builder(), times, lifecycle });
        Ok(Self { socket, tls, server, places: Arc::new(Semaphore::new(max_connections)) })
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.socket.local_addr().map_err(Error::internal)
    }

    /// Accepts until the process drains; the connections end by themselves, tracked by the lifecycle.
    pub(crate) async fn serve(self) {
        let lifecycle = self.server.lifecycle.clone();
        let mut closing = pin!(lifecycle.closing());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut closing => return,
                accepted = self.accept() => accepted,
            };
            let Some((stream, address, place)) = accepted else { continue };
            let (server, tls) = (self.server.clone(), self.tls.clone());
            self.server.lifecycle.spawn("http connection", async move {
                server.handshake_and_serve(stream, address, tls).await;
                drop(place);
            });
        }
    }

    /// The next connection, when there is a place for it.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let place = self.places.clone().acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, address)) => {
                // Without it small answers wait for the peer's delayed acknowledgement.
                stream.set_nodelay(true).ok()?;
                Some((stream, address, place))
            }
            Err(error) => {
                tracing::warn!(error = %error, "accept failed");
                tokio::time::sleep(BREATH).await;
                None
            }
        }
    }
}

impl Server {
    async fn handshake_and_serve(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<PublicTls>,
    ) {
        let Some(tls) = tls else {
            return self.serve(stream, Peer { address, tls: false }).await;
        };
        match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, Peer { address, tls: true }).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    /// One connection to its end: its own, the verdict of its watch, or that of the process.
    async fn serve<S>(self: Arc<Self>, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watch = Watch::new();
        let io = TokioIo::new(Watched::new(stream, watch.clone()));
        let (router, served) = (self.router.clone(), watch.clone());
        let service =
            hyper::service::service_fn(move |request| answer(router.clone(), request, peer, served.clone()));
        let mut connection = pin!(self.builder.serve_connection(io, service));
        // Looked at when something is due, and not whenever the connection is.
        let mut events = FuturesUnordered::from_iter([Events::of(&self.lifecycle).next()]);
        let mut ending = Ending::default();
        loop {
            let event = tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %error, "connection ended");
                    }
                    return;
                }
                Some((event, rest)) = events.next() => {
                    events.push(rest.next());
                    event
                }
            };
            match event {
                Event::Abort => return,
                Event::Close if ending.begun => {}
                Event::Close => {
                    ending.begun = true;
                    connection.as_mut().graceful_shutdown();
                }
                Event::Tick => match ending.next(watch.verdict(&self.times), watch.is_idle()) {
                    Verdict::Cut => return,
                    Verdict::End => connection.as_mut().graceful_shutdown(),
                    Verdict::Keep => {}
                },
            }
        }
    }
}

/// How far the end of a connection is.
#[derive(Default)]
struct Ending {
    begun: bool,
    idle_ticks: u8,
}

impl Ending {
    /// What to do now. A peer that says nothing would hold a graceful end for ever (hyper #4170): it gets two ticks.
    fn next(&mut self, verdict: Verdict, idle: bool) -> Verdict {
        match verdict {
            Verdict::End if !self.begun => {
                self.begun = true;
                Verdict::End
            }
            Verdict::Keep | Verdict::End if self.begun && idle => {
                self.idle_ticks += 1;
                if self.idle_ticks > 2 { Verdict::Cut } else { Verdict::Keep }
            }
            Verdict::Cut => Verdict::Cut,
            Verdict::Keep | Verdict::End => {
                self.idle_ticks = 0;
                Verdict::Keep
            }
        }
    }
}

async fn answer(
    router: Router,
    mut request: http::Request<Incoming>,
    peer: Peer,
    watch: Arc<Watch>,
) -> Result<http::Response<Sending>, Infallible> {
    let in_flight = watch.begin(request.version() == http::Version::HTTP_2);
    request.extensions_mut().insert(peer);
    // hyper drops a Content-Length beside a Transfer-Encoding; whoever smuggles that way gets no second request read
    // (RFC 9112 §6.1), nor whoever takes what follows for a tunnel.
    let is_last = request.version() == http::Version::HTTP_11
        && (request.headers().contains_key(TRANSFER_ENCODING) || request.method() == http::Method::CONNECT);
    let unread = Unread::of(&request);
    let body = |body| Body::new(Taking::new(body, unread.clone()));
    let mut response = router.oneshot(request.map(body)).await?;
    let is_left = unread.is_left();
    if is_left {
        watch.expect_more();
    }
    // Told, so that nobody sends the next request where it would be read as the rest of this one.
    if is_last || is_left {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Sending::new(body, in_flight)))
}

/// hyper's own limits, each set explicitly.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch judges headers and idleness, and needs no timer for each request.
        .header_read_timeout(None)
        // Fewer than these are refused in the gateway's own form.
        .max_headers(4 * hygiene::MAX_COUNT)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        .max_header_list_size(32 * 1024)
        .max_send_buf_size(256 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graceful_end_waits_for_requests_and_not_for_silence() {
        let mut ending = Ending::default();
        assert_eq!(ending.next(Verdict::Keep, true), Verdict::Keep);
        assert_eq!(ending.next(Verdict::End, false), Verdict::End);
        for _ in 0..10 {
            assert_eq!(ending.next(Verdict::End, false), Verdict::Keep, "a request is in flight");
        }
        assert_eq!(ending.next(Verdict::End, true), Verdict::Keep);
        assert_eq!(ending.next(Verdict::Keep, true), Verdict::Keep);
        assert_eq!(ending.next(Verdict::Keep, true), Verdict::Cut);
    }
}
