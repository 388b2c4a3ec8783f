//! Limits of time, with a clock that only goes on when nothing else can, and of length.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::BoxStream;
use mesh_testkit::Reply;
use tokio::time::sleep;

use super::super::reading::{Format, Limits, Reading};
use super::*;

const TIMES: Times = Times {
    connect: Duration::from_secs(1),
    first_token: Duration::from_secs(10),
    stall: Duration::from_secs(5),
    total: Duration::from_secs(60),
};

const FINISH: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;

fn text(text: &str) -> String {
    format!("data: {}", json!({ "choices": [{ "delta": { "content": text } }] }))
}

/// Each event after so many seconds; then nothing, for ever.
fn body(events: Vec<(u64, String)>) -> BoxStream<'static, Result<Bytes, ModelError>> {
    let sent = stream::iter(events).then(|(seconds, event)| async move {
        sleep(Duration::from_secs(seconds)).await;
        Ok(Bytes::from(event + "\n\n"))
    });
    sent.chain(stream::pending()).boxed()
}

/// What is heard, and after how many seconds it is over.
async fn hear_within(body: BoxStream<'static, Result<Bytes, ModelError>>) -> (String, Option<u64>, String) {
    let started = tokio::time::Instant::now();
    let format = Format::of(Some(&HeaderValue::from_static("text/event-stream"))).unwrap();
    let mut reading = Reading::new(body, format, Limits { times: TIMES, started }, 100);
    let (mut said, mut end) = (String::new(), String::new());
    while let Some(piece) = reading.next().await {
        match piece {
            Ok(Piece::Text(text)) => said += &text,
            Ok(Piece::End { tokens, .. }) => end = format!("end {}", tokens.is_some()),
            Err(error) => end = error.to_string(),
        }
    }
    (said, Some(started.elapsed().as_secs()), end)
}

fn heard(text: &str, seconds: u64, end: &str) -> (String, Option<u64>, String) {
    (text.to_owned(), Some(seconds), end.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_first_text_must_come_in_time() {
    let slow = "the provider is too slow: first token";
    assert_eq!(hear_within(body(vec![])).await, heard("", 10, slow));
    assert_eq!(hear_within(body(vec![(11, text("late"))])).await, heard("", 10, slow));
    // Signs of life are no text.
    let alive = (0..20).map(|_| (1, ": still here".to_owned())).collect();
    assert_eq!(hear_within(body(alive)).await, heard("", 10, slow));
    let empty = (0..20).map(|_| (1, text(""))).collect();
    assert_eq!(hear_within(body(empty)).await, heard("", 10, slow));
}

#[tokio::test(start_paused = true)]
async fn text_must_go_on() {
    let slow = "the provider is too slow: stall";
    assert_eq!(hear_within(body(vec![(9, text("a")), (4, text("b"))])).await, heard("ab", 18, slow));
    let alive = (0..20).map(|_| (1, ": still here".to_owned()));
    let alive = [(1, text("a"))].into_iter().chain(alive).collect();
    assert_eq!(hear_within(body(alive)).await, heard("a", 6, slow));
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_in_time() {
    let all: Vec<_> = (0..100).map(|_| (4, text("a"))).collect();
    let slow = "the provider is too slow: total";
    assert_eq!(hear_within(body(all)).await, heard(&"a".repeat(15), 60, slow));
}

#[tokio::test(start_paused = true)]
async fn a_usage_that_does_not_come_is_not_waited_for() {
    let ends = |more: Vec<(u64, String)>| {
        let begin = vec![(1, text("a")), (0, FINISH.to_owned())];
        hear_within(body([begin, more].concat()))
    };
    assert_eq!(ends(vec![]).await, heard("a", 3, "end false"));
    assert_eq!(ends(vec![(1, USAGE.to_owned())]).await, heard("a", 3, "end true"));
    assert_eq!(ends(vec![(9, USAGE.to_owned())]).await, heard("a", 3, "end false"));
    assert_eq!(
        ends(vec![(0, USAGE.to_owned()), (0, "data: [DONE]".to_owned())]).await,
        heard("a", 1, "end true")
    );
    assert_eq!(ends(vec![(0, "data: [DONE]".to_owned())]).await, heard("a", 1, "end false"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_no_slow_server() {
    let started = tokio::time::Instant::now();
    let format = Format::of(Some(&HeaderValue::from_static("Text/Event-Stream; charset=utf-8"))).unwrap();
    let body = body(vec![(1, text("a")), (1, text("b")), (1, text("c"))]);
    let mut reading = Reading::new(body, format, Limits { times: TIMES, started }, 100);
    for _ in 0..3 {
        assert!(matches!(reading.next().await, Some(Ok(Piece::Text(_)))));
        sleep(Duration::from_secs(15)).await;
    }
}

#[tokio::test]
async fn the_whole_call_keeps_its_limits() {
    let fake = FakeLlm::start().await.unwrap();
    let (short, long) = (Duration::from_millis(100), Duration::from_secs(60));
    let error = |reply: Reply, first_token, stall, total| {
        fake.script(vec![reply]);
        let mut settings = settings(fake.base_url());
        settings.times = Times { connect: long, first_token, stall, total };
        async move {
            let (model, started) = (OpenAi::new(settings).unwrap(), Instant::now());
            let error = hear(&model, &prompt()).await.error.unwrap();
            assert!(started.elapsed() < Duration::from_secs(5));
            error
        }
    };
    let text = || Reply::text("abc").every(1);
    for slow in
        [text().before_head(long), text().before_first(long), Reply::text("a").whole().before_first(long)]
    {
        let first = error(slow.clone(), short, long, long).await;
        assert_eq!(first, "the provider is too slow: first token");
        assert_eq!(error(slow, long, long, short).await, "the provider is too slow: total");
    }
    assert_eq!(error(text().between(long), long, short, long).await, "the provider is too slow: stall");
    let endless = Reply::endless("a").between(Duration::from_millis(10));
    assert_eq!(error(endless, long, long, short * 3).await, "the provider is too slow: total");
}

#[tokio::test]
async fn a_connection_must_come_in_time() {
    // It accepts and says nothing, so TLS does not come about.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings(format!("https://{}/v1", silent.local_addr().unwrap()));
    settings.times.connect = Duration::from_millis(100);
    let model = OpenAi::new(settings).unwrap();
    let error = model.answer(&prompt()).await.err().unwrap();
    assert_eq!(error.to_string(), "the provider is too slow: connect");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_cut() {
    let fake = FakeLlm::start().await.unwrap();
    let most = 100 * 16 + 64 * 1024;
    fake.script(vec![Reply::endless("0123456789".repeat(100)), Reply::text("x".repeat(most + 1)).whole()]);
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!(whole.error.as_deref(), Some("the provider's answer makes no sense: too long"));
    assert!(whole.text.len() <= most && whole.text.len() > most - 2_000, "{}", whole.text.len());
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!(
        (whole.text.len(), whole.error.as_deref()),
        (0, Some("the provider's answer makes no sense: too long"))
    );
}

#[tokio::test]
async fn what_is_no_text_has_an_end_too() {
    let fake = FakeLlm::start().await.unwrap();
    let comments = ": no text at all\n\n".repeat(100_000);
    fake.script(vec![Reply::stream(comments), Reply::http(200, " ".repeat(2 << 20))]);
    for _ in 0..2 {
        let whole = hear(&model(&fake), &prompt()).await;
        assert_eq!(whole.error.as_deref(), Some("the provider's answer makes no sense: too long"));
    }
}
