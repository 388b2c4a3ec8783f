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

/// How a body that comes in chunks ends, none of which has such an end in it.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// A connection that sends one request again and again, or one after the other.
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

    /// Sends this from now on.
    pub fn set(&mut self, request: Bytes) {
        self.request = request;
    }

    /// Sends the request and reads the whole answer; its body, with what is between its chunks. A status that is no success is
    /// an error.
    ///
    /// # Errors
    /// When the connection breaks or the answer is no success; the next call connects again.
    pub async fn call(&mut self) -> Result<&[u8]> {
        self.send().await?;
        self.finish().await
    }

    /// Sends the request and reads its answer up to this text.
    ///
    /// # Errors
    /// As of [`Self::call`], and when the answer ends without it.
    pub async fn begin(&mut self, text: &[u8]) -> Result<()> {
        self.send().await?;
        self.read_to(Some(text)).await.map(|_| ())
    }

    /// Reads what is still to come of an answer; its body.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn finish(&mut self) -> Result<&[u8]> {
        let body = self.read_to(None).await?;
        Ok(self.read.get(body..).unwrap_or_default())
    }

    async fn send(&mut self) -> Result<()> {
        if self.stream.is_none() {
            self.connect().await?;
        }
        self.read.clear();
        let sent = self.stream.as_mut().ok_or("not connected")?.write_all(&self.request).await;
        Ok(sent.inspect_err(|_| self.stream = None)?)
    }

    /// Where the body begins, once it has the text in it or is whole.
    async fn read_to(&mut self, text: Option<&[u8]>) -> Result<usize> {
        loop {
            match reached(&self.read, text) {
                Ok(Some(body)) => return Ok(body),
                Ok(None) => {}
                Err(error) => {
                    self.stream = None;
                    return Err(error);
                }
            }
            let stream = self.stream.as_mut().ok_or("not connected")?;
            if !matches!(stream.read_buf(&mut self.read).await, Ok(1..)) {
                self.stream = None;
                return Err("the connection ended".into());
            }
        }
    }
}

/// Where the body begins, if it has the text in it, or, without a text, is whole.
fn reached(read: &[u8], text: Option<&[u8]>) -> Result<Option<usize>> {
    let Some((begin, length)) = head(read)? else { return Ok(None) };
    let body = read.get(begin..).unwrap_or_default();
    let is_whole = length.map_or_else(|| body.ends_with(LAST_CHUNK), |length| body.len() >= length);
    match text {
        None if is_whole => Ok(Some(begin)),
        Some(text) if body.windows(text.len()).any(|w| w == text) => Ok(Some(begin)),
        Some(_) if is_whole => Err("the answer has not in it what was waited for".into()),
        _ if read.len() > MOST => Err("the answer is too long".into()),
        _ => Ok(None),
    }
}

/// Where the body begins and how long it is, once the head is whole; no length of one that comes in chunks.
fn head(read: &[u8]) -> Result<Option<(usize, Option<usize>)>, Error> {
    let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 2") {
        return Err(format!("answered {status}").into());
    }
    let length = lines.find_map(|line| match line.split_once(':')? {
        (name, _) if name.eq_ignore_ascii_case("transfer-encoding") => Some(Ok(None)),
        (name, value) if name.eq_ignore_ascii_case("content-length") => Some(value.trim().parse().map(Some)),
        _ => None,
    });
    Ok(Some((end + 4, length.ok_or("neither Content-Length nor chunks")??)))
}

/// A `GET`.
#[must_use]
pub fn get(path: &str) -> Bytes {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into()
}

/// A `POST` of JSON, with a bearer token if there is one.
#[must_use]
pub fn post(path: &str, token: Option<&str>, body: &str) -> Bytes {
    post_with("", path, token, body)
}

/// As [`post`], with more headers, each with its line break.
#[must_use]
pub fn post_with(headers: &str, path: &str, token: Option<&str>, body: &str) -> Bytes {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{headers}{token}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}
