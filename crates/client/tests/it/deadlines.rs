//! Calls end.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream as streams};
use mesh_client::{CallContext, UPSTREAM_LOST};
use mesh_error::{Error, Kind};
use mesh_proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, WatchRevocationsRequest, WatchRevocationsResponse,
};
use mesh_resilience::Deadline;
use tokio::time::Instant;

use crate::support::{Call, Fake, World, message, ok, stream, within};

#[tokio::test]
async fn the_deadline_travels_and_its_expiry_is_no_cancellation() {
    let world = World::new();
    let fake = Fake::auth(&world, |_| std::future::pending()).await;
    let client = world.client(&[&fake]);
    let start = Instant::now();
    let error = within(Duration::from_millis(300), &client).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(start.elapsed() >= Duration::from_millis(300));
    let asked = fake.calls()[0].timeout();
    assert!(asked < Duration::from_millis(300), "{asked:?}: a child has less time than its parent");
}

#[tokio::test]
async fn without_a_context_the_policy_bounds_the_call_and_with_one_the_shorter_counts() {
    let world = World::new();
    let fake = Fake::auth(&world, |_| async { ok(&GetJwksResponse::default()) }).await;
    let client = world.client(&[&fake]);
    client.clone().get_jwks(GetJwksRequest {}).await.expect("an answer");
    within(Duration::from_secs(60), &client).await.expect("an answer");
    within(Duration::from_secs(1), &client).await.expect("an answer");
    let asked: Vec<_> = fake.calls().iter().map(Call::timeout).collect();
    // GetJwks: {…, deadline: 2s}
    for (asked, below) in asked.iter().zip([2, 2, 1]) {
        let below = Duration::from_secs(below);
        assert!(*asked <= below && *asked > below / 2, "{asked:?} of {below:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let world = World::new();
    let fake = Fake::auth(&world, |_| async { ok(&GetJwksResponse::default()) }).await;
    let error = within(Duration::ZERO, &world.client(&[&fake])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert_eq!((fake.called(), fake.connections()), (0, 0));
}

fn revocations(count: usize) -> impl futures::Stream<Item = Bytes> + Send {
    streams::iter(0..count).map(|_| message(&WatchRevocationsResponse::default()))
}

/// Reads a stream to its end.
async fn watch(world: &World, fake: &Fake, context: CallContext) -> (usize, Error) {
    let request = context.request(WatchRevocationsRequest { cursor: 0 });
    let mut stream = world.client(&[fake]).watch_revocations(request).await.expect("a stream").into_inner();
    let mut read = 0;
    loop {
        let message = tokio::time::timeout(Duration::from_secs(5), stream.message()).await;
        match message.expect("the stream neither goes on nor ends") {
            Ok(Some(_)) => read += 1,
            Ok(None) => return (read, Error::internal("it ended well")),
            Err(status) => return (read, Error::from_status(&status)),
        }
    }
}

#[tokio::test]
async fn a_stream_that_stalls_ends_at_the_idle_limit_of_the_policy() {
    let world = World::new().with_policy("idle: 10s", "idle: 300ms");
    let fake = Fake::auth(&world, |_| async { stream(revocations(3)) }).await;
    let (read, error) = watch(&world, &fake, CallContext::default()).await;
    assert_eq!((read, error.kind(), error.reason()), (3, Kind::DeadlineExceeded, "STREAM_IDLE"));
}

#[tokio::test]
async fn a_stream_that_never_stalls_ends_at_its_deadline() {
    let world = World::new();
    let ticking = |_| async {
        stream(revocations(10_000).then(|message| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            message
        }))
    };
    let fake = Fake::auth(&world, ticking).await;
    let context = CallContext { deadline: Some(Deadline::after(Duration::from_millis(400))), user: None };
    let (read, error) = watch(&world, &fake, context).await;
    assert_eq!((error.kind(), error.reason()), (Kind::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(read > 1);
}

#[tokio::test]
async fn a_stream_whose_connection_breaks_ends_as_unavailable() {
    let world = World::new();
    let breaking = |call: Call| async move {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            call.cut_connections();
        });
        stream(revocations(2))
    };
    let fake = Fake::auth(&world, breaking).await;
    let (read, error) = watch(&world, &fake, CallContext::default()).await;
    assert_eq!((read, error.kind(), error.reason()), (2, Kind::Unavailable, UPSTREAM_LOST));
}
