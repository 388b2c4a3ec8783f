//! Unary gRPC over one connection of HTTP/2, plain or with mutual TLS, again without more than is needed.

use std::{future::poll_fn, net::SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request};
use mesh_identity::{SpiffeId, Tls};
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::Result;

/// Windows that no answer fills.
const WINDOW: u32 = 4 * 1024 * 1024;

/// What one call sends.
#[derive(Clone, Debug)]
pub struct Unary {
    path: String,
    headers: HeaderMap,
    frame: Bytes,
}

impl Unary {
    /// A call of `/package.Service/Method`, with a bearer token if there is one.
    ///
    /// # Errors
    /// When the token is none.
    pub fn new(path: &str, token: Option<&str>, message: &impl Message) -> Result<Self> {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut frame)?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("grpc-timeout", HeaderValue::from_static("5S"));
        if let Some(token) = token {
            headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}"))?);
        }
        Ok(Self { path: path.to_owned(), headers, frame: frame.freeze() })
    }
}

/// A connection, shared by those who call over it at once.
#[derive(Clone, Debug)]
pub struct Connection {
    sender: SendRequest<Bytes>,
    unary: Unary,
}

impl Connection {
    /// Connects without TLS.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn plain(address: SocketAddr, unary: Unary) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream, unary).await
    }

    /// Connects as a workload to the workload `expected`.
    ///
    /// # Errors
    /// When nobody listens, or it is somebody else.
    pub async fn mutual(address: SocketAddr, tls: &Tls, expected: &SpiffeId, unary: Unary) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(tls.client_config(expected));
        Self::over(connector.connect(ServerName::from(address.ip()), stream).await?, unary).await
    }

    async fn over<S>(stream: S, unary: Unary) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(stream).await?;
        tokio::spawn(async move {
            // Its end shows in the calls.
            let _ = connection.await;
        });
        Ok(Self { sender, unary })
    }

    /// Makes the call.
    ///
    /// # Errors
    /// When the connection breaks or the status is not OK.
    pub async fn call(&mut self) -> Result<()> {
        let mut request = Request::post(format!("http://bench{}", self.unary.path)).body(())?;
        *request.headers_mut() = self.unary.headers.clone();
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut body) = sender.send_request(request, false)?;
        body.send_data(self.unary.frame.clone(), true)?;
        let response = response.await?;
        if let Some(status) = response.headers().get("grpc-status").filter(|status| *status != "0") {
            return Err(format!("grpc-status {status:?}").into());
        }
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let length = data?.len();
            body.flow_control().release_capacity(length)?;
        }
        let trailers = poll_fn(|cx| body.poll_trailers(cx)).await?;
        match trailers.as_ref().and_then(|trailers| trailers.get("grpc-status")) {
            Some(status) if status == "0" => Ok(()),
            other => Err(format!("grpc-status {other:?}").into()),
        }
    }
}
