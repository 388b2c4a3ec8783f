//! G7, the parameters: what is hashed, how, and that old hashes are renewed.

use std::collections::BTreeMap;

use quipu_e2e::{PASSWORD, Proof};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{HOME, Tokens, database, gates, hashes, login, post_from, register, setup};

/// `(memory in KiB, passes)` of a PHC string of argon2id, version 19.
fn parameters(phc: &str) -> Option<(u32, u32)> {
    let mut parts = phc.split('$').skip(1);
    if parts.next()? != "argon2id" || parts.next()? != "v=19" {
        return None;
    }
    let settings: BTreeMap<_, _> = parts.next()?.split(',').filter_map(|pair| pair.split_once('=')).collect();
    Some((settings.get("m")?.parse().ok()?, settings.get("t")?.parse().ok()?))
}

async fn stored(db: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as("SELECT email, password_hash FROM users ORDER BY email").fetch_all(db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_parameters_are_strong_and_long_passwords_cost_nothing() {
    let mut proof = Proof::new(
        "G7.parameters",
        "stored hashes are argon2id of OWASP's strength; long passwords are not hashed",
    );
    let mesh = setup().start().await;
    let ([person, _], db) = (gates(&mesh), database(&mesh).await);
    register(&person, "one@example.com").await;
    register(&person, "two@example.com").await;
    let all = stored(&db).await;
    let salts: std::collections::BTreeSet<_> =
        all.iter().filter_map(|(_, phc)| phc.split('$').nth(4)).collect();
    for (email, phc) in &all {
        let strong = parameters(phc).is_some_and(|(m, t)| (m >= 19_456 && t >= 2) || (m >= 47_104 && t >= 1));
        proof.check(strong, || format!("{email}: {phc}"));
    }
    proof.check(salts.len() == all.len() && all.len() == 3, || {
        format!("{} salts of {}", salts.len(), all.len())
    });
    let before = hashes(&mesh).await;
    for bytes in [1_025, 1_536, 1_537, 4_096, 60_000, 1 << 20] {
        let password = "x".repeat(bytes);
        // The edge takes no body of a megabyte.
        let expected = if bytes > 64 * 1024 { 413 } else { 400 };
        for (path, body) in [
            ("/v1/auth/login", json!({"email": "one@example.com", "password": password})),
            ("/v1/auth/register", json!({"email": "new@example.com", "password": password})),
        ] {
            let reply = post_from(&person, HOME, path, &body).await;
            proof.check(reply.status == expected, || format!("{path} with {bytes} bytes: {}", reply.shape()));
        }
    }
    let hashed = hashes(&mesh).await - before;
    proof.require(hashed == 0, || format!("{hashed} hashes of long passwords"));
    let phc = all[0].1.split('$').take(4).collect::<Vec<_>>().join("$");
    proof.figure(format!(
        "{phc} with a salt each; {hashed} argon2 runs for passwords beyond 1,024 bytes, all 400 or 413"
    ));
    proof.limit("argon2id, m >= 19456,t >= 2 or m >= 47104,t >= 1; 0 runs");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_rehash_a_weaker_hash_is_renewed_at_the_next_sign_in() {
    let mut proof = Proof::new("G7.rehash", "a hash with weaker parameters is renewed at the next sign-in");
    let weaker = setup().with("auth", "QUIPU_AUTH_ARGON2_MEMORY_KIB", "19456");
    let mut mesh = weaker.with("auth", "QUIPU_AUTH_ARGON2_ITERATIONS", "2").start().await;
    let ([person, _], db) = (gates(&mesh), database(&mesh).await);
    register(&person, "old@example.com").await;
    register(&person, "idle@example.com").await;
    let of = |all: &[(String, String)], name: &str| {
        all.iter().find(|(email, _)| email == name).and_then(|(_, phc)| parameters(phc))
    };
    let before = stored(&db).await;
    proof.check(of(&before, "old@example.com") == Some((19_456, 2)), || format!("{before:?}"));
    mesh.stop("auth", "TERM").await;
    mesh.change("auth", "QUIPU_AUTH_ARGON2_MEMORY_KIB", "24576");
    mesh.change("auth", "QUIPU_AUTH_ARGON2_ITERATIONS", "3");
    mesh.start_again("auth").await;
    let wrong = login(&person, HOME, "old@example.com", "not her password").await;
    let unchanged = stored(&db).await == before;
    proof.check(wrong.status == 401 && unchanged, || "a wrong password renews a hash");
    Tokens::sign_in(&person, "old@example.com").await;
    let after = stored(&db).await;
    proof.check(of(&after, "old@example.com") == Some((24_576, 3)), || format!("{after:?}"));
    proof.check(of(&after, "idle@example.com") == Some((19_456, 2)), || format!("{after:?}"));
    let again = login(&person, HOME, "old@example.com", PASSWORD).await;
    proof.check(again.status == 200 && stored(&db).await == after, || format!("signed in again: {again:?}"));
    proof.figure("m=19456,t=2 became m=24576,t=3 at the sign-in, others stayed");
    proof.limit("renewed at the next sign-in with the right password, once");
    proof.finish();
}
