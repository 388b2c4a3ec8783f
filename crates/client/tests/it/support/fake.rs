//! A server that answers as it is told, and remembers what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mesh_identity::Tls;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Reply, World};

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many came before it.
    pub(crate) number: usize,
    shared: Arc<Shared>,
}

impl Call {
    pub(crate) fn timeout(&self) -> Duration {
        let timeout = mesh_resilience::timeout_of(&self.headers).expect("well formed");
        timeout.expect("every call has a timeout")
    }

    /// Cuts all present connections; new ones are welcome.
    pub(crate) fn cut_connections(&self) {
        std::mem::take(&mut *self.shared.cut.lock().expect("not poisoned")).cancel();
    }
}

type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Reply> + Send + Sync>;

struct Shared {
    tls: Tls,
    handler: Handler,
    calls: Mutex<Vec<Call>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    /// Says goodbye to present connections.
    goodbye: Mutex<CancellationToken>,
    /// Cuts present connections.
    cut: Mutex<CancellationToken>,
}

/// A server; it ends with its fixture.
pub(crate) struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Fake {
    /// A server with the identity of `auth`.
    pub(crate) async fn auth<F>(world: &World, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::of(world.tls("auth"), handler).await
    }

    /// A server with any identity.
    pub(crate) async fn of<F>(tls: Tls, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            tls,
            handler: Arc::new(move |call| Box::pin(handler(call))),
            calls: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            goodbye: Mutex::default(),
            cut: Mutex::default(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, Arc::clone(&shared))));
        Self { address, shared, stop }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().expect("not poisoned").clone()
    }

    pub(crate) fn called(&self) -> usize {
        self.calls().len()
    }

    /// Handshakes that succeeded.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// GOAWAY on every connection; calls under way finish.
    pub(crate) fn say_goodbye(&self) {
        std::mem::take(&mut *self.shared.goodbye.lock().expect("not poisoned")).cancel();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
        self.shared.cut.lock().expect("not poisoned").cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let cut = shared.cut.lock().expect("not poisoned").clone();
        tokio::spawn(cut.run_until_cancelled_owned(serve(tcp, Arc::clone(&shared))));
    }
}

async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    let Ok(stream) = TlsAcceptor::from(shared.tls.server_config()).accept(tcp).await else { return };
    shared.connections.fetch_add(1, Ordering::SeqCst);
    shared.open.fetch_add(1, Ordering::SeqCst);
    serve_http2(stream, Arc::clone(&shared)).await;
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn serve_http2(stream: tokio_rustls::server::TlsStream<TcpStream>, shared: Arc<Shared>) {
    let goodbye = shared.goodbye.lock().expect("not poisoned").clone();
    let service = service_fn(move |request| handle(request, Arc::clone(&shared)));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = goodbye.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Reply, Infallible> {
    let (head, body) = request.into_parts();
    let body = if head.uri.path().ends_with("Stream") {
        // Answered while it is still sent.
        tokio::spawn(body.collect());
        Bytes::new()
    } else {
        body.collect().await.map(|body| body.to_bytes()).unwrap_or_default()
    };
    let call = {
        let mut calls = shared.calls.lock().expect("not poisoned");
        let path = head.uri.path().to_owned();
        let call =
            Call { path, headers: head.headers, body, number: calls.len(), shared: Arc::clone(&shared) };
        calls.push(call.clone());
        call
    };
    let reply = (shared.handler)(call).await;
    Ok(reply)
}
