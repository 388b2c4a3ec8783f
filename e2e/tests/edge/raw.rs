//! Bytes over a socket exactly as they are, and the answers to them.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long the first answer may take.
const FIRST: Duration = Duration::from_secs(4);

/// How long an open connection is listened to after an answer.
const QUIET: Duration = Duration::from_millis(400);

/// One answer of HTTP/1.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header as text, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// All that came over one connection.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Final answers, in their order.
    pub(crate) replies: Vec<Reply>,
    /// What came besides.
    pub(crate) rest: Vec<u8>,
    /// Whether the server ended the connection.
    pub(crate) closed: bool,
}

impl Heard {
    /// The statuses.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.replies.iter().map(|r| r.status).collect()
    }
}

/// Sends all of it on a new connection and listens until it is closed or quiet.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> Heard {
    let (bytes, closed) = exchange(address, bytes).await;
    let (replies, rest) = replies(&bytes);
    Heard { replies, rest, closed }
}

/// As [`say`], without reading HTTP/1 out of it.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.split();
    let sending = async {
        // The server may have closed after the first bad byte.
        let _ = to.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let mut heard = Vec::new();
    let hearing = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let wait = if heard.is_empty() { FIRST } else { QUIET };
            match timeout(wait, from.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(n)) => heard.extend_from_slice(&buffer[..n]),
                Err(_) => return false,
            }
        }
    };
    let closed = tokio::select! {
        () = sending => false,
        closed = hearing => closed,
    };
    (heard, closed)
}

fn replies(mut bytes: &[u8]) -> (Vec<Reply>, Vec<u8>) {
    let mut all = Vec::new();
    while let Some((reply, used)) = reply(bytes) {
        bytes = &bytes[used..];
        if reply.status >= 200 {
            all.push(reply);
        }
    }
    (all, bytes.to_vec())
}

fn reply(bytes: &[u8]) -> Option<(Reply, usize)> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = bytes.get(end..end + length).unwrap_or_default().to_vec();
    Some((Reply { status, headers, body }, (end + length).min(bytes.len())))
}
