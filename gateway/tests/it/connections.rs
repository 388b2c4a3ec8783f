//! Connections: silent, slow and many, and how they end.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::world::{ALL_SCOPES, World, send};

const LIMIT: Duration = Duration::from_secs(10);

async fn open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// What comes until the other side ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end as well.
    let _ = timeout(LIMIT, stream.read_to_end(&mut all)).await.expect("the connection ends");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_half_connections_are_cut_and_others_are_served() {
    let world = World::with(|config| config.listener.header_timeout = Duration::from_secs(1)).await;
    let mut silent = Vec::new();
    for bytes in [&b""[..], b"GET /info HT", b"PRI * HTTP/2.0\r\n\r\nSM", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        for _ in 0..25 {
            silent.push(open(world.address, bytes).await);
        }
    }
    for _ in 0..10 {
        assert_eq!(send(world.request("GET", "/info")).await.status, 200);
    }
    for stream in silent {
        rest(stream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let world = World::with(|config| {
        config.listener.max_connections = 2;
        config.listener.header_timeout = Duration::from_secs(1);
    })
    .await;
    let held = [open(world.address, b"").await, open(world.address, b"").await];
    let reply = timeout(LIMIT, send(world.request("GET", "/info"))).await.unwrap();
    assert_eq!(reply.status, 200, "served when the silent ones were cut");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http_is_a_400_and_nothing_follows_it() {
    let world = World::start().await;
    let cases: [&[u8]; 6] = [
        b"GET /info HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nGET /version HTTP/1.1\r\n\r\n",
        b"GET /info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nGET /version HTTP/1.1\r\n\r\n",
        b"GET /info HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /info HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n",
        b"GET /in\0fo HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
    ];
    for case in cases {
        let answer = rest(open(world.address, case).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{:?}: {answer}", String::from_utf8_lossy(case));
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_behind_a_doubtful_length() {
    let world = World::start().await;
    let second = "GET /version HTTP/1.1\r\nHost: a\r\n\r\n";
    for lengths in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let head = "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json";
        let request = format!("{head}\r\n{lengths}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{second}");
        let answer = rest(open(world.address, request.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "the second request is not served: {answer}");
    }
    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        let request = format!("GET /info HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = rest(open(world.address, request.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("HOST_INVALID"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_lets_requests_finish_and_silent_peers_hold_nothing() {
    let world = World::start().await;
    let silent: Vec<_> = [open(world.address, b"").await, open(world.address, b"GET /inf").await].into();
    let body = serde_json::json!({"email": "slow@example.com", "password": "correct horse"});
    let request = world.request("POST", "/v1/auth/register").json(&body);
    let in_flight = tokio::spawn(send(request));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (address, mesh) = (world.address, world.mesh);
    let outcome = timeout(LIMIT, mesh.stop()).await.expect("the drain is bounded");
    assert!(!outcome.is_failure(), "{outcome:?}");
    assert_eq!(in_flight.await.unwrap().status, 201);
    assert!(TcpStream::connect(address).await.is_err(), "the listener is gone");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_without_tls_is_spoken_too() {
    let world = World::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client.get(format!("http://{}/info", world.address)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_the_same_port_speaks_tls_and_promises_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = mesh_testkit::TestMesh::start().unwrap();
    let issued = authority.issue("gateway", Duration::from_secs(3600)).unwrap();
    issued.write(folder.path(), "tls").unwrap();
    let world = World::with(|config| config.tls_dir = Some(folder.path().to_owned())).await;
    let ca = reqwest::Certificate::from_pem(issued.ca_pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let response =
        client.get(format!("https://localhost:{}/info", world.address.port())).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    assert!(response.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    let plain = rest(open(world.address, b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n").await).await;
    assert!(!plain.contains("200"), "no plain text on a TLS port");
}

/// A frame of HTTP/2 (RFC 9113 §4.1) on the first stream or, for SETTINGS, on none.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = u8::from(kind != 4);
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Preface, a window of no bytes for each stream, and `GET /openapi.json`.
fn shut_window() -> Vec<u8> {
    let settings = frame(4, 0, &[0, 4, 0, 0, 0, 0]);
    let headers = [&[0x82, 0x86, 0x04, 13][..], b"/openapi.json", &[0x41, 1], b"a"].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &frame(1, 5, &headers)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_stays_shut_is_cut_like_a_peer_that_does_not_read() {
    let world = World::with(|config| config.listener.unread_timeout = Duration::from_secs(1)).await;
    let got = rest(open(world.address, &shut_window()).await).await;
    assert!(got.contains("x-request-id") || got.len() > 100, "the headers of the answer came: {got:?}");
}

/// The answer of 2 MB to a batch, read slowly while the process drains.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_its_way_is_not_cut_by_a_drain() {
    let world = World::start().await;
    let texts: Vec<_> = (0..250).map(|_| "good ".repeat(1_700)).collect();
    let body = json!({"texts": texts, "explain": true}).to_string();
    let head = format!(
        "POST /v1/sentiment/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer \
         {}\r\nContent-Length: {}\r\n\r\n",
        world.token(ALL_SCOPES),
        body.len()
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(world.address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut got = vec![0; 1024];
    stream.read_exact(&mut got).await.unwrap();
    let stopped = tokio::spawn(world.mesh.stop());
    let mut piece = vec![0; 64 * 1024];
    loop {
        // Slower than the watch judges silent peers.
        tokio::time::sleep(Duration::from_millis(100)).await;
        match timeout(LIMIT, stream.read(&mut piece)).await.unwrap().unwrap() {
            0 => break,
            n => got.extend_from_slice(&piece[..n]),
        }
    }
    let text = String::from_utf8(got).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), body.len(), "all of it came");
    assert!(body.len() > 2_000_000);
    assert!(!timeout(LIMIT, stopped).await.unwrap().unwrap().is_failure());
}
