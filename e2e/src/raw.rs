//! A caller without manners: HTTP/2 over mTLS with an identity of one's choice, no policy and no retry.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_error::BoxError;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::{TlsConnector, rustls};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

use crate::LIMIT;

/// What came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A gRPC status while the request's body was still open: decided by the headers alone.
    Early(i32),
    /// A gRPC status after the (empty) body had ended.
    Late(i32),
    /// The connection or its handshake was refused.
    Refused(String),
}

impl Answer {
    /// The gRPC status, if the call came as far as that.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Early(code) | Self::Late(code) => Some(*code),
            Self::Refused(_) => None,
        }
    }
}

/// OK.
pub const OK: i32 = 0;
/// PERMISSION_DENIED.
pub const DENIED: i32 = 7;
/// UNAUTHENTICATED.
pub const UNAUTHENTICATED: i32 = 16;

/// How long the body stays open for an early answer.
const PATIENCE: Duration = Duration::from_millis(200);

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// The answer to a whole request.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub http: u16,
    /// The gRPC status, from headers or trailers.
    pub code: Option<i32>,
    /// The body.
    pub data: Bytes,
}

/// One connection. A server that refuses the client's certificate says so on the first call.
#[derive(Debug)]
pub struct Wire {
    sender: SendRequest<Body>,
    _connection: AbortOnDropHandle<()>,
}

impl Wire {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the server is not there or its certificate is refused.
    pub async fn open(address: SocketAddr, tls: Arc<rustls::ClientConfig>) -> Result<Self, BoxError> {
        let tcp = TcpStream::connect(address).await?;
        let name = rustls::pki_types::ServerName::try_from("mesh.invalid")?;
        let stream = timeout(LIMIT, TlsConnector::from(tls).connect(name, tcp)).await??;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            // Whoever waits for an answer learns of its end.
            let _ = connection.await;
        });
        Ok(Self { sender, _connection: AbortOnDropHandle::new(connection) })
    }

    /// Sends the headers of a gRPC call, keeps the body open for a while, then ends it, and reports the status.
    pub async fn announce(&self, path: &str, token: Option<&str>) -> Answer {
        match timeout(LIMIT, self.announced(path, token)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => Answer::Refused(e.to_string()),
            Err(_) => Answer::Refused("no answer".into()),
        }
    }

    async fn announced(&self, path: &str, token: Option<&str>) -> Result<Answer, BoxError> {
        let (open, frames) = mpsc::channel(1);
        let request = grpc(path, token)?.map(|()| StreamBody::new(ReceiverStream::new(frames)));
        let sending = self.sender.clone().send_request(request);
        tokio::pin!(sending);
        let (response, early) = match timeout(PATIENCE, &mut sending).await {
            Ok(response) => (response?, true),
            Err(_) => {
                drop(open);
                (sending.await?, false)
            }
        };
        let code = match status(response.headers()) {
            Some(code) => code,
            // A stream that was allowed has begun: it may stay open for ever.
            None if early => OK,
            None => response.into_body().collect().await?.trailers().and_then(status).unwrap_or(OK),
        };
        Ok(if early { Answer::Early(code) } else { Answer::Late(code) })
    }

    /// Sends a whole request; the answer ends with its stream, or after [`LIMIT`].
    ///
    /// # Errors
    /// When the connection or the stream is refused.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Reply, BoxError> {
        timeout(LIMIT, self.sent(request)).await?
    }

    async fn sent(&self, request: Request<Bytes>) -> Result<Reply, BoxError> {
        let (open, frames) = mpsc::channel(1);
        let (parts, body) = request.into_parts();
        if !body.is_empty() {
            open.send(Ok(Frame::data(body))).await?;
        }
        drop(open);
        let request = Request::from_parts(parts, StreamBody::new(ReceiverStream::new(frames)));
        let response = self.sender.clone().send_request(request).await?;
        let (http, code) = (response.status().as_u16(), status(response.headers()));
        let mut body = response.into_body();
        let (mut data, mut trailing) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(trailers) => trailing = trailers.trailers_ref().and_then(status),
            }
        }
        Ok(Reply { http, code: code.or(trailing), data: data.freeze() })
    }
}

/// [`Wire::announce`] on a connection of its own.
pub async fn call(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    token: Option<&str>,
) -> Answer {
    match Wire::open(address, tls).await {
        Ok(wire) => wire.announce(path, token).await,
        Err(e) => Answer::Refused(e.to_string()),
    }
}

/// The headers of a gRPC call.
///
/// # Errors
/// When the path or the token cannot be sent.
pub fn grpc(path: &str, token: Option<&str>) -> Result<Request<()>, http::Error> {
    let mut request = Request::post(format!("http://mesh.invalid{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(())
}

/// A message in the framing of gRPC.
#[must_use]
pub fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

fn status(headers: &http::HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
