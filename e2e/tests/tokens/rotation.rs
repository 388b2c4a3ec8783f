//! G8: signing keys rotate under load and no good token is refused; a key that is gone is believed no more; and made-up
//! names of keys cause no flood of questions.
//!
//! The keys are in a file, as a Kubernetes secret is, and change in the order that the documentation asks for: a key is
//! published before it signs, and stays until the last of its tokens has expired.

mod key_file;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mesh_identity::{Claims, SigningKey};
use quipu_e2e::{LIMIT, PASSWORD, Person, ProcessMesh, Proof, Setup, count, eventually, is_full};
use serde_json::{Value, json};

use self::key_file::KeyFile;
use crate::{
    counter::key_fetches,
    forger::{decoded, encoded},
    wire::{METHODS, Rest, Wire, bearer},
};

/// Life of an access token here, seconds.
const LIFE: u64 = 12;

/// Between two rotations; two of them are longer than a verifier's pause between two fetches.
const STEP: Duration = Duration::from_secs(6);

/// A verifier's pause between two fetches of the keys.
const PAUSE: Duration = Duration::from_secs(10);

const CLIENTS: usize = 4;

/// What the clients share.
#[derive(Default)]
struct Load {
    calls: AtomicUsize,
    by_retired: AtomicUsize,
    failed: Mutex<Vec<String>>,
    signers: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_keys_rotate_under_load() {
    let mut proof =
        Proof::new("G8", "signing keys rotate under load without refusing one good token; retired keys end");
    let (calls, rotations) = (count(20_000), if is_full() { 5 } else { 2 });
    let file = KeyFile::new(rotations);
    let mesh = Setup::new()
        .without_rates()
        .with("auth", "QUIPU_AUTH_KEY_DIR", "")
        .with("auth", "QUIPU_AUTH_SIGNING_KEY_FILE", file.path().display().to_string())
        .with("auth", "QUIPU_AUTH_ACCESS_LIFE", format!("{LIFE}s"))
        .start()
        .await;
    let first = first_token(&mesh).await;
    let load = under_load(&mesh, &file, calls, rotations).await;
    let (tried, failed) = (load.calls.load(Ordering::SeqCst), load.failed.lock().unwrap().clone());
    proof.add(tried as u64, failed.len() as u64);
    proof.require(failed.is_empty(), || failed[..failed.len().min(5)].join("\n"));
    let signers = load.signers.lock().unwrap().len();
    proof.require(tried >= calls && signers == rotations + 1, || {
        format!("{tried} calls, {signers} keys signed")
    });

    expired_token_is_refused(&mesh, &first, &mut proof).await;
    let (random, fetches, allowed) = retire(&mesh, &file, rotations, &mut proof).await;
    proof.figure(format!(
        "{rotations} rotations, {tried} calls of {CLIENTS} clients, {} with tokens of keys that signed no more; {random} made-up key names: {fetches} fetches of the keys by 2 verifiers ({allowed} allowed)",
        load.by_retired.load(Ordering::SeqCst),
    ));
    proof.limit("0 failed; retired keys refused by every verifier; ≤ 1 fetch in 10 s by each");
    proof.finish();
}

/// Rotates while clients call, until both are done.
async fn under_load(mesh: &ProcessMesh, file: &KeyFile, calls: usize, rotations: usize) -> Arc<Load> {
    let load = Arc::new(Load::default());
    let pause = STEP * u32::try_from((rotations + 1) * CLIENTS).unwrap() / u32::try_from(calls).unwrap();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        clients.push(tokio::spawn(call(mesh.person(), client, pause, Arc::clone(&load))));
    }
    let called = |share: usize| {
        let load = &load;
        eventually(LIMIT * 20, move || async move { load.calls.load(Ordering::SeqCst) >= share })
    };
    for rotation in 1..=rotations {
        // Spread over the load, and not too soon after one another.
        tokio::join!(tokio::time::sleep(STEP), called(calls * rotation / (rotations + 1)));
        rotate(mesh, file, rotation).await;
    }
    let signers = || load.signers.lock().unwrap().len();
    tokio::join!(eventually(LIMIT, || async { signers() == rotations + 1 }), called(calls));
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    load
}

/// Waits until `auth` has taken the file.
async fn rotate(mesh: &ProcessMesh, file: &KeyFile, signer: usize) {
    file.write(signer);
    taken(mesh, file.key(signer).kid()).await;
}

async fn taken(mesh: &ProcessMesh, kid: &str) {
    let told = |line: &str| line.contains("signing keys changed") && line.contains(kid);
    let taken = || async { mesh.process("auth").log().lines().any(told) };
    assert!(eventually(LIMIT, taken).await, "auth does not take its new keys");
}

/// One client: refreshes its session now and then and uses every token that it has until two seconds before its end.
async fn call(mut person: Person, client: usize, pause: Duration, load: Arc<Load>) {
    let name = format!("client{client}");
    person.register(&name).await;
    let mut tokens = vec![];
    let mut session = person.sign_in(&name, PASSWORD).await;
    let mut newest = String::new();
    let mut ticks = tokio::time::interval(pause.max(Duration::from_micros(1)));
    for turn in 0_usize.. {
        ticks.tick().await;
        if load.stop.load(Ordering::SeqCst) {
            return;
        }
        if turn.is_multiple_of(20) {
            if turn > 0 {
                let body = json!({"refresh_token": session["refresh_token"]});
                let (status, answer) = person.post("/v1/auth/refresh", &body).await;
                note(&load, status == 200, || format!("refresh: {status} {answer}"));
                session = answer;
            }
            let token = session["access_token"].as_str().unwrap().to_owned();
            newest = kid_of(&token);
            load.signers.lock().unwrap().insert(newest.clone());
            tokens.push(token);
        }
        tokens.retain(|token| end_of(token) >= now() + 2);
        let Some(token) = tokens.get(turn % tokens.len().max(1)) else { continue };
        let body = json!({"text": format!("what a lovely day, {turn} times")});
        let (status, answer) = person.with_token(token).post("/v1/sentiment", &body).await;
        note(&load, status == 200, || format!("{status} {answer}, its key was {}", kid_of(token)));
        if kid_of(token) != newest {
            load.by_retired.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn note(load: &Load, good: bool, context: impl FnOnce() -> String) {
    load.calls.fetch_add(1, Ordering::SeqCst);
    if !good {
        load.failed.lock().unwrap().push(context());
    }
}

/// A token of the first key, used at the gateway and directly.
async fn first_token(mesh: &ProcessMesh) -> String {
    let person = mesh.signed_in("first").await;
    let token = person.token.unwrap();
    let mut everywhere = Everywhere::of(mesh);
    assert_eq!(everywhere.codes(&token).await, GOOD);
    token
}

/// "Until its tokens expire, then refused."
async fn expired_token_is_refused(mesh: &ProcessMesh, token: &str, proof: &mut Proof) {
    let mut everywhere = Everywhere::of(mesh);
    while now() <= end_of(token) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let codes = everywhere.codes(token).await;
    proof.check(codes == REFUSED, || format!("an expired token of the first key: {codes:?}"));
}

/// Takes all keys but the signer away, and asks with made-up names of keys: verifiers hear of it within one fetch, and fetch
/// no more often than they may. A token of a retired key, signed by who has stolen it, is then refused.
async fn retire(mesh: &ProcessMesh, file: &KeyFile, signer: usize, proof: &mut Proof) -> (usize, u64, u64) {
    let stolen = file.key(signer - 1);
    let forged = minted(&stolen);
    let mut everywhere = Everywhere::of(mesh);
    let before = everywhere.codes(&forged).await;
    proof.check(before == GOOD, || format!("before it is retired: {before:?}"));
    file.write_only(&[signer]);
    let only = |line: &str| line.contains("signing keys changed") && line.contains("\"keys\":1");
    let told = || async { mesh.process("auth").log().lines().any(only) };
    assert!(eventually(LIMIT, told).await, "auth does not take its new keys");

    let verifiers = [mesh.process("gateway"), mesh.process("sentiment")];
    let fetched = || async { key_fetches(verifiers[0]).await + key_fetches(verifiers[1]).await };
    let (random, begun, first) = (count(10_000) / 2, Instant::now(), fetched().await);
    let mut tried = 0;
    // Until the verifiers' pause is over, if need be.
    while tried < random || (fetched().await < first + 2 && begun.elapsed() < LIMIT) {
        tried += 1;
        let codes = everywhere.codes(&with_random_kid(&forged)).await;
        proof.check(codes == REFUSED, || format!("made-up key {tried}: {codes:?}"));
    }
    let fetches = fetched().await - first;
    let windows = 1 + begun.elapsed().as_secs() / PAUSE.as_secs();
    let allowed = 2 * windows;
    proof.require((2..=allowed).contains(&fetches), || format!("{fetches} fetches, {allowed} allowed"));

    let after = everywhere.codes(&forged).await;
    proof.check(after == REFUSED, || format!("a retired key: {after:?}"));
    let good = minted(&file.key(signer));
    let codes = everywhere.codes(&good).await;
    proof.check(codes == GOOD, || format!("the one that stays: {codes:?}"));
    (2 * tried, fetches, allowed)
}

/// The gateway's answer and that of `sentiment`, asked directly.
struct Everywhere {
    rest: Rest,
    wire: Wire,
}

/// An empty text is no text, which is said to those only who may ask.
const GOOD: [i32; 2] = [200, 3];
const REFUSED: [i32; 2] = [401, 16];

impl Everywhere {
    fn of(mesh: &ProcessMesh) -> Self {
        Self { rest: Rest::at(mesh, "gateway"), wire: Wire::to(mesh, "sentiment") }
    }

    async fn codes(&mut self, token: &str) -> [i32; 2] {
        let shown = bearer(token);
        let (rest, _) = self.rest.show(("POST", "/v1/sentiment"), &shown).await;
        [rest.code, self.wire.show(METHODS[0].1, &shown).await.code]
    }
}

/// A token that only a thief of the key can make: of nobody, for longer than the load lasts.
fn minted(key: &SigningKey) -> String {
    let profile = mesh_identity::Profile::default();
    let claims = Claims {
        iss: profile.issuer,
        sub: "nobody".to_owned(),
        aud: profile.audience,
        exp: now() + 600,
        iat: now(),
        nbf: now(),
        jti: "forged".to_owned(),
        sid: "forged".to_owned(),
        scope: "sentiment:analyze".parse().unwrap(),
        roles: vec![],
        client_id: None,
    };
    key.sign(&claims).unwrap()
}

fn with_random_kid(token: &str) -> String {
    let kid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}).to_string();
    format!("{}.{}", encoded(header), token.split_once('.').unwrap().1)
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&decoded(token.split('.').nth(at).unwrap())).unwrap()
}

fn kid_of(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

fn end_of(token: &str) -> u64 {
    part(token, 1)["exp"].as_u64().unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
