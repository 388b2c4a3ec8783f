//! The limits of a connection and of a message.

use std::time::Duration;

use mesh_client::Endpoints;
use mesh_error::{Error, Kind};
use mesh_proto::sentiment::v1::AnalyzeBatchRequest;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentServiceServer;
use mesh_server::Server;
use mesh_testkit::TestMesh;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::service::Obedient;
use crate::support::{Fixture, LIMIT, Wire, client, secure, tell, tell_with};

#[tokio::test]
async fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let fixture = Fixture::limited(|limits| limits.message = 1024).await;
    let mut client = fixture.client("operator").await;
    // Two bytes of length and one of the tag go before the text.
    tell(&mut client, &"x".repeat(1024 - 3)).await.unwrap();
    let status = tell(&mut client, &"x".repeat(1024 - 2)).await.unwrap_err();
    let error = Error::from_status(&status);
    assert_eq!(
        (error.kind(), error.metadata().get("limit_bytes").map(String::as_str)),
        (Kind::TooLarge, Some("1024"))
    );
    assert_eq!(fixture.begun(), 1);
}

#[tokio::test]
async fn a_service_may_have_another_limit() {
    let mesh = TestMesh::start().unwrap();
    let view = mesh.mesh_as("sentiment", Endpoints::new()).unwrap();
    let bound = Server::new("sentiment", &view, mesh.lifecycle())
        .verifier(mesh.mint().verifier())
        .service_with_limit(SentimentServiceServer::new(Obedient::default()), 4 * 1024 * 1024)
        .bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let addr = bound.local_addr();
    mesh.lifecycle().spawn("server", bound.serve());
    let config = mesh.tls("operator").unwrap().client_config(&mesh.id("sentiment").unwrap());
    let mut client = client(Wire::connect(addr, config).await.unwrap());
    let texts = vec!["x".repeat(10_000); 256];
    let response =
        client.analyze_batch(AnalyzeBatchRequest { texts, ..AnalyzeBatchRequest::default() }).await.unwrap();
    assert_eq!(response.into_inner().model.unwrap().name, "2560000");
}

#[tokio::test]
async fn header_fields_are_bounded() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    for (bytes, served) in [(8 * 1024, true), (17 * 1024, false)] {
        let sent = tell_with(&mut client, "hello", |request| {
            request.metadata_mut().insert("x-filler", "x".repeat(bytes).parse().unwrap());
        });
        assert_eq!(sent.await.is_ok(), served, "{bytes}");
    }
}

#[tokio::test]
async fn one_connection_has_at_most_so_many_calls_at_once() {
    let fixture = Fixture::limited(|limits| limits.streams = 4).await;
    let wire = fixture.connect("operator").await;
    // From its first answer on the peer knows the limit and queues; before, the excess would be refused.
    tell(&mut client(wire.clone()), "hello").await.unwrap();
    let calls = (0..12).map(|_| {
        let mut client = client(wire.clone());
        async move { tell(&mut client, "sleep 200").await }
    });
    let peak = async {
        let mut peak = 0;
        for _ in 0..50 {
            let running = fixture.begun() - fixture.seen.ended.load(std::sync::atomic::Ordering::SeqCst);
            peak = peak.max(running);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        peak
    };
    let (results, peak) = tokio::join!(futures::future::join_all(calls), peak);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(peak, 4);
}

/// Whether the server closes the stream by itself.
async fn is_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut buffer = [0; 1024];
    tokio::time::timeout(LIMIT, async {
        // What the server says first (its SETTINGS) is read over.
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    })
    .await
    .is_ok()
}

#[tokio::test]
async fn who_does_not_shake_hands_in_time_is_closed() {
    let fixture = Fixture::limited(|limits| limits.handshake = Duration::from_millis(200)).await;
    let mut silent = TcpStream::connect(fixture.addr).await.unwrap();
    assert!(is_closed(&mut silent).await);
}

#[tokio::test]
async fn who_says_nothing_after_the_handshake_is_closed() {
    let fixture = Fixture::limited(|limits| limits.handshake = Duration::from_millis(1500)).await;
    let mut silent = secure(fixture.addr, fixture.tls_of("operator")).await.unwrap();
    assert!(is_closed(&mut silent).await);
    // Who speaks is not.
    let mut client = fixture.client("operator").await;
    tell(&mut client, "sleep 2500").await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let fixture = Fixture::limited(|limits| limits.connections = 2).await;
    let mut first = fixture.client("operator").await;
    let _second = TcpStream::connect(fixture.addr).await.unwrap();
    tell(&mut first, "hello").await.unwrap();
    let mut third = TcpStream::connect(fixture.addr).await.unwrap();
    assert!(is_closed(&mut third).await);
    tell(&mut first, "hello").await.unwrap();
}

#[tokio::test]
async fn rubbish_instead_of_tls_harms_nobody() {
    use tokio::io::AsyncWriteExt;
    let fixture = Fixture::start().await;
    for _ in 0..20 {
        let mut rubbish = TcpStream::connect(fixture.addr).await.unwrap();
        rubbish.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(is_closed(&mut rubbish).await);
    }
    tell(&mut fixture.client("operator").await, "hello").await.unwrap();
}
