//! Abuse of HTTP/2 by a peer with a sound certificate, frame by frame.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh_resilience::Admission;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::Code;

use crate::support::{ANALYZE, Fixture, LIMIT, secure, tell};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A literal field that no table remembers.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127);
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The header block of a call whose body is still to come.
fn call() -> Vec<u8> {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", ANALYZE),
        (":authority", "sentiment"),
        ("content-type", "application/grpc"),
    ]
    .into_iter()
    .flat_map(|(name, value)| field(name, value))
    .collect()
}

/// The code of the GOAWAY that the server sends, or `None` when it just closes. Fails when it does neither.
async fn goodbye(mut stream: TlsStream<TcpStream>) -> Option<u32> {
    tokio::time::timeout(LIMIT, async {
        let mut seen = None;
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return seen;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if stream.read_exact(&mut payload).await.is_err() {
                return seen;
            }
            if head[3] == GOAWAY {
                seen = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            }
        }
    })
    .await
    .unwrap()
}

/// Sends `frames` over and over, in writes of many, until the server has had enough.
async fn abuse(fixture: &Fixture, mut frames: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut stream = secure(fixture.addr, fixture.tls_of("operator")).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    for batch in 0..200 {
        let bytes: Vec<u8> = (0..100).flat_map(|n| frames(2 * (batch * 100 + n) + 1)).collect();
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = stream.flush().await;
    goodbye(stream).await
}

async fn an_honest_caller_is_served(fixture: &Fixture) {
    let mut client = fixture.client("operator").await;
    tokio::time::timeout(LIMIT, tell(&mut client, "hello")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_makes_the_server_reset_is_cut() {
    let fixture = Fixture::start().await;
    let overflow = 0x7fff_ffff_u32.to_be_bytes();
    let end = abuse(&fixture, |stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &call());
        bytes.extend(frame(WINDOW_UPDATE, 0, stream, &overflow));
        bytes
    })
    .await;
    assert_eq!(end, Some(ENHANCE_YOUR_CALM));
    an_honest_caller_is_served(&fixture).await;
}

#[tokio::test]
async fn a_peer_that_opens_and_resets_is_cut() {
    let fixture = Fixture::start().await;
    let cancel = 8_u32.to_be_bytes();
    let end = abuse(&fixture, |stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &call());
        bytes.extend(frame(RST_STREAM, 0, stream, &cancel));
        bytes
    })
    .await;
    assert_eq!(end, Some(ENHANCE_YOUR_CALM));
    an_honest_caller_is_served(&fixture).await;
}

#[tokio::test]
async fn a_header_without_end_is_cut() {
    let fixture = Fixture::start().await;
    let filler = vec![0; 16];
    let mut begun = false;
    let end = abuse(&fixture, |_| {
        let kind = if std::mem::replace(&mut begun, true) { CONTINUATION } else { HEADERS };
        let block =
            if kind == HEADERS { call() } else { field("x-filler", std::str::from_utf8(&filler).unwrap()) };
        frame(kind, 0, 1, &block)
    })
    .await;
    assert!(end.is_some());
    an_honest_caller_is_served(&fixture).await;
}

#[tokio::test]
async fn a_flood_of_pings_does_not_starve_the_others() {
    let fixture = Fixture::start().await;
    let flood = async {
        let mut stream = secure(fixture.addr, fixture.tls_of("operator")).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        // Nobody reads the answers: the server must not keep them without bound, so it stops reading.
        let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);
        let flood = async { while stream.write_all(&pings).await.is_ok() {} };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), flood).await;
    };
    tokio::join!(flood, an_honest_caller_is_served(&fixture));
}

#[tokio::test]
async fn calls_whose_answers_nobody_lets_out_hold_no_place_after_their_deadline() {
    const PLACES: usize = 4;
    let fixture = Fixture::limited(|limits| {
        limits.admission = Admission {
            concurrency: PLACES,
            queue: 0,
            wait: Duration::from_millis(10),
            ..Admission::default()
        };
    })
    .await;
    let mut stream = secure(fixture.addr, fixture.tls_of("operator")).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    // No window for any stream, and never an update.
    stream.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    let headers: Vec<u8> = [call(), field("grpc-timeout", "3S")].concat();
    for n in 0..50 {
        stream.write_all(&frame(HEADERS, END_HEADERS, 2 * n + 1, &headers)).await.unwrap();
        stream.write_all(&frame(DATA, END_STREAM, 2 * n + 1, &[0; 5])).await.unwrap();
    }
    stream.flush().await.unwrap();
    while fixture.seen.ended.load(Ordering::SeqCst) < PLACES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut client = fixture.client("operator").await;
    let refused = tell(&mut client, "hello").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "the answers that are held back take the places");
    let served = async { while tell(&mut client, "hello").await.is_err() {} };
    tokio::time::timeout(LIMIT, served).await.unwrap();
    drop(stream);
}
