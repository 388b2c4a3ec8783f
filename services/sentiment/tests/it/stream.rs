//! The stream: in order, while the caller is still sending, and to an end when the service goes down.

use futures::{StreamExt, stream};
use mesh_error::Kind;
use mesh_proto::sentiment::v1 as pb;
use pb::analyze_stream_response::Outcome;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{Act, PATIENCE, Puppet, Running, failure, item};

#[tokio::test]
async fn each_text_is_answered_while_the_caller_is_still_sending() {
    let running = Running::embedded().await;
    let (sender, receiver) = mpsc::channel(1);
    let mut operator = running.operator();
    sender.send(item("0", "great")).await.unwrap();
    let mut answers = operator.analyze_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    for place in 0..50 {
        let answer = timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer.id, place.to_string());
        sender.send(item(&(place + 1).to_string(), "great")).await.unwrap();
    }
    drop(sender);
    let last = timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(last.id, "50");
    assert!(timeout(PATIENCE, answers.message()).await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn a_bad_text_gets_an_error_in_its_place() {
    let running = Running::embedded().await;
    let requests = vec![
        item("a", "great"),
        item("b", ""),
        pb::AnalyzeStreamRequest { model: "gpt".into(), ..item("c", "great") },
        item(&"d".repeat(129), "great"),
        pb::AnalyzeStreamRequest { explain: true, ..item(&"e".repeat(128), "great food") },
    ];
    let answers = running.operator().analyze_stream(stream::iter(requests)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    let told = answers.iter().map(|answer| match answer.outcome.as_ref().unwrap() {
        Outcome::Analysis(analysis) => ("", "", analysis.words.len()),
        Outcome::Error(error) => (error.reason.as_str(), error.field.as_str(), 0),
    });
    let expected = [
        ("", "", 0),
        ("INVALID_FIELDS", "text", 0),
        ("MODEL_NOT_FOUND", "", 0),
        ("INVALID_FIELDS", "id", 0),
        ("", "", 2),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!((answers[0].id.as_str(), answers[3].id.as_str(), answers[4].id.len()), ("a", "", 128));
}

#[tokio::test]
async fn the_order_holds_however_long_a_text_takes() {
    let (model, gate) = Puppet::told([Act::Wait]);
    let running = Puppet::serve(model, 4, 0).await;
    let requests = (0..400).map(|place| item(&place.to_string(), "great"));
    let answers = running.operator().analyze_stream(stream::iter(requests)).await;
    // The first text waits, those behind it are done: none may overtake it.
    gate.open();
    let ids: Vec<_> = answers.unwrap().into_inner().map(|answer| answer.unwrap().id).collect().await;
    assert_eq!(ids, (0..400).map(|place| place.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_pool_makes_a_stream_wait_and_does_not_refuse_it() {
    let (model, gate) = Puppet::told([Act::Wait]);
    let running = Puppet::serve(model, 1, 0).await;
    let requests = (0..20).map(|place| item(&place.to_string(), "great"));
    let answers = running.operator().analyze_stream(stream::iter(requests)).await;
    gate.open();
    let answers: Vec<_> = answers.unwrap().into_inner().map(|answer| answer.unwrap()).collect().await;
    assert_eq!(answers.len(), 20);
    assert!(answers.iter().all(|answer| matches!(answer.outcome, Some(Outcome::Analysis(_)))));
}

#[tokio::test]
async fn whoever_does_not_read_is_not_read_from() {
    let running = Running::embedded().await;
    let (sender, receiver) = mpsc::channel(1);
    let mut operator = running.operator();
    // Long texts with long answers fill the windows of the connection soon; then sending has to stop.
    let long = pb::AnalyzeStreamRequest { explain: true, ..item("", &"a ".repeat(4_000)) };
    sender.send(long.clone()).await.unwrap();
    let answers = operator.analyze_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let mut sent = 1;
    while timeout(std::time::Duration::from_secs(1), sender.send(long.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "nothing stops the sender");
    }
    drop(sender);
    let answered = answers.map(|answer| answer.unwrap()).count().await;
    assert_eq!(answered, sent);
}

#[tokio::test]
async fn a_stream_ends_with_unavailable_when_the_service_goes_down() {
    let running = Running::embedded().await;
    let (sender, receiver) = mpsc::channel(1);
    let mut operator = running.operator();
    sender.send(item("0", "great")).await.unwrap();
    let mut answers = operator.analyze_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().id, "0");
    let stopped = tokio::spawn(running.mesh.stop());
    let end = timeout(PATIENCE, answers.message()).await.unwrap();
    let fault = failure(end);
    assert_eq!((fault.kind(), fault.reason()), (Kind::Unavailable, "SHUTTING_DOWN"), "{fault:?}");
    drop(sender);
    assert!(!timeout(PATIENCE, stopped).await.unwrap().unwrap().is_failure());
}
