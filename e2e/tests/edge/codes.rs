//! K3: what a service's end becomes outside.

use std::time::Duration;

use quipu_e2e::{Proof, Setup};
use reqwest::Method;
use serde_json::json;

use crate::{backend::mesh_with_backend, problem::Reply};

/// gRPC code and HTTP status.
const TABLE: [(i32, u16); 19] = [
    (1, 499),
    (2, 500),
    (3, 400),
    (4, 504),
    (5, 404),
    (6, 409),
    (7, 403),
    (8, 429),
    (9, 400),
    (10, 409),
    (11, 400),
    (12, 501),
    (13, 500),
    (14, 503),
    (15, 500),
    (16, 401),
    (17, 500),
    (99, 500),
    (-1, 500),
];

/// Answers that are none of gRPC, or half of one, and the statuses that they may become.
const BROKEN: [(&str, &[u16]); 16] = [
    ("no status", &[500]),
    ("no status message", &[500]),
    ("no message", &[500]),
    ("two messages", &[500, 200]),
    ("garbage", &[500]),
    ("compressed", &[500, 501]),
    ("huge", &[500, 413]),
    ("empty", &[500]),
    ("http 302", &[500]),
    ("http 400", &[500]),
    ("http 401", &[500, 401]),
    ("http 403", &[500, 403]),
    ("http 404", &[500, 501]),
    ("http 429", &[500, 503]),
    ("http 500", &[500]),
    ("http 502", &[500, 503]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_every_code_has_its_status_and_no_text_of_the_inside_comes_out() {
    let mut proof =
        Proof::new("K3", "the status of gRPC becomes one status of HTTP, and nothing of its text comes out");
    let (_mesh, backend, person) = mesh_with_backend(Setup::new()).await;
    let ask = |text: String, id: String| {
        let request = person.request(Method::POST, "/v1/sentiment").timeout(Duration::from_secs(15));
        Reply::of(request.header("x-request-id", id).json(&json!({"text": text})))
    };
    for (code, status) in TABLE {
        for form in ["bare", "detailed", "trailers"] {
            let (text, id) = (format!("code {code} {form}"), format!("k3-{code}-{form}"));
            let reply = ask(text.clone(), id.clone()).await;
            let formed = reply.form();
            let kept = reply.header("x-request-id") == id;
            let waits = !matches!(status, 429 | 503) || !reply.header("retry-after").is_empty();
            let says_who = status != 401 || reply.header("www-authenticate").starts_with("Bearer");
            let holds = reply.status == status && formed.is_ok() && kept && waits && says_who;
            proof.check(holds, || format!("{text}: {formed:?} {reply:?}"));
        }
    }
    for (text, statuses) in BROKEN {
        let reply = ask(text.to_owned(), "k3".to_owned()).await;
        let holds = statuses.contains(&reply.status) && (reply.status == 200 || reply.form().is_ok());
        proof.check(holds, || format!("{text}: {:?} {reply:?}", reply.form()));
    }
    proof.figure(format!(
        "{} codes in 3 forms, {} broken answers; {} calls",
        TABLE.len(),
        BROKEN.len(),
        backend.calls("").len()
    ));
    proof.limit("each its one status, 0 texts of the inside");
    proof.finish();
}
