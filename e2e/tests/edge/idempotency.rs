//! K4: a write with a key has one effect and one answer.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use mesh_testkit::Fault;
use quipu_e2e::{Person, ProcessMesh, Proof, Setup, count, eventually, is_full};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::problem::Reply;

const KEYS: &str = "/v1/auth/api-keys";

/// So long the proxy holds each piece back.
const SLOW: Duration = Duration::from_millis(500);

/// A key is blocked by a write that died for so long (docs/api.md).
const LEASE: Duration = Duration::from_secs(60);

fn make(name: &str) -> Value {
    json!({"name": name, "scopes": ["profile:read"]})
}

async fn write(person: &Person, key: &str, body: &Value) -> Reply {
    Reply::of(person.request(Method::POST, KEYS).header("idempotency-key", key).json(body)).await
}

/// How many keys of this name there are, asked of the database itself.
async fn effects(mesh: &ProcessMesh, name: &str) -> i64 {
    let url = mesh.database.as_ref().unwrap().url();
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = sqlx::query_scalar("SELECT COUNT(*) FROM api_keys WHERE name = $1").bind(name);
    query.fetch_one(&mut connection).await.unwrap()
}

fn is_replay(reply: &Reply) -> bool {
    reply.status == 201 && reply.header("idempotency-replayed") == "true"
}

/// A person at another gateway with the same token.
fn at(mesh: &ProcessMesh, gateway: &str, person: &Person) -> Person {
    mesh.person_at(gateway).with_token(person.token.as_deref().unwrap())
}

/// A hundred at once at two gateways: one effect, one answer.
async fn parallel(
    proof: &mut Proof,
    mesh: &ProcessMesh,
    persons: &[Person; 2],
    round: usize,
) -> (i64, usize) {
    let (name, key) = (format!("parallel-{round}"), format!("k4-{round}"));
    let body = make(&name);
    let replies = join_all((0..100).map(|n| write(&persons[n % 2], &key, &body))).await;
    let mut texts = BTreeSet::new();
    for reply in &replies {
        let made = reply.status == 201;
        if made {
            texts.insert(reply.text.clone());
        }
        let waits = reply.problem(409).is_ok()
            && reply.reason() == "IDEMPOTENCY_IN_PROGRESS"
            && !reply.header("retry-after").is_empty();
        proof.check(made || waits, || format!("round {round}: {reply:?}"));
    }
    let again = write(&persons[1], &key, &body).await;
    proof.check(is_replay(&again) && texts.contains(&again.text), || format!("the replay: {again:?}"));
    let quoted = write(&persons[0], &format!("\"{key}\""), &body).await;
    proof.check(is_replay(&quoted) && quoted.text == again.text, || format!("in quotes: {quoted:?}"));
    let first = replies.iter().filter(|r| r.status == 201 && !is_replay(r)).count();
    proof.check(first == 1, || format!("{first} answers that are no replay"));
    (effects(mesh, &name).await, texts.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k4_one_key_is_one_effect_and_one_answer() {
    let mut proof =
        Proof::new("K4", "the same key and body have one effect and one answer, for one user and one route");
    let mesh = Setup::new().servers().gateways(2).without_rates().start().await;
    let (ada, bob) = (mesh.signed_in("ada").await, mesh.signed_in("bob").await);
    let persons = [ada.clone(), at(&mesh, "gateway-2", &ada)];
    let rounds = count(40);
    let mut doubled = 0;
    for round in 0..rounds {
        let (effects, answers) = parallel(&mut proof, &mesh, &persons, round).await;
        doubled += effects - 1;
        proof.check(effects == 1 && answers == 1, || {
            format!("round {round}: {effects} effects, {answers} answers")
        });
    }
    bindings(&mut proof, &persons, &bob).await;
    malformed(&mut proof, &ada).await;
    proof.figure(format!("{rounds} rounds of 100 at once on two gateways: {doubled} effects too many"));
    proof.limit("0 too many; replays equal byte for byte");
    proof.finish();
}

/// Another body, user or route.
async fn bindings(proof: &mut Proof, persons: &[Person; 2], bob: &Person) {
    let own = write(&persons[0], "k4-bound", &make("own")).await;
    for (what, body) in [
        ("another name", make("other")),
        ("another scope", json!({"name": "own", "scopes": ["profile:write"]})),
        ("no body", json!({})),
    ] {
        let other = write(&persons[1], "k4-bound", &body).await;
        proof.check(other.problem(422).is_ok() && other.reason() == "IDEMPOTENCY_KEY_REUSED", || {
            format!("{what}: {other:?}")
        });
    }
    let foreign = write(bob, "k4-bound", &make("own")).await;
    let isolated = foreign.status == 201
        && !is_replay(&foreign)
        && foreign.json()["api_key"]["id"] != own.json()["api_key"]["id"];
    proof.check(isolated, || format!("another user: {foreign:?}"));
    let different = write(bob, "k4-bound", &make("bob's other")).await;
    proof.check(different.problem(422).is_ok(), || format!("and the other's own binding: {different:?}"));
    let password = json!({"current_password": quipu_e2e::PASSWORD, "new_password": "eight knotted cords"});
    let route = persons[0].request(Method::PUT, "/v1/auth/password").header("idempotency-key", "k4-bound");
    let route = Reply::of(route.json(&password)).await;
    proof.check(route.status == 204 && route.header("idempotency-replayed").is_empty(), || {
        format!("another route: {route:?}")
    });
    let nobody = persons[0].with_token("x");
    let nobody = write(&nobody, "k4-bound", &make("own")).await;
    proof.check(nobody.problem(401).is_ok(), || format!("nobody: {nobody:?}"));
}

async fn malformed(proof: &mut Proof, ada: &Person) {
    let (longest, long) = ("k".repeat(255), "k".repeat(256));
    let bad = [
        "",
        " ",
        "\"\"",
        "\"",
        "\"a",
        "a\"",
        "a b",
        "a,b",
        "a;b=1",
        "a\\b",
        "\"a\\\"b\"",
        "é",
        &long,
        &format!("\"{long}\""),
    ];
    for key in bad {
        let request = ada.request(Method::POST, KEYS).json(&make("malformed"));
        let value = reqwest::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let reply = Reply::of(request.header("idempotency-key", value)).await;
        proof.check(reply.problem(400).is_ok() && reply.reason() == "IDEMPOTENCY_KEY_INVALID", || {
            format!("{key:?}: {reply:?}")
        });
    }
    let twice = ada.request(Method::POST, KEYS).header("idempotency-key", "a").header("idempotency-key", "a");
    let twice = Reply::of(twice.json(&make("malformed"))).await;
    proof.check(twice.problem(400).is_ok(), || format!("two keys: {twice:?}"));
    let longest = write(ada, &longest, &make("longest")).await;
    proof.check(longest.status == 201, || format!("255 characters: {longest:?}"));
    let failed = write(ada, "k4-failed", &json!({"name": "n", "scopes": ["nothing"]})).await;
    let retried = write(ada, "k4-failed", &make("retried")).await;
    proof.check(failed.status >= 400 && retried.status == 201, || {
        format!("a failure frees its key: {failed:?} {retried:?}")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k4_crash_of_a_gateway_in_the_middle_doubles_nothing() {
    let mut proof = Proof::new(
        "K4.crash",
        "kill -9 of a gateway between effect and record blocks the key and doubles nothing",
    );
    let mut mesh = Setup::new().servers().gateways(2).proxied().without_rates().start().await;
    let ada = mesh.signed_in("ada").await;
    let other = at(&mesh, "gateway-2", &ada);
    let mut doubled = 0;
    let rounds = count(10).max(2);
    for round in 0..rounds {
        let (name, key) = (format!("crash-{round}"), format!("k4-crash-{round}"));
        let body = make(&name);
        mesh.proxy.as_ref().unwrap().set(Fault::Latency(SLOW));
        let request = ada.request(Method::POST, KEYS).header("idempotency-key", &key).json(&body);
        let going = tokio::spawn(request.send());
        // The key is there, and its answer is still under way to the gateway.
        let made = eventually(quipu_e2e::LIMIT, || async { effects(&mesh, &name).await == 1 }).await;
        let waiting = write(&other, &key, &body).await;
        mesh.stop("gateway", "KILL").await;
        let lost = going.await.unwrap();
        proof.check(made && lost.is_err(), || format!("killed too late: {lost:?}"));
        mesh.proxy.as_ref().unwrap().set(Fault::None);
        mesh.start_again("gateway").await;
        for (who, person) in [("the other gateway", &other), ("the same again", &ada)] {
            let reply = write(person, &key, &body).await;
            let blocked = reply.problem(409).is_ok() && reply.reason() == "IDEMPOTENCY_IN_PROGRESS";
            proof.check(blocked && !reply.header("retry-after").is_empty(), || format!("{who}: {reply:?}"));
        }
        proof.check(waiting.problem(409).is_ok(), || format!("while it was in progress: {waiting:?}"));
        let effects = effects(&mesh, &name).await;
        doubled += effects - 1;
        proof.check(effects == 1, || format!("round {round}: {effects} effects"));
    }
    if is_full() {
        // When the lease is over the key is free: a registration is then stopped by the account that is there.
        after_the_lease(&mut proof, &mut mesh).await;
    }
    proof.figure(format!("{rounds} gateways killed between effect and record: {doubled} effects too many"));
    proof.limit(
        "0 while the lease of 60 s lasts; afterwards the write is tried again and its service decides",
    );
    proof.finish();
}

async fn after_the_lease(proof: &mut Proof, mesh: &mut ProcessMesh) {
    let body = json!({"email": "eve@example.com", "password": "nine knotted cords"});
    let register = |person: Person| {
        let body = body.clone();
        async move {
            person
                .request(Method::POST, "/v1/auth/register")
                .header("idempotency-key", "k4-lease")
                .json(&body)
                .send()
                .await
        }
    };
    mesh.proxy.as_ref().unwrap().set(Fault::Latency(SLOW));
    let going = tokio::spawn(register(mesh.person()));
    let there = || async {
        let mut connection = PgConnection::connect(mesh.database.as_ref().unwrap().url()).await.unwrap();
        let query =
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM users WHERE email = 'eve@example.com'");
        query.fetch_one(&mut connection).await.unwrap() == 1
    };
    let made = eventually(quipu_e2e::LIMIT, there).await;
    mesh.stop("gateway", "KILL").await;
    let lost = going.await.unwrap();
    proof.check(made && lost.is_err(), || "the registration was not cut");
    mesh.proxy.as_ref().unwrap().set(Fault::None);
    mesh.start_again("gateway").await;
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    let answer = register(mesh.person()).await.map(|r| r.status().as_u16());
    proof.check(matches!(answer, Ok(409)), || format!("after the lease: {answer:?}"));
}
