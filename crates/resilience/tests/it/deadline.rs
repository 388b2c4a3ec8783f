//! Deadlines bound the handler and the body.

use std::{convert::Infallible, time::Duration};

use futures::StreamExt as _;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_resilience::{Bounds, Deadline, DeadlineLayer, GRPC_TIMEOUT, TrackedBody};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::{Answer, Dropped, SECOND, read, request, settle, streaming, ticks};

const TEN: Bounds = Bounds { total: Duration::from_secs(10), idle: None };
const IDLE: Bounds = Bounds { total: Duration::from_secs(60), idle: Some(Duration::from_secs(5)) };

/// Calls a handler behind the layer.
async fn call<F>(
    bounds: Bounds,
    request: Request<Body>,
    handler: impl Fn(Request<Body>) -> F,
) -> Response<Body>
where
    F: Future<Output = Response<Body>>,
{
    let handler = service_fn(|request: Request<TrackedBody<Body>>| {
        let response = handler(request.map(Body::new));
        async { Ok::<_, Infallible>(response.await) }
    });
    DeadlineLayer::new(bounds).layer(handler).oneshot(request).await.unwrap_or_else(|never| match never {})
}

async fn answer<F>(bounds: Bounds, request: Request<Body>, handler: impl Fn(Request<Body>) -> F) -> Answer
where
    F: Future<Output = Response<Body>>,
{
    read(call(bounds, request, handler).await).await
}

fn asking(timeout: &'static str) -> Request<Body> {
    let mut request = request();
    request.headers_mut().insert(GRPC_TIMEOUT, HeaderValue::from_static(timeout));
    request
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_in_time_is_left_alone() {
    let got = answer(TEN, request(), |_| async {
        tokio::time::sleep(9 * SECOND).await;
        streaming(ticks(1, Duration::ZERO))
    });
    let got = got.await;
    assert_eq!((got.code(), got.frames), (Code::Ok, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_late_is_dropped_and_the_caller_told_when_the_time_is_up() {
    let (dropped, guard) = Dropped::pair();
    let guard = std::sync::Mutex::new(Some(guard));
    let start = Instant::now();
    let got = answer(TEN, request(), |_| {
        let guard = guard.lock().unwrap().take();
        async move {
            let _guard = guard;
            std::future::pending::<Response<Body>>().await
        }
    });
    assert_eq!(got.await.code(), Code::DeadlineExceeded);
    assert_eq!(start.elapsed(), TEN.total);
    assert!(dropped.yet());
}

#[tokio::test(start_paused = true)]
async fn the_callers_timeout_counts_when_it_is_shorter_and_only_then() {
    for (asked, expected) in [("3S", 3 * SECOND), ("99S", 10 * SECOND)] {
        let start = Instant::now();
        let got = answer(TEN, asking(asked), |_| std::future::pending());
        assert_eq!(got.await.code(), Code::DeadlineExceeded);
        assert_eq!(start.elapsed(), expected, "asked for {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outer_deadline_counts_too() {
    let mut request = asking("5S");
    request.extensions_mut().insert(Deadline::after(2 * SECOND));
    let start = Instant::now();
    answer(TEN, request, |_| std::future::pending()).await;
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn bounds_of_the_method_win_over_those_of_the_layer() {
    let mut request = request();
    request.extensions_mut().insert(Bounds { total: SECOND, idle: None });
    let start = Instant::now();
    answer(TEN, request, |_| std::future::pending()).await;
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_work_begins_after_the_deadline_or_for_a_malformed_one() {
    for (asked, code) in [("0n", Code::DeadlineExceeded), ("1X", Code::InvalidArgument)] {
        let got = answer(TEN, asking(asked), |_| async { panic!("the handler ran") });
        assert_eq!(got.await.code(), code, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_handler_finds_its_deadline_and_no_header() {
    let got = answer(TEN, asking("3S"), |request| async move {
        let deadline = request.extensions().get::<Deadline>().expect("a deadline");
        assert_eq!(deadline.remaining(), 3 * SECOND);
        assert!(!request.headers().contains_key(GRPC_TIMEOUT));
        streaming(ticks(0, SECOND))
    });
    assert_eq!(got.await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_deadline_also_when_it_never_pauses() {
    for pause in [SECOND, Duration::ZERO] {
        let start = Instant::now();
        let response = call(TEN, request(), |_| async move { streaming(ticks(usize::MAX, pause)) }).await;
        let advance = async {
            loop {
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        };
        let got = tokio::select! { got = read(response) => got, () = advance => unreachable!() };
        assert_eq!(got.code(), Code::DeadlineExceeded);
        assert_eq!(start.elapsed().as_secs(), 10, "with a pause of {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_stream_and_messages_keep_it_alive() {
    let alive = answer(IDLE, request(), |_| async { streaming(ticks(10, 4 * SECOND)) }).await;
    assert_eq!((alive.code(), alive.frames), (Code::Ok, 10));

    let start = Instant::now();
    let stalled = |_| async { streaming(ticks(3, SECOND).chain(futures::stream::pending())) };
    let got = answer(IDLE, request(), stalled).await;
    assert_eq!((got.code(), got.frames, got.reason().as_str()), (Code::DeadlineExceeded, 3, "STREAM_IDLE"));
    assert_eq!(start.elapsed(), 8 * SECOND);
}

/// A request whose body gives `count` messages, a second apart, and then nothing.
fn uploading(count: usize) -> Request<Body> {
    let frames =
        ticks(count, SECOND).chain(futures::stream::pending()).map(|data| Ok::<_, Status>(Frame::data(data)));
    request().map(|_| Body::new(StreamBody::new(Box::pin(frames))))
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_sends_keeps_a_stream_alive_until_it_stops() {
    let start = Instant::now();
    let got = answer(IDLE, uploading(20), |request| async move {
        let mut body = request.into_body();
        while body.frame().await.is_some() {}
        panic!("the upload never ends")
    });
    assert_eq!(got.await.reason(), "STREAM_IDLE");
    assert_eq!(start.elapsed(), 25 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_reads_on_in_its_own_task_is_told_as_well() {
    let (send, receive) = tokio::sync::oneshot::channel();
    let send = std::sync::Mutex::new(Some(send));
    let got = answer(IDLE, uploading(1), |request| {
        let send = send.lock().unwrap().take().expect("one call");
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                if let Err(status) = frame {
                    return send.send(status.code());
                }
            }
            Ok(())
        });
        std::future::pending()
    });
    assert_eq!(got.await.reason(), "STREAM_IDLE");
    let told = tokio::time::timeout(60 * SECOND, receive).await.expect("it is told at all");
    assert_eq!(told.ok(), Some(Code::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_its_peer_does_not_read_is_dropped_too() {
    for (bounds, limit) in [(IDLE, 5 * SECOND), (TEN, 10 * SECOND)] {
        let (dropped, guard) = Dropped::pair();
        let guard = std::sync::Mutex::new(Some(guard));
        let response = call(bounds, request(), |_| {
            let guard = guard.lock().unwrap().take();
            let frames = ticks(1, Duration::ZERO).chain(futures::stream::pending()).map(move |frame| {
                let _held = &guard;
                frame
            });
            async move { streaming(frames) }
        });
        let response = response.await;
        tokio::time::sleep(limit - SECOND).await;
        assert!(!dropped.yet());
        tokio::time::sleep(2 * SECOND).await;
        settle().await;
        assert!(dropped.yet(), "nobody polls the body, and yet it must go");
        assert_eq!(read(response).await.code(), Code::DeadlineExceeded);
    }
}
