//! Jokes and chats as server-sent events.

use std::{sync::atomic::Ordering, time::Duration};

use futures::StreamExt as _;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::world::{ALL_SCOPES, World, send};

const LIMIT: Duration = Duration::from_secs(10);

/// A request for the events of a joke.
fn ask(world: &World, topic: &str) -> RequestBuilder {
    ask_as(world, &world.token(ALL_SCOPES), topic)
}

fn ask_as(world: &World, token: &str, topic: &str) -> RequestBuilder {
    let request = world.request("POST", "/v1/jokes").bearer_auth(token).header("accept", "text/event-stream");
    request.json(&json!({ "topic": topic }))
}

/// Id, name and data of each event; what has no data is a comment.
fn events(text: &str) -> Vec<(u64, String, Value)> {
    let blocks = text.split_terminator("\n\n").filter(|block| !block.starts_with(':'));
    let event = |block: &str| {
        let field = |name: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let [value] = lines.collect::<Vec<_>>()[..] else { panic!("one {name}: {block}") };
            value.to_owned()
        };
        (field("id").parse().unwrap(), field("event"), serde_json::from_str(&field("data")).unwrap())
    };
    blocks.map(event).collect()
}

fn names(events: &[(u64, String, Value)]) -> Vec<(u64, &str)> {
    events.iter().map(|(id, name, _)| (*id, name.as_str())).collect()
}

/// The next piece of an answer's body as text.
async fn piece(response: &mut Response) -> String {
    let piece = timeout(LIMIT, response.chunk()).await.expect("something comes").unwrap();
    String::from_utf8(piece.expect("not yet the end").to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joke_comes_in_pieces_and_then_whole() {
    let world = World::start().await;
    let reply = send(ask(&world, "tea")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert_eq!((reply.header("cache-control"), reply.header("x-accel-buffering")), ("no-store", "no"));
    assert_eq!(reply.header("vary"), "accept");
    let events = events(&reply.text);
    assert_eq!(names(&events), [(1, "delta"), (2, "delta"), (3, "joke")]);
    assert_eq!((&events[0].2, &events[1].2), (&json!({"text": "one\n"}), &json!({"text": "two "})));
    assert_eq!(
        (&events[2].2["joke"]["topic"], &events[2].2["joke"]["setup"]),
        (&json!("tea"), &json!("Why\nso?"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_comes_in_pieces_and_then_its_end() {
    let world = World::start().await;
    let request = world.request("POST", "/v1/chat").bearer_auth(world.token(ALL_SCOPES));
    let body = json!({"messages": [{"role": "user", "content": "hello"}]});
    let reply = send(request.header("accept", "text/event-stream").json(&body)).await;
    let events = events(&reply.text);
    assert_eq!(names(&events), [(1, "delta"), (2, "delta"), (3, "end")]);
    let usage = json!({"input_tokens": 120, "output_tokens": 30, "cost": 0.000_036});
    assert_eq!(events[2].2, json!({"model": "puns-1", "usage": usage, "truncated": false}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_answer_is_negotiated() {
    let world = World::start().await;
    for (accept, is_stream) in [
        ("application/json;q=0.1, text/event-stream;q=0.2", true),
        ("application/json, text/event-stream", false),
        ("*/*", false),
        ("text/event-stream;q=0", false),
    ] {
        let request = world.request("POST", "/v1/jokes").bearer_auth(world.token(ALL_SCOPES));
        let reply = send(request.header("accept", accept).json(&json!({"topic": "tea"}))).await;
        let expected = if is_stream { (200, "text/event-stream") } else { (201, "application/json") };
        assert_eq!((reply.status, reply.header("content-type")), expected, "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_event_is_an_ordinary_answer() {
    let world = World::start().await;
    for (topic, status) in [("guarded", 400), ("spent", 429), ("declined", 422), ("unfit", 502)] {
        let reply = send(ask(&world, topic)).await;
        assert_eq!(
            (reply.status, reply.problem()["status"].as_u64()),
            (status, Some(status.into())),
            "{topic}"
        );
    }
    let reply = send(ask(&world, "guarded")).await;
    assert_eq!((&reply.problem()["rule"], reply.header("vary")), (&json!("injection"), ""));
    let denied = send(ask_as(&world, &world.token("jokes:read"), "tea")).await;
    assert_eq!(denied.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_the_middle_is_the_last_event() {
    let world = World::start().await;
    let reply = send(ask(&world, "late-refused")).await;
    let events = events(&reply.text);
    assert_eq!((reply.status, names(&events)), (200, vec![(1, "delta"), (2, "delta"), (3, "error")]));
    let problem = &events[2].2;
    assert_eq!((&problem["status"], &problem["reason"]), (&json!(422), &json!("ANSWER_REFUSED")));
    assert_eq!((&problem["rule"], &problem["instance"]), (&json!("slur"), &json!("/v1/jokes")));
    assert_eq!(problem["request_id"], reply.header("x-request-id"));
    assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_second_of_silence_the_head_is_sent() {
    let world = World::start().await;
    let start = Instant::now();
    let mut response = timeout(LIMIT, ask(&world, "slow").send()).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let head = start.elapsed();
    assert!(head >= Duration::from_secs(1) && head < Duration::from_millis(1_450), "{head:?}");
    assert!(piece(&mut response).await.starts_with("id: 1\nevent: delta\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_call() {
    let world = World::start().await;
    for path in ["/v1/jokes", "/v1/chat"] {
        let request = world.request("POST", path).bearer_auth(world.token(ALL_SCOPES));
        let messages = json!({"messages": [{"role": "user", "content": "hang"}]});
        let body = if path == "/v1/chat" { messages } else { json!({"topic": "hang"}) };
        let request = request.header("accept", "text/event-stream").json(&body);
        let mut response = timeout(LIMIT, request.send()).await.unwrap().unwrap();
        assert!(piece(&mut response).await.contains("event: delta"));
        assert_eq!(world.jokes.0.open.load(Ordering::SeqCst), 1);
        drop(response);
        closed(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_whole_chat_ends_the_call() {
    let world = World::start().await;
    let body = json!({"messages": [{"role": "user", "content": "hang"}]});
    let asked = world.post_signed_in("/v1/chat", body);
    assert!(timeout(Duration::from_millis(500), asked).await.is_err(), "it never ends");
    closed(&world).await;
}

/// Waits until the service has no open stream.
async fn closed(world: &World) {
    let closed = async {
        while world.jokes.0.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, closed).await.expect("the service's stream is dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_an_event_when_its_token_is_revoked() {
    let world = World::start().await;
    let token = world.mesh.mint().user("u1").scopes(ALL_SCOPES).unwrap().with(|c| c.sid = "s-1".into());
    let response = ask_as(&world, &token.sign().unwrap(), "hang").send().await.unwrap();
    let mut pieces = response.bytes_stream();
    let mut text = String::new();
    world.auth.revoke("s-1");
    let rest = async {
        while let Some(piece) = pieces.next().await {
            text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    };
    timeout(Duration::from_secs(6), rest).await.expect("within five seconds");
    let events = events(&text);
    assert_eq!(names(&events), [(1, "delta"), (2, "delta"), (3, "error")]);
    assert_eq!((&events[2].2["status"], &events[2].2["reason"]), (&json!(401), &json!("INVALID_TOKEN")));
    closed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_a_stream_go_on_for_a_while_and_then_ends_it_with_a_word() {
    let world = World::start().await;
    let mut response = ask(&world, "hang").send().await.unwrap();
    let mut text = piece(&mut response).await;
    let stopped = tokio::spawn(world.mesh.stop());
    let rest = timeout(LIMIT, response.text()).await.expect("before it is cut").unwrap();
    text.push_str(&rest);
    let events = events(&text);
    assert_eq!(events.last().unwrap().2["reason"], "SHUTTING_DOWN", "{text}");
    timeout(LIMIT, stopped).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_eight_streams_of_any_kind() {
    let world = World::start().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(ask(&world, "hang").send().await.unwrap());
    }
    let refused = send(ask(&world, "hang")).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "TOO_MANY_STREAMS"));
    assert_eq!(send(ask_as(&world, &world.token_of("u2", ALL_SCOPES), "tea")).await.status, 200);
    assert_eq!(
        world.post_signed_in("/v1/jokes", json!({"topic": "tea"})).await.status,
        201,
        "whole ones go on"
    );
}
