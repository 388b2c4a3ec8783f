//! Overload, lateness, and models that fail.

use std::time::Duration;

use mesh_client::CallContext;
use mesh_error::Kind;
use mesh_proto::sentiment::v1 as pb;
use mesh_resilience::Deadline;
use tokio::time::timeout;

use crate::support::{Act, Client, PATIENCE, Puppet, analyze, ask, failure, is_embedded};

fn embedded(text: &str) -> pb::AnalyzeRequest {
    pb::AnalyzeRequest { model: "linear18".into(), ..ask(text) }
}

/// Asks for texts until one is refused; the calls that are not answered go on.
async fn until_refused(client: &Client) -> mesh_error::Error {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = client.clone();
        calls.spawn(async move { client.analyze(ask("great")).await });
    }
    let refused = timeout(PATIENCE, async {
        while let Some(answer) = calls.join_next().await {
            if let Err(status) = answer.unwrap() {
                return mesh_error::Error::from_status(&status);
            }
        }
        panic!("no call was refused");
    });
    let refused = refused.await.unwrap();
    calls.detach_all();
    refused
}

#[tokio::test]
async fn a_full_pool_refuses_at_once_and_the_threads_stay_free() {
    let (model, gate) = Puppet::told([Act::Wait, Act::Wait, Act::Wait]);
    let running = Puppet::serve(model, 1, 2).await;
    let operator = running.operator();
    let refused = until_refused(&operator).await;
    assert_eq!((refused.kind(), refused.reason()), (Kind::ResourceExhausted, "INFERENCE_POOL_FULL"));
    assert!(refused.retry_after().is_some_and(|after| after > Duration::ZERO));
    // The worker is held by a model, but this thread (there is only one) still answers: row J5 of the test plan.
    for _ in 0..64 {
        assert!(is_embedded(analyze(&mut operator.clone(), embedded("great")).await.model.as_ref()));
    }
    gate.open();
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_deadline_exceeded() {
    let (model, gate) = Puppet::told([Act::Wait]);
    let running = Puppet::serve(model, 1, 4).await;
    let mut operator = running.operator();
    let short = CallContext { deadline: Some(Deadline::after(Duration::from_millis(200))), user: None };
    let late = timeout(PATIENCE, operator.analyze(short.request(ask("great")))).await.unwrap();
    assert_eq!(failure(late).kind(), Kind::DeadlineExceeded);
    gate.open();
    assert_eq!(analyze(&mut operator, ask("great")).await.model.unwrap().name, "puppet");
}

/// Row J4 of the test plan.
#[tokio::test]
async fn the_embedded_model_stands_in_for_one_that_fails_and_the_answer_says_so() {
    let (model, _gate) = Puppet::told([Act::Fail]);
    let running = Puppet::serve(model, 1, 4).await;
    let mut operator = running.operator();
    let stood_in = analyze(&mut operator, ask("great")).await;
    assert!(is_embedded(stood_in.model.as_ref()));
    assert_eq!(stood_in.label(), pb::Label::Positive);
    assert_eq!(analyze(&mut operator, ask("great")).await.model.unwrap().name, "puppet");
}

#[tokio::test]
async fn a_model_that_panics_costs_one_call_only() {
    let (model, _gate) = Puppet::told([Act::Panic]);
    let running = Puppet::serve(model, 1, 4).await;
    let mut operator = running.operator();
    assert_eq!(failure(operator.analyze(ask("great")).await).kind(), Kind::Internal);
    assert_eq!(analyze(&mut operator, ask("great")).await.model.unwrap().name, "puppet");
}
