//! The benchmark itself: what it counts was asked for, what it times took that long, and `/proc` sees who works.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use quipu_bench::{
    Result,
    grpc::{Connection, Unary},
    http,
    load::{self, Caller, Measured, Mode, Times, Turns},
    mesh,
    process::{Process, cpu_micros, free_ports},
};

const TIMES: Times = Times { warm: Duration::from_millis(50), measured: Duration::from_millis(300) };

/// Somebody who waits instead of asking, and fails when told to.
struct Waits(Duration, bool);

impl Caller for Waits {
    async fn ask(&mut self) -> Result<()> {
        tokio::time::sleep(self.0).await;
        if self.1 { Err("told to".into()) } else { Ok(()) }
    }
}

async fn waits(count: usize, long: u64, mode: Mode) -> Measured {
    let callers = (0..count).map(|_| Waits(Duration::from_millis(long), false)).collect();
    load::run(callers, mode, TIMES, &[]).await.unwrap()
}

#[tokio::test]
async fn a_closed_loop_asks_as_fast_as_it_is_answered() {
    let measured = waits(4, 20, Mode::Closed).await;
    // Four callers, 300 ms, 20 ms or more each.
    assert!((4..=64).contains(&measured.answered), "{measured:?}");
    assert!(measured.percentile(0.0) >= 19_900.0, "{measured:?}");
    assert_eq!(measured.failed, 0);
}

#[tokio::test]
async fn an_open_loop_counts_the_time_that_a_request_waited_for_its_caller() {
    // One caller that takes 20 ms, asked 200 times a second: each request waits longer than the one before.
    let measured = waits(1, 20, Mode::Open(200)).await;
    assert!(measured.answered > 0 && measured.percentile(100.0) > 100_000.0, "{measured:?}");
    // Enough callers: nobody waits, and not more is asked than was said.
    let measured = waits(50, 20, Mode::Open(200)).await;
    assert!(measured.answered <= 90, "{measured:?}");
}

#[tokio::test]
async fn failures_are_counted_and_said() {
    let callers =
        vec![Turns::of([Waits(Duration::from_millis(5), false), Waits(Duration::from_millis(5), true)])];
    let measured = load::run(callers, Mode::Closed, TIMES, &[]).await.unwrap();
    assert!(measured.failed > 0 && measured.answered > 0, "{measured:?}");
    assert_eq!(measured.fault.as_deref(), Some("told to"));
}

#[tokio::test]
async fn the_bare_targets_answer_and_their_work_is_seen() {
    let [rest, grpc] = free_ports().unwrap();
    let tonic = mesh::bare(&["tonic".to_owned(), grpc.to_string()]).unwrap();
    let axum = mesh::bare(&["axum".to_owned(), rest.to_string(), grpc.to_string()]).unwrap();
    axum.ready(rest, "/healthz").await.unwrap();
    tonic.listens(grpc).await.unwrap();

    let request = http::post("/v1/sentiment", None, r#"{"text":"good"}"#);
    let callers = vec![http::Connection::to(rest, request)];
    let target: [&Process; 2] = [&axum, &tonic];
    let measured = load::run(callers, Mode::Closed, TIMES, &target).await.unwrap();
    assert!(measured.answered > 0 && measured.failed == 0 && measured.cpu > 0.0, "{measured:?}");

    let message = mesh_proto::sentiment::v1::AnalyzeRequest::default();
    let unary = Unary::new("/quipu.sentiment.v1.SentimentService/Analyze", None, &message).unwrap();
    let mut connection = Connection::plain(grpc, unary).await.unwrap();
    connection.call().await.unwrap();
    let unary = Unary::new("/quipu.sentiment.v1.SentimentService/Nothing", None, &message).unwrap();
    let mut connection = Connection::plain(grpc, unary).await.unwrap();
    assert!(connection.call().await.is_err(), "a status that is not OK is a failure");
    assert!(axum.resident().unwrap() > 1024 * 1024);

    let mut lost = http::Connection::to(rest, http::get("/nothing"));
    assert!(lost.call().await.is_err(), "a status that is no success is a failure");
}

#[test]
fn a_busy_loop_is_seen_in_proc() {
    let own = std::process::id();
    let before = cpu_micros(own).unwrap();
    // Ends as soon as it is seen, and is seen long before the limit.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while cpu_micros(own).unwrap() < before + 50_000 {
        assert!(std::time::Instant::now() < end, "the processor time does not grow");
        std::hint::black_box((0..10_000_u64).map(std::hint::black_box).sum::<u64>());
    }
}
