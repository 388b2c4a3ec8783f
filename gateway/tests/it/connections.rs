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
