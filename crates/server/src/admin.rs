//! The admin port: plain HTTP for probes and metrics, powerless on purpose.
//!
//! A Kubernetes probe cannot present a client certificate, so this port answers anybody on it and says nothing that
//! matters: whether the process lives, whether it is ready and what for it waits, its metrics, its version.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_error::{Error, Result};
use mesh_lifecycle::{Lifecycle, Readiness};
use metrics::counter;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::listen::listen;

/// Connections at once; probes and a scraper need a handful, and one more takes the place of the oldest.
const CONNECTIONS: usize = 64;
/// For the header of a request.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// For a whole connection: whoever stays longer may come again.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);
/// For the bytes and fields of a header.
const MAX_BUFFER: usize = 8 * 1024;
const MAX_HEADERS: usize = 32;

/// The admin port of a process, bound.
pub struct Admin {
    listener: TcpListener,
    local: SocketAddr,
    shared: Arc<Shared>,
    lifecycle: Lifecycle,
}

struct Shared {
    readiness: Readiness,
    version: &'static str,
}

impl Admin {
    /// Binds the port.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn bind(addr: SocketAddr, lifecycle: &Lifecycle, version: &'static str) -> Result<Self> {
        let listener = listen(addr)?;
        let local = listener.local_addr().map_err(Error::internal)?;
        let shared = Arc::new(Shared { readiness: lifecycle.readiness().clone(), version });
        Ok(Self { listener, local, shared, lifecycle: lifecycle.clone() })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves. Returns when the process closes, but goes on answering until the drain has ended, so that a probe is told
    /// the truth all along.
    pub async fn serve(self) {
        let lifecycle = self.lifecycle.clone();
        tracing::info!(addr = %self.local, "serving probes and metrics");
        // Not tracked: the drain must not wait for what lives as long as itself.
        let accepting = tokio::spawn(self.accept());
        lifecycle.closing().await;
        drop(accepting);
    }

    async fn accept(self) {
        let ended = self.lifecycle.abort_token();
        let mut open = VecDeque::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = ended.cancelled() => return,
            };
            let Ok((socket, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            make_room(&mut open);
            let (shared, ended) = (Arc::clone(&self.shared), ended.clone());
            let connection = tokio::spawn(async move {
                let _ = ended.run_until_cancelled(timeout(CONNECTION_LIMIT, converse(shared, socket))).await;
            });
            open.push_back(connection.abort_handle());
        }
    }
}

/// Cuts the oldest connection when there are as many as there may be. An answer takes a moment, so whoever has been here
/// longest most likely says nothing; a probe that found no room would have its process killed.
fn make_room(open: &mut VecDeque<AbortHandle>) {
    open.retain(|connection| !connection.is_finished());
    if open.len() >= CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
        counter!("mesh_admin_connections_cut_total").increment(1);
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("local", &self.local).finish_non_exhaustive()
    }
}

async fn converse(shared: Arc<Shared>, socket: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&shared, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "admin connection failed");
    }
}

fn answer(shared: &Shared, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if !matches!(path, "/healthz" | "/readyz" | "/metrics" | "/version") {
        return text(StatusCode::NOT_FOUND, "not found\n".to_owned());
    }
    if *method != Method::GET && *method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => readyz(&shared.readiness),
        "/metrics" => {
            let mut response = text(StatusCode::OK, mesh_telemetry::metrics_text());
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
            response
        }
        _ => json(StatusCode::OK, &json!({ "version": shared.version })),
    }
}

fn readyz(readiness: &Readiness) -> Response<Full<Bytes>> {
    let ready = readiness.is_ready();
    let gates: serde_json::Map<_, _> = readiness
        .report()
        .into_iter()
        .map(|(name, reason)| (name, reason.unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &json!({ "ready": ready, "gates": gates }))
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = text(status, format!("{value}\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
