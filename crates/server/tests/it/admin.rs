//! The admin port: four routes, and no way to hold it.

use std::net::SocketAddr;

use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use mesh_server::Admin;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::LIMIT;

async fn start() -> (Lifecycle, SocketAddr) {
    let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap(), &lifecycle, "1.2.3").await.unwrap();
    let addr = admin.local_addr();
    lifecycle.spawn("admin", admin.serve());
    (lifecycle, addr)
}

async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    ask(Method::GET, addr, path).await
}

async fn ask(method: Method, addr: SocketAddr, path: &str) -> (u16, String) {
    let response =
        reqwest::Client::new().request(method, format!("http://{addr}{path}")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn readiness_is_told_with_its_reasons() {
    let (lifecycle, addr) = start().await;
    let gate = lifecycle.readiness().gate("database");
    gate.close("connection refused");
    let (status, body) = get(addr, "/readyz").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["ready"], &body["gates"]["database"]),
        (503, &false.into(), &"connection refused".into())
    );
    gate.open();
    assert_eq!(get(addr, "/readyz").await.0, 200);
    assert_eq!(get(addr, "/healthz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn it_serves_four_routes_and_nothing_else() {
    let (_lifecycle, addr) = start().await;
    let version: Value = serde_json::from_str(&get(addr, "/version").await.1).unwrap();
    assert_eq!(version["version"], "1.2.3");
    assert_eq!(get(addr, "/metrics").await.0, 200);
    for path in
        ["/", "/quipu.sentiment.v1.SentimentService/Analyze", "/metrics/", "/healthz/x", "/../healthz2"]
    {
        assert_eq!(get(addr, path).await.0, 404, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        assert_eq!(ask(method.clone(), addr, "/healthz").await.0, 405, "{method}");
    }
    let (status, body) = ask(Method::HEAD, addr, "/healthz").await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut() {
    let (_lifecycle, addr) = start().await;
    let mut slow = TcpStream::connect(addr).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, slow.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn headers_are_bounded() {
    let (_lifecycle, addr) = start().await;
    let filler = "x".repeat(16 * 1024);
    let response =
        reqwest::Client::new().get(format!("http://{addr}/healthz")).header("x-filler", filler).send().await;
    assert!(response.is_err() || response.unwrap().status().is_client_error());
    assert_eq!(get(addr, "/healthz").await.0, 200);
}

#[tokio::test]
async fn it_answers_during_the_drain_without_holding_it() {
    let (lifecycle, addr) = start().await;
    lifecycle.readiness().gate("test").open();
    let held = TcpStream::connect(addr).await.unwrap();
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    lifecycle.spawn("request", async move {
        let _ = finished.await;
    });
    lifecycle.shutdown();
    let ending = tokio::spawn(lifecycle.clone().run_to_completion());
    lifecycle.closing().await;
    assert_eq!(get(addr, "/readyz").await.0, 503);
    assert_eq!(get(addr, "/healthz").await.0, 200);
    finish.send(()).unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, ending).await.unwrap().unwrap(), Outcome::Clean);
    drop(held);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (lifecycle, addr) = start().await;
    let error = Admin::bind(addr, &lifecycle, "1").await.unwrap_err();
    assert!(error.message().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn silent_connections_make_room_for_a_probe() {
    let (_lifecycle, addr) = start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let probe = tokio::time::timeout(std::time::Duration::from_secs(3), get(addr, "/healthz")).await;
    assert_eq!(probe.unwrap(), (200, "ok\n".into()));
    // The oldest went, long before its header was due; the newest did not.
    let mut byte = [0];
    let ended = tokio::time::timeout(std::time::Duration::from_secs(1), silent[0].read(&mut byte)).await;
    assert_eq!(ended.unwrap().unwrap(), 0);
    silent[199].write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(silent[199].read(&mut byte).await.unwrap(), 1);
}
