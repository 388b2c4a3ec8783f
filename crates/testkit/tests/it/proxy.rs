//! Each fault of the proxy, as its victims see it.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_testkit::{Fault, FaultProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    addr
}

async fn start() -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let stream = TcpStream::connect(proxy.addr()).await.unwrap();
    (proxy, stream)
}

async fn round_trip(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn without_a_fault_bytes_go_through() {
    let (proxy, mut stream) = start().await;
    assert_eq!(round_trip(&mut stream, b"hello").await.unwrap(), b"hello");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn latency_delays_and_loses_nothing() {
    let (proxy, mut stream) = start().await;
    proxy.set(Fault::Latency(Duration::from_millis(100)));
    assert!(timeout(Duration::from_millis(50), round_trip(&mut stream, b"hello")).await.is_err());
    let mut back = [0; 5];
    timeout(LIMIT, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"hello");
}

#[tokio::test]
async fn a_reset_ends_open_connections_with_an_error() {
    let (proxy, mut stream) = start().await;
    round_trip(&mut stream, b"hello").await.unwrap();
    proxy.set(Fault::Reset);
    let read = timeout(LIMIT, stream.read(&mut [0; 8])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
    assert!(timeout(LIMIT, round_trip(&mut next, b"hello")).await.unwrap().is_err());
}

#[tokio::test]
async fn a_black_hole_swallows_and_stays_open_until_it_closes() {
    let (proxy, mut stream) = start().await;
    proxy.set(Fault::BlackHole);
    assert!(timeout(Duration::from_millis(200), round_trip(&mut stream, b"lost")).await.is_err());
    proxy.set(Fault::None);
    assert_eq!(timeout(LIMIT, round_trip(&mut stream, b"found")).await.unwrap().unwrap(), b"found");
}

#[tokio::test]
async fn a_cut_lets_exactly_so_many_bytes_of_the_answer_through() {
    let (proxy, mut stream) = start().await;
    proxy.set(Fault::CutAfter(3));
    stream.write_all(b"hello").await.unwrap();
    let mut back = Vec::new();
    let end = timeout(LIMIT, stream.read_to_end(&mut back)).await.unwrap();
    assert!(end.is_err());
    assert!(back.len() <= 3, "{back:?}");
}
