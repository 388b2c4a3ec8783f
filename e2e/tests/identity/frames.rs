//! HTTP/2 written by hand, for headers that no client library would send.

use std::{net::SocketAddr, sync::Arc};

use mesh_error::BoxError;
use quipu_e2e::LIMIT;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A message: a handler was reached.
    Message,
    /// Headers with this status and nothing else.
    Bare(u16),
    /// The stream was reset.
    Reset,
    /// The connection was ended, with GOAWAY or without.
    Closed,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A TLS connection, whatever protocol it agreed on.
pub(crate) async fn tls(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
) -> Result<TlsStream<TcpStream>, BoxError> {
    let tcp = TcpStream::connect(address).await?;
    let name = rustls::pki_types::ServerName::from(address.ip());
    Ok(timeout(LIMIT, TlsConnector::from(config).connect(name, tcp)).await??)
}

/// Sends one request of these header fields and this body on a connection of its own.
pub(crate) async fn exchange(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
    fields: &[(&[u8], &[u8])],
    body: &[u8],
) -> Outcome {
    let exchanged = async {
        let mut stream = tls(address, config).await?;
        let mut block = Vec::new();
        for (name, value) in fields {
            // A literal without indexing, with a new name, without Huffman coding.
            block.push(0);
            text(&mut block, name);
            text(&mut block, value);
        }
        stream.write_all(PREFACE).await?;
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block)).await?;
        stream.write_all(&frame(DATA, END_STREAM, 1, body)).await?;
        stream.flush().await?;
        answer(&mut stream).await
    };
    match timeout(LIMIT, exchanged).await {
        Ok(outcome) => outcome.unwrap_or(Outcome::Closed),
        Err(_) => panic!("neither an answer nor an end"),
    }
}

/// Reads to the first frame that decides.
async fn answer(stream: &mut TlsStream<TcpStream>) -> Result<Outcome, BoxError> {
    let mut status = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (DATA, _) if !payload.is_empty() => return Ok(Outcome::Message),
            (HEADERS, flags) => {
                if status == 0 {
                    status = decode_status(&payload);
                }
                if flags & END_STREAM != 0 {
                    return Ok(Outcome::Bare(status));
                }
            }
            (DATA, flags) if flags & END_STREAM != 0 => return Ok(Outcome::Bare(status)),
            (RST_STREAM, _) => return Ok(Outcome::Reset),
            (GOAWAY, _) => return Ok(Outcome::Closed),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A text of HPACK, without Huffman coding.
fn text(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend_from_slice(text);
}

/// `:status`, which comes first: an entry of the static table, or a literal with that name.
fn decode_status(block: &[u8]) -> u16 {
    const TABLE: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [first @ 0x88..=0x8e, ..] => TABLE[usize::from(first - 0x88)],
        [0x08 | 0x18 | 0x48, length, rest @ ..] => {
            let value = &rest[..usize::from(length & 0x7f)];
            if length & 0x80 == 0 { digits(value) } else { huffman(value) }
        }
        other => panic!("no status first: {other:?}"),
    }
}

fn digits(text: &[u8]) -> u16 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Digits in HPACK's code: five bits for 0 to 2, six for the others.
fn huffman(text: &[u8]) -> u16 {
    let bits: Vec<u8> = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u16, |all, bit| all << 1 | u16::from(*bit));
    let (mut at, mut status) = (0, 0);
    while at + 5 <= bits.len() && number(&bits[at..at + 5]) < 31 {
        let five = number(&bits[at..at + 5]);
        let (digit, width) = if five < 3 { (five, 5) } else { (number(&bits[at..at + 6]) - 0x16, 6) };
        (status, at) = (status * 10 + digit, at + width);
    }
    status
}
