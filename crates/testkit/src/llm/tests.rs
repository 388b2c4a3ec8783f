use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deltas::deltas;
use super::reply::Cuts;
use super::{Break, FakeLlm, Reply};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

async fn send(fake: &FakeLlm, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(fake.addr()).await.unwrap();
    ask(&mut stream, body).await;
    stream
}

async fn ask(stream: &mut TcpStream, body: &Value) {
    let (body, path) = (body.to_string(), "/v1/chat/completions");
    let head =
        format!("POST {path} HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).await.unwrap();
}

/// Reads until the text is there, and returns all up to then.
async fn read_to(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&all).contains(text) {
            assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "{}", String::from_utf8_lossy(&all));
        }
    };
    tokio::time::timeout(LIMIT, read).await.unwrap();
    String::from_utf8(all).unwrap()
}

fn wish() -> Value {
    json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "Hi" }] })
}

#[test]
fn a_text_is_split_where_it_is_said() {
    assert_eq!(deltas("abcde", &Cuts::Every(2), false), ["ab", "cd", "e"]);
    assert_eq!(deltas("abcde", &Cuts::At(vec![1, 4]), false), ["a", "bcd", "e"]);
    assert_eq!(deltas("aéb", &Cuts::At(vec![2]), false), ["aé", "b"]);
    assert_eq!(deltas("aé\"\n", &Cuts::Nowhere, true), [r#"a\u00e9\"\u000a"#]);
    assert_eq!(deltas("a😀b", &Cuts::At(vec![3]), true), [r"a\ud83d", r"\ude00b"]);
    assert!(deltas("", &Cuts::Every(1), false).is_empty());
}

#[test]
fn every_split_loses_nothing() {
    let text = "zß水😀\"\\\n";
    for escaped in [false, true] {
        for bytes in 1..=text.len() {
            let whole = deltas(text, &Cuts::Every(bytes), escaped).concat();
            assert_eq!(serde_json::from_str::<String>(&format!("\"{whole}\"")).unwrap(), text);
        }
    }
}

#[tokio::test]
async fn a_connection_serves_calls_one_after_the_other_and_they_are_kept() {
    let fake = FakeLlm::start().await.unwrap();
    fake.script(vec![Reply::text("first").every(2).usage(3, 4)]);
    let mut stream = send(&fake, &wish()).await;
    let first = read_to(&mut stream, "0\r\n\r\n").await;
    assert!(first.contains("text/event-stream") && first.contains("data: [DONE]"), "{first}");
    assert!(!first.contains("prompt_tokens"), "nobody asked for the usage: {first}");
    let whole = json!({ "messages": [{ "role": "user", "content": "Hi" }] });
    fake.obey();
    ask(&mut stream, &whole).await;
    let second = read_to(&mut stream, "total_tokens").await;
    assert!(second.contains(r#""content":"Hi""#) && second.contains("application/json"), "{second}");
    let counts = fake.wait_for(LIMIT, |counts| counts.completed == 2).await.unwrap();
    assert_eq!((counts.connections, counts.calls, counts.under_way, counts.cancelled), (1, 2, 0, 0));
    let asked = fake.asked();
    assert_eq!(asked.iter().map(|asked| asked.body.clone()).collect::<Vec<_>>(), [wish(), whole]);
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer k"));
}

#[tokio::test]
async fn who_leaves_is_noticed() {
    let fake = FakeLlm::start().await.unwrap();
    fake.script(vec![Reply::endless("on and on "), Reply::text("x").before_head(LIMIT)]);
    let mut stream = send(&fake, &wish()).await;
    read_to(&mut stream, "on and on").await;
    drop(stream);
    fake.wait_for(LIMIT, |counts| counts.cancelled == 1 && counts.under_way == 0).await.unwrap();
    drop(send(&fake, &wish()).await);
    fake.wait_for(LIMIT, |counts| counts.cancelled == 2 && counts.under_way == 0).await.unwrap();
    assert_eq!(fake.cancellations().len(), 2);
    assert!(fake.left().iter().all(|(asked, _)| asked.body == wish()));
}

#[tokio::test]
async fn it_breaks_off_where_it_is_said() {
    let fake = FakeLlm::start().await.unwrap();
    let text = || Reply::text("abc").every(1);
    fake.script(vec![text().break_after(2, Break::Reset), text().break_after(1, Break::Close)]);
    let mut stream = send(&fake, &wish()).await;
    let mut all = Vec::new();
    assert!(stream.read_to_end(&mut all).await.is_err());
    let mut all = String::new();
    send(&fake, &wish()).await.read_to_string(&mut all).await.unwrap();
    assert!(all.contains(r#""content":"a""#) && !all.contains(r#""content":"b""#), "{all}");
    assert!(!all.contains("[DONE]") && !all.ends_with("0\r\n\r\n"), "{all}");
    assert_eq!(fake.counts().broken, 2);
}

#[tokio::test]
async fn it_lists_its_model_and_knows_no_other_path() {
    let fake = FakeLlm::start().await.unwrap();
    let mut stream = TcpStream::connect(fake.addr()).await.unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_to(&mut stream, "\"list\"}").await.starts_with("HTTP/1.1 200 "));
    stream.write_all(b"GET /else HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_to(&mut stream, "not_found").await.starts_with("HTTP/1.1 404 "));
    assert_eq!(fake.counts().calls, 0);
}
