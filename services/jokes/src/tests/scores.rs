//! Ratings, told to Opik.

use std::sync::Arc;

use mesh_opik::{Opik, OpikConfig};
use mesh_testkit::{FakeOpik, on_both};
use serde_json::json;

use super::support::{Act, Fixture, GOOD, Scripted, Setup, joke, somebody};
use crate::ports::Clock;
use crate::scores::Scores;
use crate::store::jokes::Feedback;

on_both!(
    a_rating_is_told_once_its_trace_is_there,
    a_rating_that_changes_is_told_anew,
    a_rating_waits_for_opik_and_not_for_ever,
);

/// A joke that was rated, as if its trace had been recorded, and what tells of it.
async fn rated(fixture: &Fixture, opik: &FakeOpik) -> (String, Scores) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let id = joke(&jokes, "ana", false).await.1.unwrap().id;
    fixture.recorded(&id).await;
    rate(fixture, &id, 1).await;
    let config = OpikConfig::new(&opik.url(), "tests").unwrap();
    let clock: Arc<dyn Clock> = fixture.clock.clone();
    let opik = Opik::new(&config).unwrap();
    (id, Scores { store: fixture.store.clone(), clock, opik, with_comments: false })
}

async fn rate(fixture: &Fixture, id: &str, rating: i32) {
    let model = Scripted::new("m", [Act::Silent]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let feedback = Feedback { rating, comment: Some("fine".to_owned()) };
    jokes.rate(&somebody("ana"), id, &feedback).await.unwrap();
}

/// Makes Opik know the trace of a joke.
async fn observe(opik: &FakeOpik, id: &str) {
    let trace = json!({"id": uuid::Uuid::now_v7(), "project_name": "tests", "name": "joke", "thread_id": id,
        "start_time": "2026-11-21T10:00:00Z", "end_time": "2026-11-21T10:00:01Z", "input": {}, "output": {}});
    let url = format!("{}/v1/private/traces/batch", opik.url());
    let sent = reqwest::Client::new().post(url).json(&json!({"traces": [trace]})).send().await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.status());
}

async fn a_rating_is_told_once_its_trace_is_there(fixture: Fixture) {
    let opik = FakeOpik::start().await.unwrap();
    let (id, scores) = rated(&fixture, &opik).await;
    scores.look().await.unwrap();
    assert!(opik.requests().is_empty(), "it is not due yet");
    fixture.clock.forward(chrono::Duration::seconds(2));
    scores.look().await.unwrap();
    assert_eq!((opik.requests().len(), opik.scores().len()), (1, 0), "Opik does not know the trace yet");
    observe(&opik, &id).await;
    fixture.clock.forward(chrono::Duration::seconds(2));
    scores.look().await.unwrap();
    let told = opik.scores();
    assert_eq!((told.len(), told[0].value, told[0].reason.as_deref()), (1, 1.0, None));
    let calls = opik.requests().len();
    fixture.clock.forward(chrono::Duration::hours(1));
    scores.look().await.unwrap();
    assert_eq!(opik.requests().len(), calls, "what was told is not told again");
}

async fn a_rating_that_changes_is_told_anew(fixture: Fixture) {
    let opik = FakeOpik::start().await.unwrap();
    let (id, scores) = rated(&fixture, &opik).await;
    observe(&opik, &id).await;
    for (rating, value) in [(1, 1.0), (-1, -1.0)] {
        rate(&fixture, &id, rating).await;
        fixture.clock.forward(chrono::Duration::seconds(3));
        scores.look().await.unwrap();
        let told = opik.scores();
        assert_eq!((told.len(), told[0].value), (1, value), "one score of that name");
    }
}

async fn a_rating_waits_for_opik_and_not_for_ever(fixture: Fixture) {
    let opik = FakeOpik::start().await.unwrap();
    let (id, scores) = rated(&fixture, &opik).await;
    opik.fail_next(1, 503);
    fixture.clock.forward(chrono::Duration::seconds(2));
    scores.look().await.unwrap();
    observe(&opik, &id).await;
    scores.look().await.unwrap();
    assert!(opik.scores().is_empty(), "it was away a moment ago");
    fixture.clock.forward(chrono::Duration::days(2));
    opik.fail_next(1, 503);
    scores.look().await.unwrap();
    scores.look().await.unwrap();
    fixture.clock.forward(chrono::Duration::days(2));
    scores.look().await.unwrap();
    assert!(opik.scores().is_empty(), "it is too old to be told");
}
