//! NDJSON both ways while the request is still being sent.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::Body;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::world::{ALL_SCOPES, World, send};

const LIMIT: Duration = Duration::from_secs(10);

/// A stream with both ends in the test's hands.
struct Talk {
    lines: mpsc::Sender<Result<Bytes, std::io::Error>>,
    answer: futures::stream::BoxStream<'static, Bytes>,
    buffer: Vec<u8>,
}

impl Talk {
    async fn begin(world: &World) -> Self {
        Self::begin_as(world, world.token(ALL_SCOPES)).await
    }

    async fn begin_as(world: &World, token: String) -> Self {
        let (lines, body) = mpsc::channel(1);
        let request = world
            .request("POST", "/v1/sentiment/stream")
            .bearer_auth(token)
            .header("content-type", "application/x-ndjson")
            .body(Body::wrap_stream(ReceiverStream::new(body)));
        let response = timeout(LIMIT, request.send()).await.expect("the answer begins at once").unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let answer = response.bytes_stream().map(|chunk| chunk.unwrap()).boxed();
        Self { lines, answer, buffer: Vec::new() }
    }

    async fn say(&self, text: impl Into<Bytes>) {
        timeout(LIMIT, self.lines.send(Ok(text.into()))).await.expect("the gateway reads").unwrap();
    }

    async fn hear(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = timeout(LIMIT, self.answer.next()).await.expect("an answer comes");
            self.buffer.extend_from_slice(&chunk?);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_answered_before_the_next_is_sent() {
    let world = World::start().await;
    let mut talk = Talk::begin(&world).await;
    for n in 0..5 {
        let text = if n % 2 == 0 { "good" } else { "bad" };
        talk.say(format!("{}\n", json!({"id": n.to_string(), "text": text}))).await;
        let answer = talk.hear().await.unwrap();
        assert_eq!(answer["id"], n.to_string());
        assert_eq!(answer["label"], if n % 2 == 0 { "positive" } else { "negative" });
        assert!(answer.get("words").is_none());
    }
    talk.say("{\"text\":\"good\",\"explain\":true}").await;
    let (closed, _) = mpsc::channel(1);
    talk.lines = closed;
    assert_eq!(talk.hear().await.unwrap()["words"][0]["text"], "good", "the last line needs no end");
    assert_eq!(talk.hear().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_answered_in_their_place_and_the_stream_goes_on() {
    let world = World::start().await;
    let mut talk = Talk::begin(&world).await;
    let long = format!("{{\"text\":\"{}\"}}\n", "x".repeat(140_000));
    talk.say(
        "{\"id\":\"1\",\"text\":\"good\"}\nnot json\n{\"id\":\"bad\",\"text\":\"a\",\"role\":\"admin\"}\n",
    )
    .await;
    talk.say(long).await;
    talk.say("\n{\"id\":\"2\",\"text\":\"\"}\n{\"id\":\"3\",\"text\":\"good\"}\n").await;
    assert_eq!(talk.hear().await.unwrap()["id"], "1");
    assert_eq!(talk.hear().await.unwrap()["error"]["reason"], "INVALID_JSON");
    let unknown = talk.hear().await.unwrap();
    assert_eq!((&unknown["id"], &unknown["error"]["field"]), (&json!("bad"), &json!("role")));
    assert_eq!(talk.hear().await.unwrap()["error"]["reason"], "LINE_TOO_LONG");
    let empty = talk.hear().await.unwrap();
    assert_eq!((&empty["id"], &empty["error"]["reason"]), (&json!("2"), &json!("TEXT_EMPTY")));
    assert_eq!(talk.hear().await.unwrap()["id"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_breaks_off_ends_the_stream_with_an_error() {
    let world = World::start().await;
    let mut talk = Talk::begin(&world).await;
    talk.say("{\"id\":\"1\",\"text\":\"good\"}\n{\"id\":\"2\",\"text\":\"break\"}\n").await;
    assert_eq!(talk.hear().await.unwrap()["id"], "1");
    let last = talk.hear().await.unwrap();
    assert_eq!(last["error"]["reason"], "MODEL_AWAY");
    assert!(last.get("id").is_none());
    assert_eq!(talk.hear().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_not_read_from() {
    let world = World::start().await;
    let talk = Talk::begin(&world).await;
    let line = Bytes::from(format!("{}\n", json!({"text": "x".repeat(9_000), "explain": true})));
    let mut sent = 0_usize;
    // Nobody reads the answers: sooner or later a line is not taken any more.
    while let Ok(result) = timeout(Duration::from_millis(500), talk.lines.send(Ok(line.clone()))).await {
        result.unwrap();
        sent += line.len();
        assert!(sent < 16 << 20, "the gateway buffers without bound");
    }
    assert!(sent > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_a_stream_with_a_word() {
    let world = World::start().await;
    let mut talk = Talk::begin(&world).await;
    talk.say("{\"id\":\"1\",\"text\":\"good\"}\n").await;
    assert_eq!(talk.hear().await.unwrap()["id"], "1");
    let stopped = tokio::spawn(world.mesh.stop());
    assert_eq!(talk.hear().await.unwrap()["error"]["reason"], "SHUTTING_DOWN");
    assert_eq!(talk.hear().await, None);
    assert!(!timeout(LIMIT, stopped).await.unwrap().unwrap().is_failure());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_begin_is_an_ordinary_failure() {
    let world = World::start().await;
    let stream = |token: String, media: &str| {
        let request = world.request("POST", "/v1/sentiment/stream").bearer_auth(token);
        send(request.header("content-type", media.to_owned()).body("{\"text\":\"a\"}\n"))
    };
    assert_eq!(stream(world.token("profile:read"), "application/x-ndjson").await.status, 403);
    assert_eq!(stream(world.token(ALL_SCOPES), "application/json").await.status, 415);
    let whole = stream(world.token(ALL_SCOPES), "application/x-ndjson").await;
    assert_eq!((whole.status, whole.json()["label"].as_str()), (200, Some("negative")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_a_word_when_its_token_is_revoked() {
    let world = World::start().await;
    let token = world.mesh.mint().user("u1").scopes(ALL_SCOPES).unwrap().with(|c| c.sid = "s-1".into());
    let mut talk = Talk::begin_as(&world, token.sign().unwrap()).await;
    talk.say("{\"id\":\"1\",\"text\":\"good\"}\n").await;
    assert_eq!(talk.hear().await.unwrap()["id"], "1");
    world.auth.revoke("s-1");
    let last = timeout(Duration::from_secs(5), talk.hear()).await.expect("within five seconds").unwrap();
    assert_eq!((&last["error"]["reason"], last.get("id")), (&json!("INVALID_TOKEN"), None));
    assert_eq!(talk.hear().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_streams_and_another_has_the_own() {
    let world = World::start().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Talk::begin(&world).await);
    }
    let one_more = |user: &str| {
        let request = world.request("POST", "/v1/sentiment/stream");
        let request = request.bearer_auth(world.token_of(user, ALL_SCOPES));
        send(request.header("content-type", "application/x-ndjson").body("{\"text\":\"good\"}\n"))
    };
    let refused = one_more("u1").await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "TOO_MANY_STREAMS"));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(one_more("u2").await.status, 200);
    drop(open);
    let again = async {
        while one_more("u1").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, again).await.expect("an ended stream makes room");
}
