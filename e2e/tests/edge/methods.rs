//! K5: methods that a path does not have, HEAD, and the headers of every answer.

use std::collections::BTreeMap;

use quipu_e2e::{Proof, Setup};
use reqwest::Method;
use serde_json::Value;

use crate::problem::Reply;

/// Methods that are tried on every path.
const METHODS: [&str; 18] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "TRACK", "DEBUG", "PROPFIND",
    "MKCOL", "LOCK", "QUERY", "PURGE", "get", "BREW", "X-Y",
];

/// Headers that every answer has.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Path and its methods, as the contract has them.
fn contract(document: &Value) -> BTreeMap<String, Vec<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        let mut all: Vec<_> = item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
        if all.iter().any(|m| m == "GET") {
            all.push("HEAD".into());
        }
        all.sort();
        all
    };
    paths
        .iter()
        .map(|(path, item)| (path.replace("{id}", "abc").replace("{file}", "x.js"), methods(item)))
        .collect()
}

/// What every answer lacks or should lack.
fn headers(reply: &Reply) -> Result<(), String> {
    let missing = HEADERS.iter().find(|(name, value)| !reply.header(name).contains(value));
    let forbidden =
        ["server", "x-powered-by", "strict-transport-security", "access-control-allow-origin", "set-cookie"];
    let told = forbidden.iter().find(|name| reply.headers.contains_key(**name));
    let named = !reply.header("x-request-id").is_empty() && !reply.header("cache-control").is_empty();
    if missing.is_none() && told.is_none() && named {
        Ok(())
    } else {
        Err(format!("{missing:?} {told:?}: {reply:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_methods_that_a_path_does_not_have_are_405_with_those_it_has() {
    let mut proof = Proof::new(
        "K5.methods",
        "other methods are refused with Allow, and every answer has the security headers",
    );
    let mesh = Setup::new().without_rates().start().await;
    let person = mesh.person();
    let (_, document) = person.get("/openapi.json").await;
    let (mut refused, mut answered) = (0, 0);
    for (path, methods) in contract(&document) {
        for method in METHODS {
            let reply = Reply::of(person.request(method.parse::<Method>().unwrap(), &path)).await;
            let headed = headers(&reply);
            answered += 1;
            if methods.iter().any(|m| m == method) {
                let holds = reply.status != 405 && reply.status < 500 && headed.is_ok();
                proof.check(holds, || format!("{method} {path}: {headed:?} {reply:?}"));
                continue;
            }
            refused += 1;
            let mut allow: Vec<_> = reply.header("allow").split(',').map(|m| m.trim().to_owned()).collect();
            allow.sort();
            let holds = reply.status == 405 && allow == methods && headed.is_ok();
            proof.check(holds, || format!("{method} {path}: {headed:?} {reply:?}"));
        }
    }
    for path in ["/healthz", "/info", "/openapi.json", "/docs/", "/v1/auth/me", "/nothing"] {
        let get = Reply::of(person.request(Method::GET, path)).await;
        let head = Reply::of(person.request(Method::HEAD, path)).await;
        let same = get.status == head.status && head.text.is_empty();
        let alike = get.header("content-type") == head.header("content-type");
        proof.check(same && alike, || format!("HEAD {path}: {head:?}"));
    }
    proof.figure(format!(
        "{answered} pairs of path and method, {refused} refused with the methods that are there"
    ));
    proof.limit("405 with exactly those of the contract");
    proof.finish();
}
