//! G6: sign-in does not tell who has an account: not by its answers, not by its work, not by its time.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt as _;
use quipu_e2e::{PASSWORD, Person, ProcessMesh, Proof, count};
use rand::seq::SliceRandom as _;
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{gates, hashes, login, register, setup};

/// Tries at one address: as many as are free of any wait.
const EACH: usize = 5;
/// Where the curious one is; nobody's home.
const ELSEWHERE: &str = "192.0.2.99";

/// The mesh without the limit of a place, so that one curious machine can ask about many accounts.
async fn mesh() -> ProcessMesh {
    setup().with("auth", "QUIPU_AUTH_SOURCE_FAILURES", "1000000").start().await
}

async fn register_all(person: &Person, names: &[String]) {
    let all = names.iter().map(|name| register(person, name));
    futures::stream::iter(all).buffer_unordered(6).collect::<Vec<_>>().await;
}

fn names(kind: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{kind}{n:04}@example.com")).collect()
}

/// How likely it is that one of `a` is larger than one of `b`: a half when nothing tells them apart.
fn auc(a: &[Duration], b: &[Duration]) -> f64 {
    let mut sorted = b.to_vec();
    sorted.sort_unstable();
    let half_wins: usize =
        a.iter().map(|a| sorted.partition_point(|b| b < a) + sorted.partition_point(|b| b <= a)).sum();
    half_wins as f64 / (2 * a.len() * b.len()) as f64
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_login_does_not_tell_who_has_an_account() {
    let mut proof =
        Proof::new("G6.login", "unknown address and wrong password: same answer, same work, same time");
    let mesh = mesh().await;
    let [person, _] = gates(&mesh);
    let accounts = count(2_000) / 2 / EACH;
    let (known, unknown) = (names("known", accounts), names("other", accounts));
    register_all(&person, &known).await;
    let mut tries: Vec<(bool, &String)> = Vec::new();
    for _ in 0..EACH {
        tries.extend(known.iter().map(|name| (true, name)));
        tries.extend(unknown.iter().map(|name| (false, name)));
    }
    tries.shuffle(&mut rand::rng());
    let before = hashes(&mesh).await;
    let (mut wrong, mut nobody, mut shapes) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (is_known, email) in &tries {
        let begun = Instant::now();
        let reply = login(&person, ELSEWHERE, email, "not her password").await;
        if *is_known { &mut wrong } else { &mut nobody }.push(begun.elapsed());
        proof.check(reply.status == 401, || format!("{email}: {reply:?}"));
        shapes.insert(reply.shape());
    }
    let hashed = hashes(&mesh).await - before;
    let (auc, medians) = (auc(&wrong, &nobody), [median(&wrong), median(&nobody)]);
    proof.require(shapes.len() == 1, || format!("different answers: {shapes:#?}"));
    proof.require(hashed == u64::try_from(tries.len()).unwrap(), || {
        format!("{hashed} hashes for {} tries", tries.len())
    });
    proof.require_time((0.45..=0.55).contains(&auc), || format!("AUC {auc:.3}"));
    let [a, b] = medians.map(|median| median.as_secs_f64() * 1e3);
    let share = hashed as f64 / tries.len() as f64;
    proof.figure(format!(
        "{} answer, {share} argon2 runs a try, AUC {auc:.3}, medians {a:.2} and {b:.2} ms",
        shapes.len()
    ));
    proof.limit("1 answer, 1 argon2 run a try, AUC 0.45..0.55");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_limits_do_not_tell_who_has_an_account() {
    let mut proof =
        Proof::new("G6.limits", "limits and disabled accounts do not tell who has an account either");
    let mesh = mesh().await;
    let [person, _] = gates(&mesh);
    let id = register(&person, "disabled@example.com").await;
    register(&person, "known@example.com").await;
    let admin = mesh.administrator().await;
    let disable = admin.request(Method::PATCH, &format!("/v1/users/{id}")).json(&json!({"disabled": true}));
    assert_eq!(disable.send().await.unwrap().status(), 200);
    let mut all = Vec::new();
    let cases = [
        ("known@example.com", "not her password"),
        ("nobody@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
    ];
    for (email, password) in cases {
        let mut shapes = BTreeSet::new();
        for n in 0..12 {
            let mut reply = login(&person, ELSEWHERE, email, password).await;
            proof.check(matches!(reply.status.as_u16(), 401 | 429), || format!("{email} {n}: {reply:?}"));
            // How long to wait depends on when one asks.
            reply.headers.remove("retry-after");
            reply.headers.remove("content-length");
            if let Some(members) = reply.body.as_object_mut() {
                members.remove("retry_after");
            }
            shapes.insert(reply.shape());
        }
        all.push(shapes);
    }
    proof.check(all.iter().all(|shapes| *shapes == all[0]), || format!("{all:#?}"));
    proof.check(all[0].len() == 2, || format!("not 401 and 429: {all:#?}"));
    proof.figure("known, unknown and disabled: the same 401 and the same 429");
    proof.limit("0 differences; registration tells by contract (409 EMAIL_TAKEN)");
    proof.finish();
}
