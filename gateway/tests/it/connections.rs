//! Connections: silent, slow and many, and how they end.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::world::{World, send};

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

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Preface, the window of each stream, and a `GET`.
fn http2_get(window: u32, path: &str) -> Vec<u8> {
    let settings = frame(4, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat());
    let length = u8::try_from(path.len()).unwrap();
    let headers = [&[0x82, 0x86, 0x04, length][..], path.as_bytes(), &[0x41, 1], b"a"].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &frame(1, 5, 1, &headers)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_stays_shut_is_cut_like_a_peer_that_does_not_read() {
    let world = World::with(|config| config.listener.unread_timeout = Duration::from_secs(1)).await;
    let got = rest(open(world.address, &http2_get(0, "/openapi.json")).await).await;
    assert!(got.len() > 100, "the headers of the answer came: {got:?}");
}

/// Reads the body of the first stream and opens the window again after each pause.
async fn read_slowly(mut stream: TcpStream) -> usize {
    let (mut body, mut unacknowledged) = (0, 0);
    loop {
        let mut head = [0; 9];
        timeout(LIMIT, stream.read_exact(&mut head)).await.unwrap().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        timeout(LIMIT, stream.read_exact(&mut payload)).await.unwrap().unwrap();
        let (kind, flags) = (head[3], head[4]);
        if kind != 0 {
            continue;
        }
        (body, unacknowledged) = (body + payload.len(), unacknowledged + length);
        if flags & 1 == 1 {
            return body;
        }
        if unacknowledged >= 32 * 1024 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            let more = unacknowledged.to_be_bytes();
            stream.write_all(&[frame(8, 0, 0, &more), frame(8, 0, 1, &more)].concat()).await.unwrap();
            unacknowledged = 0;
        }
    }
}

/// Longer under way than silent peers are given at the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_its_way_is_not_cut_by_a_drain() {
    let world = World::start().await;
    let path = "/docs/swagger-ui-bundle.js";
    let whole = send(world.request("GET", path)).await.text.len();
    assert!(whole > 1_000_000);
    let stream = open(world.address, &http2_get(65_535, path)).await;
    let mut begun = [0; 9];
    timeout(LIMIT, stream.peek(&mut begun)).await.unwrap().unwrap();
    let reading = tokio::spawn(read_slowly(stream));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopped = timeout(LIMIT, world.mesh.stop()).await.unwrap();
    assert_eq!(reading.await.unwrap(), whole, "all of it came");
    assert!(!stopped.is_failure(), "{stopped:?}");
}
