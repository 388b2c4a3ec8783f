//! K10 at the gateway: bodies of JSON as long as may be, of elements as short as may be, eight at once.

use futures::future::join_all;
use quipu_e2e::{Person, Proof, is_full};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    memory::{AT_ONCE, MOST, Memory, mib},
    routes,
    world::start,
};

/// The limits of bodies: a batch, one text, all others.
const SIZES: [usize; 3] = [4 << 20, 128 << 10, 64 << 10];

/// A route that takes a body: its fields, by name and type.
struct Taker {
    method: Method,
    path: String,
    fields: Vec<(String, String)>,
    lines: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k10_gateway_short_elements_in_long_bodies_stay_small() {
    let mut proof = Proof::new("K10.gateway", "the longest bodies of the shortest elements stay small");
    let mesh = start().await;
    let admin = mesh.administrator().await;
    let takers = takers();
    for _ in 0..2 {
        let fine = json!({"text": "Fine."});
        join_all((0..AT_ONCE).map(|_| admin.post("/v1/sentiment", &fine))).await;
    }
    let mut memory = Memory::now(&mesh);
    for taker in &takers {
        for size in sizes(taker) {
            for (what, body) in shapes(taker, *size) {
                let context = format!("{} {} {what}, {} KiB", taker.method, taker.path, size >> 10);
                memory.begin();
                let statuses = join_all((0..AT_ONCE).map(|_| send(&admin, taker, &body))).await;
                let more = memory.end(&context);
                proof.check(more <= MOST, || format!("{context}: +{:.1} MiB", mib(more)));
                let answered = statuses.iter().all(|s| matches!(s, 200..=299 | 400..=499 | 503));
                proof.check(answered, || format!("{context}: {statuses:?}"));
            }
        }
    }
    let works = admin.post("/v1/sentiment", &json!({"text": "Fine."})).await;
    proof.require(works.0 == 200, || format!("the control: {works:?}"));
    proof.require(takers.len() >= 10, || format!("{} routes take a body", takers.len()));
    proof.figure(format!("{} routes; {}", takers.len(), memory.figure()));
    proof.limit("8 at once take at most 64 MiB more; 0 crashes");
    proof.finish();
}

/// Longer bodies than a route takes are refused by their length. Those of a stream are never whole in memory: it takes lines,
/// which are as long as one text. In the short form only lists are as long as can be.
fn sizes(taker: &Taker) -> &'static [usize] {
    let lists = taker.fields.iter().any(|(_, kind)| kind.contains("array"));
    match (is_full(), taker.lines) {
        (true, false) => &SIZES,
        (true, true) => &SIZES[1..],
        (false, false) if lists && taker.path.contains("sentiment") => &SIZES[..1],
        (false, _) => &SIZES[2..],
    }
}

/// From the gateway's own document.
fn takers() -> Vec<Taker> {
    let document = routes::document();
    let mut takers = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            let (media, body) = content.iter().next().unwrap();
            let name = body["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let schema = &document["components"]["schemas"][name]["properties"];
            let fields = schema.as_object().unwrap().iter();
            let fields = fields.map(|(name, field)| (name.clone(), field["type"].to_string())).collect();
            takers.push(Taker {
                method: verb.to_uppercase().parse().unwrap(),
                path: path.replace("{id}", "0000000000000000000000"),
                fields,
                lines: media == "application/x-ndjson",
            });
        }
    }
    takers
}

async fn send(person: &Person, taker: &Taker, body: &bytes::Bytes) -> u16 {
    let media = if taker.lines { "application/x-ndjson" } else { "application/json" };
    let request = person.request(taker.method.clone(), &taker.path).header("content-type", media);
    match request.body(body.clone()).send().await {
        // The answer may be cut short: what counts is that there is one.
        Ok(response) => {
            let status = response.status().as_u16();
            let _ = response.bytes().await;
            status
        }
        // It is told that the body is too large while it is still sending.
        Err(error) if error.is_request() || error.is_body() => 499,
        Err(error) => panic!("{} {}: {error:?}", taker.method, taker.path),
    }
}

/// Bodies of a size.
fn shapes(taker: &Taker, size: usize) -> Vec<(String, bytes::Bytes)> {
    let mut shapes = Vec::new();
    let mut add = |what: String, start: &str, element: &str, end: &str| {
        let times = (size - start.len() - end.len()) / element.len();
        let mut body = format!("{start}{}", element.repeat(times));
        if body.ends_with(',') {
            body.pop();
        }
        shapes.push((what, bytes::Bytes::from(body + end)));
    };
    for (name, kind) in &taker.fields {
        let start = format!("{{\"{name}\":");
        add(format!("{name} as deep as can be"), &start, "[", "");
        add(format!("{name} as deep an object as can be"), &start, "{\"a\":", "");
        if kind.contains("array") {
            add(format!("{name}: empty texts"), &format!("{start}["), "\"\",", "]}");
            add(format!("{name}: texts of a letter"), &format!("{start}["), "\"a\",", "]}");
            add(format!("{name}: texts of an escape"), &format!("{start}["), "\"\\n\",", "]}");
            add(format!("{name}: numbers"), &format!("{start}["), "0,", "]}");
        } else {
            add(format!("{name}: of letters"), &format!("{start}\""), "a", "\"}");
            add(format!("{name}: of escapes"), &format!("{start}\""), "\\u0041", "\"}");
        }
    }
    add("unknown members".to_owned(), "{", "\"a\":0,", "}");
    add("lists in a list".to_owned(), "[", "[],", "]");
    add("spaces".to_owned(), "{", " ", "}");
    if taker.lines {
        add("lines of a text".to_owned(), "", "{\"text\":\"a\"}\n", "");
        add("lines of nothing".to_owned(), "", "{}\n", "");
        add("empty lines".to_owned(), "", "\n", "");
    }
    let whole = Value::Null.to_string();
    shapes.push(("nothing".to_owned(), whole.into()));
    shapes
}
