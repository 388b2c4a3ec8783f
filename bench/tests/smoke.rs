//! The benchmark itself: what it counts was asked for, what it times took that long, and `/proc` sees who works.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use mesh_testkit::{FakeLlm, Reply};
use quipu_bench::{
    Result,
    grpc::{Connection, Unary},
    http,
    load::{self, Caller, Measured, Mode, Times, Turns},
    mesh,
    process::{Clock, Family, Process, cpu_micros, free_ports},
};

const NOBODY: &[&Process] = &[];
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
    load::run(callers, mode, TIMES, NOBODY).await.unwrap()
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
    let measured = load::run(callers, Mode::Closed, TIMES, NOBODY).await.unwrap();
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

/// Somebody who reads a beginning, and the rest when nobody waits any more.
struct Reads(http::Connection, &'static [u8]);

impl Caller for Reads {
    async fn ask(&mut self) -> Result<()> {
        self.0.begin(self.1).await
    }

    async fn rest(&mut self) -> Result<()> {
        self.0.finish().await.map(|_| ())
    }
}

#[tokio::test]
async fn the_beginning_of_a_stream_is_what_is_waited_for() {
    let provider = FakeLlm::start().await.unwrap();
    provider.always(Reply::text("One. Two. ").every(5).between(Duration::from_millis(40)));
    let request = http::post("/v1/chat/completions", None, r#"{"stream":true}"#);
    let reads = |text| vec![Reads(http::Connection::to(provider.addr(), request.clone()), text)];
    let of = async |text| load::run(reads(text), Mode::Closed, TIMES, NOBODY).await.unwrap();
    let (one, two) = (of(b"One.").await, of(b"Two.").await);
    assert!(one.answered > 0 && one.failed + two.failed == 0, "{one:?} {two:?}");
    assert!(one.answered <= 9, "the next request begins after the whole answer: {one:?}");
    assert!(two.percentile(0.0) >= 39_900.0 && one.percentile(0.0) < two.percentile(0.0), "{one:?} {two:?}");
    let mut whole = http::Connection::to(provider.addr(), request.clone());
    assert!(String::from_utf8_lossy(whole.call().await.unwrap()).ends_with("[DONE]\n\n\r\n0\r\n\r\n"));
    assert!(whole.begin(b"Three.").await.is_err(), "an answer without what is waited for is a failure");
}

#[test]
fn a_family_has_its_childrens_time() {
    // The child counts and ends; its parent waits for us.
    let script = "(i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done) & wait; read line";
    let mut parent = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    let (family, end) = (Family(parent.id()), Instant::now() + Duration::from_secs(20));
    while family.cpu_micros().unwrap() < cpu_micros(parent.id()).unwrap() + 50_000 {
        assert!(Instant::now() < end, "the child's time is not seen");
        std::thread::yield_now();
    }
    drop(parent.stdin.take());
    parent.wait().unwrap();
}

#[test]
fn a_busy_loop_is_seen_in_proc() {
    let own = std::process::id();
    let before = cpu_micros(own).unwrap();
    // Ends as soon as it is seen, and is seen long before the limit.
    let end = Instant::now() + Duration::from_secs(20);
    while cpu_micros(own).unwrap() < before + 50_000 {
        assert!(Instant::now() < end, "the processor time does not grow");
        std::hint::black_box((0..10_000_u64).map(std::hint::black_box).sum::<u64>());
    }
}
