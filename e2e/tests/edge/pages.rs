//! K8: page tokens that are not the caller's, and sizes that are none.

use quipu_e2e::{PASSWORD, Person, Proof, Setup};
use reqwest::Method;

use crate::problem::Reply;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Sizes that are none; the last ones as they stand in the query.
const SIZES: [&str; 30] = [
    "0",
    "-0",
    "-1",
    "201",
    "1000",
    "1000000000",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "1.0",
    "1.5",
    "1e2",
    "0x10",
    "",
    "abc",
    "NaN",
    "true",
    "null",
    "[1]",
    "%D9%A1",
    "1%00",
    "%201",
    "1%20",
    "%2B",
    "1_0",
    "1,2",
    "50'--",
];

/// Tokens that are none.
const TOKENS: [&str; 14] = [
    "a",
    "%00",
    "..%2F..%2Fetc%2Fpasswd",
    "'%20OR%201=1--",
    "%27;DROP%20TABLE%20sessions",
    "{}",
    "[]",
    "null",
    "AAAA",
    "eyJhIjoxfQ",
    "%F0%9F%98%80",
    "%FF%FE",
    "=",
    "WyIyMDI2IiwiYSJd",
];

async fn page(person: &Person, path: &str, query: &str) -> Reply {
    Reply::of(person.request(Method::GET, &format!("{path}?{query}"))).await
}

fn next(reply: &Reply) -> String {
    reply.json()["next_page_token"].as_str().unwrap_or_default().to_owned()
}

/// Every token with one character changed, cut off, or added.
fn tampered(token: &str) -> Vec<String> {
    let mut all = Vec::new();
    for at in 0..token.len() {
        let own = ALPHABET.iter().position(|b| *b == token.as_bytes()[at]).unwrap();
        for step in [1, 32] {
            let mut bytes = token.as_bytes().to_vec();
            bytes[at] = ALPHABET[(own + step) % ALPHABET.len()];
            all.push(String::from_utf8(bytes).unwrap());
        }
        all.push(format!("{}{}", &token[..at], &token[at + 1..]));
    }
    all.extend([
        format!("{token}A"),
        format!("{token}="),
        format!("A{token}"),
        format!("{token}{token}"),
        token.to_lowercase(),
    ]);
    all.push("A".repeat(2_000));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k8_a_page_token_is_good_for_its_list_and_its_user_only() {
    let mut proof =
        Proof::new("K8", "changed, foreign and made-up page tokens and sizes out of bounds are refused");
    let mesh = Setup::new().without_rates().start().await;
    let mut ada = mesh.signed_in("ada").await;
    for _ in 0..4 {
        ada.sign_in("ada", PASSWORD).await;
    }
    let (bob, admin) = (mesh.signed_in("bob").await, mesh.administrator().await);
    let sessions = "/v1/auth/sessions";
    let first = page(&ada, sessions, "page_size=2").await;
    let token = next(&first);
    proof.check(first.status == 200 && !token.is_empty(), || format!("the control: {first:?}"));

    let mut seen = first.json()["sessions"].as_array().map_or(0, Vec::len);
    let mut at = token.clone();
    while !at.is_empty() {
        let reply = page(&ada, sessions, &format!("page_size=2&page_token={at}")).await;
        seen += reply.json()["sessions"].as_array().map_or(0, Vec::len);
        at = next(&reply);
    }
    proof.check(seen == 5, || format!("{seen} sessions of 5 on all pages"));

    let changed = tampered(&token);
    for token in &changed {
        let reply = page(&ada, sessions, &format!("page_size=2&page_token={token}")).await;
        proof.check(reply.problem(400).is_ok(), || format!("{token}: {reply:?}"));
    }
    let users = next(&page(&admin, "/v1/users", "page_size=1").await);
    let foreign = [
        (&bob, sessions, &token),
        (&admin, sessions, &token),
        (&ada, "/v1/auth/api-keys", &token),
        (&admin, "/v1/users", &token),
        (&ada, sessions, &users),
        (&admin, sessions, &users),
    ];
    for (person, path, token) in foreign {
        let reply = page(person, path, &format!("page_token={token}")).await;
        proof.check(reply.problem(400).is_ok(), || format!("foreign at {path}: {reply:?}"));
    }
    for path in [sessions, "/v1/auth/api-keys", "/v1/users"] {
        for query in
            TOKENS.map(|t| format!("page_token={t}")).iter().chain(&SIZES.map(|s| format!("page_size={s}")))
        {
            let reply = page(&admin, path, query).await;
            proof.check(reply.problem(400).is_ok(), || format!("{path}?{query}: {reply:?}"));
        }
        for size in [1, 200] {
            let reply = page(&admin, path, &format!("page_size={size}")).await;
            proof.check(reply.status == 200, || format!("{path}, size {size}: {reply:?}"));
        }
    }
    proof.figure(format!(
        "{} changed, {} foreign, {} made-up tokens, {} sizes: all refused",
        changed.len(),
        foreign.len(),
        TOKENS.len() * 3,
        SIZES.len() * 3
    ));
    proof.limit("400 each; tokens name a position, so they do not expire");
    proof.finish();
}
