//! HTTP/1.1 as cheap as it gets: the same bytes again and again over one connection, so that the generator takes little of the
//! machine that it shares with its target.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Error, Result};

/// The largest answer that is read.
const MOST: usize = 64 * 1024;

/// A connection that sends one request again and again.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    request: Bytes,
    stream: Option<TcpStream>,
    read: Vec<u8>,
}

impl Connection {
    /// Connects with the first call.
    #[must_use]
    pub fn to(address: SocketAddr, request: Bytes) -> Self {
        Self { address, request, stream: None, read: Vec::with_capacity(4096) }
    }

    /// Connects now.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(&mut self) -> Result<()> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Sends the request and reads the whole answer; its body. A status that is no success is an error.
    ///
    /// # Errors
    /// When the connection breaks or the answer is no success; the next call connects again.
    pub async fn call(&mut self) -> Result<&[u8]> {
        match self.exchange().await {
            Ok(body) => Ok(self.read.get(body..).unwrap_or_default()),
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// Where the body begins.
    async fn exchange(&mut self) -> Result<usize> {
        if self.stream.is_none() {
            self.connect().await?;
        }
        let stream = self.stream.as_mut().ok_or("not connected")?;
        stream.write_all(&self.request).await?;
        self.read.clear();
        loop {
            if stream.read_buf(&mut self.read).await? == 0 {
                return Err("the connection ended".into());
            }
            if let Some((body, length)) = head(&self.read)?
                && self.read.len() >= body + length
            {
                return Ok(body);
            }
            if self.read.len() > MOST {
                return Err("the answer is too long".into());
            }
        }
    }
}

/// Where the body begins and how long it is, once the head is whole.
fn head(read: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 2") {
        return Err(format!("answered {status}").into());
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Some((end + 4, length.ok_or("no Content-Length")?)))
}

/// A `GET`.
#[must_use]
pub fn get(path: &str) -> Bytes {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into()
}

/// A `POST` of JSON, with a bearer token if there is one.
#[must_use]
pub fn post(path: &str, token: Option<&str>, body: &str) -> Bytes {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{token}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}
