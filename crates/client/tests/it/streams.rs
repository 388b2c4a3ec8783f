//! Requests that are streams.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use mesh_client::{CallContext, Channel, Endpoints};
use mesh_error::{Error, Kind};
use mesh_proto::sentiment::v1::{
    AnalyzeStreamRequest, AnalyzeStreamResponse, sentiment_service_client::SentimentServiceClient,
};
use mesh_resilience::Deadline;

use crate::support::{self, Call, Fake, World, eventually, message, nobody, ok, status};

fn client(world: &World, sentiment: &[SocketAddr]) -> SentimentServiceClient<Channel> {
    let mesh = world.mesh(Endpoints::new().with("sentiment", sentiment.to_vec()));
    SentimentServiceClient::new(mesh.channel("sentiment").expect("sentiment is known"))
}

fn texts(count: usize) -> impl Stream<Item = AnalyzeStreamRequest> + Send {
    stream::iter((0..count).map(|_| AnalyzeStreamRequest::default()))
}

#[tokio::test]
async fn a_stream_that_was_never_begun_goes_to_another_endpoint() {
    let world = World::new();
    let answer = |_: Call| async { ok(&AnalyzeStreamResponse::default()) };
    let fake = Fake::of(world.tls("sentiment"), answer).await;
    let mut client = client(&world, &[nobody().await, fake.address()]);
    for _ in 0..20 {
        client.analyze_stream(texts(3)).await.expect("the other endpoint answers");
    }
    assert_eq!(fake.called(), 20);
}

#[tokio::test]
async fn a_stream_that_was_begun_is_not_repeated_even_if_the_method_may_be() {
    let world = World::new();
    let answer = |_: Call| async { status(Error::unavailable("AWAY", "away")) };
    let fake = Fake::of(world.tls("sentiment"), answer).await;
    let refused = client(&world, &[fake.address()]).analyze_stream(texts(3)).await.unwrap_err();
    assert_eq!(Error::from_status(&refused).reason(), "AWAY");
    assert_eq!(fake.called(), 1);
}

/// An endless stream, and whether its source is still held.
fn endless() -> (impl Stream<Item = AnalyzeStreamRequest> + Send, Arc<()>) {
    let held = Arc::new(());
    let source = Arc::clone(&held);
    let texts = texts(2).chain(stream::pending()).map(move |text| {
        let _held = &source;
        text
    });
    (texts, held)
}

#[tokio::test]
async fn the_source_of_a_stream_is_let_go_when_the_call_has_ended() {
    let world = World::new();
    let answer =
        |_: Call| async { support::stream(stream::iter([message(&AnalyzeStreamResponse::default())])) };
    let fake = Fake::of(world.tls("sentiment"), answer).await;
    let mut client = client(&world, &[fake.address()]);

    // By its deadline …
    let (texts, held) = endless();
    let context = CallContext { deadline: Some(Deadline::after(Duration::from_millis(300))), user: None };
    let mut answers = client.analyze_stream(context.request(texts)).await.expect("a stream").into_inner();
    answers.message().await.expect("a message").expect("one");
    assert_eq!(Arc::strong_count(&held), 2);
    let error = Error::from_status(&answers.message().await.unwrap_err());
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    eventually("the source was let go", || Arc::strong_count(&held) == 1).await;

    // … and by a caller that leaves.
    let (texts, held) = endless();
    let answers = client.analyze_stream(texts).await.expect("a stream");
    assert_eq!(Arc::strong_count(&held), 2);
    drop(answers);
    eventually("the source was let go", || Arc::strong_count(&held) == 1).await;
}
