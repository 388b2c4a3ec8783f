//! A caller without manners: one HTTP/2 request over mTLS with an identity of one's choice, no policy and no retry.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::{TlsConnector, rustls};
use tokio_stream::wrappers::ReceiverStream;

use crate::LIMIT;

/// What came of one call.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A gRPC status while the request's body was still open: decided by the headers alone.
    Early(i32),
    /// A gRPC status after the (empty) body had ended.
    Late(i32),
    /// The connection or its handshake was refused.
    Refused(String),
}

/// OK.
pub const OK: i32 = 0;
/// PERMISSION_DENIED.
pub const DENIED: i32 = 7;
/// UNAUTHENTICATED.
pub const UNAUTHENTICATED: i32 = 16;

/// How long the body stays open for an early answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends the headers of a gRPC call, keeps the body open for a while, then ends it, and reports the status.
pub async fn call(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    token: Option<&str>,
) -> Answer {
    match timeout(LIMIT, exchange(address, tls, path, token)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => Answer::Refused(e.to_string()),
        Err(_) => Answer::Refused("no answer".into()),
    }
}

async fn exchange(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    token: Option<&str>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let tcp = TcpStream::connect(address).await?;
    let name = rustls::pki_types::ServerName::try_from("mesh.invalid")?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (open, frames) = mpsc::channel::<Result<http_body::Frame<Bytes>, Infallible>>(1);
    let mut request = http::Request::post(format!("http://mesh.invalid{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let sending = sender.send_request(request.body(StreamBody::new(ReceiverStream::new(frames)))?);
    tokio::pin!(sending);
    let (response, early) = match timeout(PATIENCE, &mut sending).await {
        Ok(response) => (response?, true),
        Err(_) => {
            drop(open);
            (sending.await?, false)
        }
    };
    let in_headers = status(response.headers());
    let code = match in_headers {
        Some(code) => code,
        // A stream that was allowed has begun: it may stay open for ever.
        None if early => OK,
        None => response.into_body().collect().await?.trailers().and_then(status).unwrap_or(OK),
    };
    connection.abort();
    Ok(if early { Answer::Early(code) } else { Answer::Late(code) })
}

fn status(headers: &http::HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
