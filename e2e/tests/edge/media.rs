//! K6: bodies that are not what they should be, or not what they say.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use quipu_e2e::{Proof, Setup, count};
use reqwest::Method;

use crate::problem::Reply;

/// Types that are no JSON, however they look.
const TYPES: [&str; 30] = [
    "",
    "text/plain",
    "text/json",
    "text/html",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/msgpack",
    "application/octet-stream",
    "application/jsonp",
    "application/json5",
    "application/json-seq",
    "application/problem+json",
    "application/vnd.api+json",
    "application/ld+json",
    "application/jso",
    "application/json/x",
    "application / json",
    "json",
    "*/*",
    "application/*",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    "application/json; charset=latin1",
    "application/json; charset=",
    "application/json; a=b",
    "application/json; charset=utf-8; charset=utf-8",
    "application/json;charset=utf-8;a=b",
    "application/json; boundary=x",
    "application/grpc",
];

/// Types that are JSON.
const GOOD: [&str; 5] = [
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json ; charset=\"utf-8\"",
];

/// Codings, of which none is taken.
const CODINGS: [&str; 12] = [
    "gzip",
    "GZIP",
    "x-gzip",
    "deflate",
    "br",
    "zstd",
    "compress",
    "gzip, identity",
    "identity, gzip",
    "gzip, gzip",
    "unknown",
    "",
];

/// Routes with a body, and a good one for each.
const ROUTES: [(&str, &str, &str); 5] = [
    ("POST", "/v1/sentiment", r#"{"text":"x"}"#),
    ("POST", "/v1/sentiment/batch", r#"{"texts":["x"]}"#),
    ("POST", "/v1/auth/login", r#"{"email":"a@example.com","password":"p"}"#),
    ("POST", "/v1/auth/refresh", r#"{"refresh_token":"x"}"#),
    ("POST", "/v1/auth/api-keys", r#"{"name":"n","scopes":["profile:read"]}"#),
];

/// Queries that say something twice, or something unknown.
const QUERIES: [&str; 14] = [
    "page_size=1&page_size=2",
    "page_size=1&page_size=1",
    "page_token=a&page_token=b",
    "page_size=1&%70age_size=2",
    "page_size[]=1",
    "page_size[0]=1",
    "PAGE_SIZE=1",
    "page_size=1&x=1",
    "x",
    "=",
    "page_size",
    "page_size=1;page_size=2",
    "pagesize=1",
    "page_size&page_token=",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k6_only_declared_json_is_read() {
    let mut proof = Proof::new(
        "K6",
        "wrong, missing and coded bodies and doubled parameters are refused; a bomb costs nothing",
    );
    let mesh = Setup::new().without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let send = |(method, path, body): (&str, &str, &str), headers: &[(&'static str, &str)]| {
        let request = person.request(method.parse::<Method>().unwrap(), path).body(body.to_owned());
        Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    for route in ROUTES {
        for media in TYPES {
            let reply = send(route, &[("content-type", media)]).await;
            let problem = reply.problem(415);
            proof.check(problem.is_ok(), || format!("{media:?} {route:?}: {}", problem.unwrap_err()));
        }
        let reply = send(route, &[]).await;
        proof.check(reply.problem(415).is_ok(), || format!("no type: {reply:?}"));
        let reply = send(route, &[("content-type", GOOD[0]), ("content-type", GOOD[0])]).await;
        proof.check(reply.problem(415).is_ok(), || format!("two types: {reply:?}"));
        for media in GOOD {
            let reply = send(route, &[("content-type", media)]).await;
            let taken = !matches!(reply.status, 400 | 415) && reply.status < 500;
            proof.check(taken, || format!("{media} {route:?}: {reply:?}"));
        }
        for coding in CODINGS {
            let reply = send(route, &[("content-type", GOOD[0]), ("content-encoding", coding)]).await;
            proof.check(reply.problem(415).is_ok(), || format!("{coding:?}: {reply:?}"));
        }
    }
    for query in QUERIES {
        for path in ["/v1/auth/sessions", "/v1/auth/api-keys"] {
            let reply = Reply::of(person.request(Method::GET, &format!("{path}?{query}"))).await;
            proof.check(reply.problem(400).is_ok(), || format!("{path}?{query}: {reply:?}"));
        }
    }
    // 64 KiB that would be 64 MiB.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let base = mesh.process("gateway").memory().1;
    let bombs = count(200);
    for _ in 0..bombs {
        let request = person.request(Method::POST, "/v1/sentiment").header("content-type", GOOD[0]);
        let reply = Reply::of(request.header("content-encoding", "gzip").body(bomb.clone())).await;
        proof.check(reply.problem(415).is_ok(), || format!("a bomb: {reply:?}"));
    }
    let grown = mesh.process("gateway").memory().1.saturating_sub(base) / 1024;
    proof.require(grown < 16 * 1024, || format!("the bombs took {grown} KiB"));
    proof.figure(format!("{bombs} bombs of {} KiB took {grown} KiB", bomb.len() / 1024));
    proof.limit("415 or 400 each; ≤ 16 MiB more");
    proof.finish();
}
