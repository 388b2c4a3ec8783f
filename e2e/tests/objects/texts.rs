//! J1: odd texts are scored or refused, never a panic.

use std::{fmt::Write as _, time::Instant};

use quipu_e2e::{LIMIT, Person, ProcessMesh, Proof, is_full};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::{Contract, write_bytes},
    wire::{Reply, Wire},
    world::start,
};

/// A string of JSON without its quotation marks, as it stands in the body; and what may come of it.
struct Odd {
    what: &'static str,
    json: String,
    /// Whether it is refused, if that is certain.
    refused: Option<bool>,
}

fn odd() -> Vec<Odd> {
    let of = |what, json: String, refused| Odd { what, json, refused };
    vec![
        of("empty", String::new(), Some(true)),
        of("a space", " ".into(), Some(false)),
        of("1 MiB of words", "good bad ".repeat(116_508), Some(true)),
        of("one word of 1 MiB", "a".repeat(1 << 20), Some(true)),
        of("one word of 10,000", "a".repeat(10_000), Some(false)),
        of("one word of 10,001", "a".repeat(10_001), Some(true)),
        of("100,000 emoji", "😀".repeat(100_000), Some(true)),
        of("10,000 emoji", "😀".repeat(10_000), Some(false)),
        of("families of emoji", "👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(1_400), Some(false)),
        of("10,000 flags", "🇩🇪".repeat(5_000), Some(false)),
        of("zero width", "\u{200b}\u{200c}\u{200d}\u{feff}\u{2060}".repeat(2_000), Some(false)),
        of("10,000 combining marks", format!("a{}", "\u{301}".repeat(9_999)), Some(false)),
        of("10,001 combining marks", format!("a{}", "\u{301}".repeat(10_001)), Some(true)),
        of("combining marks alone", "\u{36f}".repeat(10_000), Some(false)),
        of("a lone high surrogate", r"\ud800".into(), Some(true)),
        of("a lone low surrogate", r"good \udc00 bad".into(), Some(true)),
        of("surrogates in the wrong order", r"\udc00\ud800".into(), Some(true)),
        of("a pair of surrogates", r"\ud83d\ude00".into(), Some(false)),
        of("right to left", "مرحبا بالعالم שלום עולם ".repeat(400), Some(false)),
        of("turned around", "\u{202e}good\u{202c}\u{2066}bad\u{2069}".repeat(500), Some(false)),
        of("NUL", r"\u0000".into(), Some(false)),
        of("NULs", r"good\u0000bad".repeat(1_000), Some(false)),
        of("control characters", r"\u0001\u0007\u001b[31m\u007f".repeat(500), Some(false)),
        of("no characters", "\u{ffff}\u{fffe}\u{10ffff}".repeat(3_000), Some(false)),
        of("replaced", "\u{fffd}".repeat(10_000), Some(false)),
        of("marks only", "!?.,;:".repeat(1_600), Some(false)),
        of("apostrophes", "n't'".repeat(2_500), Some(false)),
        of("digits", "9".repeat(10_000), Some(false)),
        of("new lines", r"\n\r\u2028\u2029\u0085".repeat(1_900), Some(false)),
        of("that grow when folded", "ŉǰΐΰẖİﬃ".repeat(1_400), Some(false)),
        of("that grow when normalised", "\u{fdfa}".repeat(10_000), Some(false)),
        of("Hangul in parts", "\u{1112}\u{1161}\u{11ab}".repeat(3_300), Some(false)),
        of("Thai without spaces", "ดีมาก".repeat(2_000), Some(false)),
        of("Chinese without spaces", "很好".repeat(5_000), Some(false)),
        of("not not not", "not ".repeat(2_500), Some(false)),
        of("log forging", r"good\n{\u0022level\u0022:\u0022error\u0022}\r\n".into(), Some(false)),
        of("a bomb of entities", "&lol9;<script>alert(1)</script>${jndi:ldap://x}%s%n".into(), Some(false)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j1_odd_texts_are_scored_or_refused() {
    let mut proof =
        Proof::new("J1", "odd texts and batches are scored or refused, without a panic, over REST and gRPC");
    let mesh = start().await;
    let person = mesh.signed_in("ada").await;
    let texts =
        Texts { wire: Wire::to(&mesh, "sentiment", "gateway").await, contract: Contract::read(), person };
    let mut longest = 0;
    for odd in odd() {
        for explain in [true, false].into_iter().take(if is_full() { 2 } else { 1 }) {
            let start = Instant::now();
            texts.over_rest(&mut proof, &odd, explain).await;
            texts.over_grpc(&mut proof, &odd, explain).await;
            longest = longest.max(start.elapsed().as_millis());
        }
    }
    texts.batches(&mut proof).await;
    texts.streams(&mut proof).await;
    texts.no_text_at_all(&mut proof).await;
    let panics = panics(&mesh).await;
    proof.check(panics.is_empty(), || format!("panics: {panics:?}"));
    proof.figure(format!("{} panics; the slowest text took {longest} ms five ways", panics.len()));
    proof.limit(format!("4xx or a score in [-1, 1], each within {} s; 0 panics", LIMIT.as_secs()));
    proof.finish();
}

struct Texts {
    wire: Wire,
    contract: Contract,
    person: Person,
}

impl Texts {
    async fn post(&self, path: &str, media: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self.person.request(Method::POST, path).header("content-type", media).body(body);
        // A body that is too large is refused while it is still being sent, so the answer may be lost: then it is asked again.
        for _ in 0..10 {
            let Ok(response) = request.try_clone().unwrap().send().await else { continue };
            let status = response.status().as_u16();
            if let Ok(text) = response.text().await {
                return (status, text);
            }
        }
        (0, "no answer".to_owned())
    }

    /// One, in a batch with others, in a stream with others.
    async fn over_rest(&self, proof: &mut Proof, odd: &Odd, explain: bool) {
        let Odd { what, json, refused } = odd;
        let fits = |failed: bool| refused.is_none_or(|refused| refused == failed);
        let body = format!(r#"{{"text":"{json}","explain":{explain}}}"#);
        let (status, text) = self.post("/v1/sentiment", "application/json", body).await;
        let scored = status == 200 && is_score(&serde_json::from_str(&text).unwrap());
        proof.check((scored || refused_by(status)) && fits(!scored), || {
            format!("{what}: {status} {}", cut(&text))
        });

        let body = format!(r#"{{"texts":["good","{json}","bad"],"explain":{explain}}}"#);
        let (status, text) = self.post("/v1/sentiment/batch", "application/json", body).await;
        let items = results(&text);
        let whole = status == 200 && items.len() == 3 && is_score(&items[0]) && is_score(&items[2]);
        let odd_one =
            whole && fits(!is_score(&items[1])) && (is_score(&items[1]) || items[1]["error"].is_object());
        proof.check(odd_one || refused_by(status), || format!("{what} in a batch: {status} {}", cut(&text)));

        let body = format!(
            "{{\"id\":\"1\",\"text\":\"good\"}}\n{{\"id\":\"2\",\"text\":\"{json}\",\"explain\":{explain}}}\n{{\"id\":\"3\",\"text\":\"bad\"}}\n"
        );
        let (status, text) = self.post("/v1/sentiment/stream", "application/x-ndjson", body).await;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let whole = status == 200 && lines.len() == 3 && is_score(&lines[0]) && is_score(&lines[2]);
        let odd_one =
            whole && fits(!is_score(&lines[1])) && (is_score(&lines[1]) || lines[1]["error"].is_object());
        proof.check(odd_one, || format!("{what} in a stream: {status} {}", cut(&text)));
    }

    /// The same over gRPC, where lone surrogates are bytes that are no UTF-8.
    async fn over_grpc(&self, proof: &mut Proof, odd: &Odd, explain: bool) {
        let parsed = serde_json::from_str::<String>(&format!("\"{}\"", odd.json));
        let bytes = parsed.map_or_else(|_| b"good \xed\xa0\x80 bad".to_vec(), String::into_bytes);
        for (name, number) in [("Analyze", 1), ("AnalyzeBatch", 1), ("AnalyzeStream", 2)] {
            let mut message = Vec::new();
            write_bytes(number, &bytes, &mut message);
            let flag =
                self.contract.fields(&self.contract.rpc(name).takes).iter().find(|f| f.name() == "explain");
            message.extend([u8::try_from(flag.unwrap().number()).unwrap() << 3, u8::from(explain)]);
            let reply = self.call(name, &message).await;
            // What is not UTF-8 is no message: that is INTERNAL by the gRPC library, and nothing else is.
            let undecoded = reply.code == 13 && String::from_utf8(bytes.clone()).is_err();
            let answered = matches!(reply.code, 0 | 3 | 8 | 11) || undecoded;
            let refused = odd.refused.is_none_or(|refused| name != "Analyze" || refused == (reply.code != 0));
            proof.check(answered && refused, || {
                format!("{} by {name}: {} {}", odd.what, reply.code, reply.message)
            });
        }
    }

    async fn call(&self, name: &str, message: &[u8]) -> Reply {
        self.wire.call(&self.contract.rpc(name).path, self.person.token.as_deref(), message).await
    }

    /// Of 0, 1, all and one too many; valid ones among invalid ones.
    async fn batches(&self, proof: &mut Proof) {
        for (count, status) in [(0, 400), (1, 200), (255, 200), (256, 200), (257, 400), (5_000, 400)] {
            let texts: Vec<_> = (0..count).map(|n| if n % 2 == 1 { "" } else { "good" }).collect();
            let (got, answer) = self.person.post("/v1/sentiment/batch", &json!({"texts": texts})).await;
            let results = answer["results"].as_array().cloned().unwrap_or_default();
            let each = results.iter().zip(&texts).all(|(r, t)| is_score(r) != t.is_empty());
            let fits = got == status && (status == 400 || results.len() == texts.len() && each);
            proof.check(fits, || format!("a batch of {count}: {got} {}", cut(&answer.to_string())));
            let mut message = Vec::new();
            texts.iter().for_each(|text| write_bytes(1, text.as_bytes(), &mut message));
            let reply = self.call("AnalyzeBatch", &message).await;
            let code = if status == 200 { 0 } else { 3 };
            proof.check(reply.code == code, || format!("a batch of {count} over gRPC: {reply:?}"));
        }
        let many = vec!["good"; 256];
        let (status, answer) = self.person.post("/v1/sentiment/batch", &json!({"texts": many})).await;
        let first = &answer["results"][0];
        let alike = answer["results"].as_array().is_some_and(|all| all.iter().all(|r| r == first));
        proof.check(status == 200 && alike, || format!("the same text 256 times: {status}"));
    }

    /// Ids that repeat, are missing or too long; lines that are none.
    async fn streams(&self, proof: &mut Proof) {
        let long = "i".repeat(129);
        let lines = [
            (r#"{"id":"1","text":"good"}"#.to_owned(), true),
            (r#"{"id":"1","text":"bad"}"#.to_owned(), true),
            (r#"{"id":"","text":"good"}"#.to_owned(), true),
            (r#"{"text":"good"}"#.to_owned(), true),
            (format!(r#"{{"id":"{long}","text":"good"}}"#), false),
            (r#"{"id":"\u0000","text":"good"}"#.to_owned(), true),
            ("not json".to_owned(), false),
            ("[]".to_owned(), false),
            (r#"{"id":1,"text":"good"}"#.to_owned(), false),
            (r#"{"id":"9","text":"good","text":"bad"}"#.to_owned(), false),
            (r#"{"id":"10","text":"good"}"#.to_owned(), true),
        ];
        let body = lines.iter().fold(String::new(), |mut body, (line, _)| {
            writeln!(body, "{line}").unwrap();
            body
        });
        let (status, text) = self.post("/v1/sentiment/stream", "application/x-ndjson", body).await;
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        proof.check(status == 200 && answers.len() == lines.len(), || format!("{status} {text}"));
        for ((line, good), answer) in lines.iter().zip(&answers) {
            proof.check(is_score(answer) == *good, || format!("{line}: {answer}"));
        }
    }

    /// Bodies that hold no text.
    async fn no_text_at_all(&self, proof: &mut Proof) {
        let bodies: [&[u8]; 12] = [
            b"",
            b"{}",
            b"null",
            b"[]",
            b"\"good\"",
            br#"{"text":null}"#,
            br#"{"text":1}"#,
            br#"{"text":["good"]}"#,
            b"{\"text\":\"\xff\xfe\"}",
            b"{\"text\":\"\xed\xa0\x80\"}",
            b"{\"text\":\"a\0b\"}",
            b"{\"text\":\"good",
        ];
        for body in bodies {
            for path in ["/v1/sentiment", "/v1/sentiment/batch"] {
                let (status, text) = self.post(path, "application/json", body.to_vec()).await;
                proof.check(refused_by(status), || format!("{path} {body:?}: {status} {text}"));
            }
        }
    }
}

fn refused_by(status: u16) -> bool {
    (400..500).contains(&status)
}

fn is_score(answer: &Value) -> bool {
    let within = |value: &Value, low: f64| value.as_f64().is_some_and(|v| (low..=1.0).contains(&v));
    let of = |label: &str| within(&answer["probabilities"][label], 0.0);
    let known = ["positive", "neutral", "negative"];
    known.iter().all(|label| of(label))
        && within(&answer["score"], -1.0)
        && known.iter().any(|l| answer["label"] == *l)
}

fn results(text: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    answer["results"].as_array().cloned().unwrap_or_default()
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

/// What the programs have counted, and what stands in their logs.
async fn panics(mesh: &ProcessMesh) -> Vec<String> {
    let mut panics = Vec::new();
    for process in &mesh.processes {
        let metrics = process.metrics().await;
        let counted =
            metrics.lines().filter(|l| l.contains("panic") && !l.starts_with('#') && !l.ends_with(" 0"));
        panics.extend(counted.map(str::to_owned));
        panics.extend(process.log().lines().filter(|l| l.contains("panicked")).map(str::to_owned));
    }
    panics
}
