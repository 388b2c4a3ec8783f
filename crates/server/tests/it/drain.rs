//! The drain: calls in flight finish, and nobody can hold it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mesh_lifecycle::{Drain, Outcome};
use mesh_proto::sentiment::v1::AnalyzeStreamRequest;
use mesh_server::Limits;
use mesh_testkit::TestMesh;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Fixture, LIMIT, client, secure, tell};

/// Limits so long that only the drain itself can end anything.
async fn patient() -> Fixture {
    let drain =
        Drain { endpoints: Duration::ZERO, in_flight: Duration::from_secs(3), flush: Duration::from_secs(1) };
    let limits = Limits { handshake: Duration::from_secs(600), ..Limits::default() };
    Fixture::with(TestMesh::with_drain(drain).unwrap(), limits).await
}

/// The beginning of a TLS record that never comes to its end.
const HALF_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
/// The HTTP/2 preface and empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn calls_in_flight_finish_and_silent_peers_hold_nothing() {
    let fixture = patient().await;
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    for n in 0..70 {
        let mut socket = TcpStream::connect(fixture.addr).await.unwrap();
        if n >= 50 {
            socket.write_all(HALF_HELLO).await.unwrap();
        }
        sockets.push(socket);
    }
    for n in 0..25 {
        let mut stream = secure(fixture.addr, fixture.tls_of("operator")).await.unwrap();
        if n >= 5 {
            stream.write_all(PREFACE).await.unwrap();
            let mut settings = [0; 9];
            stream.read_exact(&mut settings).await.unwrap();
        }
        streams.push(stream);
    }
    let mut busy = fixture.client("operator").await;
    let call = tokio::spawn(async move { tell(&mut busy, "sleep 1500").await });
    while fixture.begun() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Clean: everything ended by itself, within the limit for calls in flight, although the peers never said a word.
    assert_eq!(fixture.stop().await, Outcome::Clean);
    call.await.unwrap().unwrap();
    drop((sockets, streams));
}

#[tokio::test]
async fn an_open_stream_is_cut_at_the_limit_and_never_ends_as_a_success() {
    let fixture = patient().await;
    let mut client = fixture.client("operator").await;
    let endless = stream::iter([AnalyzeStreamRequest::default()]).chain(stream::pending());
    let mut answers = client.analyze_stream(endless).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let outcome = tokio::spawn(fixture.stop());
    assert!(answers.message().await.is_err());
    assert_eq!(outcome.await.unwrap(), Outcome::Cut);
}

#[tokio::test]
async fn a_draining_server_still_serves_until_it_closes() {
    let drain = Drain { endpoints: Duration::from_millis(1500), ..Drain::default() };
    let fixture = Fixture::with(TestMesh::with_drain(drain).unwrap(), Limits::default()).await;
    let lifecycle = fixture.lifecycle().clone();
    let mut early = fixture.client("operator").await;
    let tls = fixture.tls_of("operator");
    let addr = fixture.addr;
    let stopping = tokio::spawn(fixture.stop());
    lifecycle.draining().await;
    assert!(!lifecycle.readiness().is_ready());
    tell(&mut early, "hello").await.unwrap();
    // New connections too: somebody has not noticed yet.
    let late = crate::support::Wire::connect(addr, tls).await.unwrap();
    tell(&mut client(late), "hello").await.unwrap();
    assert_eq!(stopping.await.unwrap(), Outcome::Clean);
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn after_the_goodbye_new_calls_are_refused_and_nothing_hangs() {
    let fixture = patient().await;
    let lifecycle = fixture.lifecycle().clone();
    let wire = fixture.connect("operator").await;
    let mut busy = client(wire.clone());
    let call = tokio::spawn(async move { tell(&mut busy, "sleep 1000").await });
    while fixture.begun() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seen = Arc::clone(&fixture.seen);
    let stopping = tokio::spawn(fixture.stop());
    lifecycle.closing().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let late = tokio::time::timeout(LIMIT, tell(&mut client(wire), "hello")).await.unwrap();
    assert!(late.is_err());
    assert_eq!(seen.ended.load(Ordering::SeqCst), 0, "the call is still in flight");
    call.await.unwrap().unwrap();
    assert_eq!(stopping.await.unwrap(), Outcome::Clean);
    assert_eq!(seen.begun.load(Ordering::SeqCst), 1, "the late call did not get as far as the service");
}
