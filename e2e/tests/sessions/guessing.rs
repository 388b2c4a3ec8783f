//! G5: guessing. Few guesses are ever verified, and the owner is not locked out by them.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures::StreamExt as _;
use quipu_e2e::{PASSWORD, Person, ProcessMesh, Proof, count};
use tokio::time::sleep;

use crate::support::{HOME, Reply, database, gates, hashes, login, metric, register, setup};

/// Guesses of an account that are verified in an hour at most.
const AN_HOUR: u64 = 20;
/// Guesses at once: fewer than the pool of hashes has places, so that it is the throttle that refuses.
const AT_ONCE: usize = 6;
/// How often the owner signs in meanwhile.
const SIGN_INS: u64 = 20;

fn place(n: usize) -> String {
    format!("198.51.{}.{}", 100 + n / 250, 1 + n % 250)
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 429 | 503) && reply.retry_after().is_some()
}

async fn refused_logins(mesh: &ProcessMesh) -> u64 {
    let labels = ["operation=\"login\"", "outcome=\"refused\""];
    metric(mesh.process("auth"), "quipu_auth_operations_total", &labels).await
}

/// Signs in once; who finds the pool of hashes or of connections full comes again when told.
async fn owner_gets_in(person: &Person, email: &str) -> Result<(), Reply> {
    let mut reply = login(person, HOME, email, PASSWORD).await;
    for _ in 0..2 {
        if !["HASHING_POOL_FULL", "DATABASE_UNAVAILABLE"].contains(&reply.reason()) {
            break;
        }
        sleep(Duration::from_secs(reply.retry_after().unwrap_or(1))).await;
        reply = login(person, HOME, email, PASSWORD).await;
    }
    if reply.status == 200 { Ok(()) } else { Err(reply) }
}

/// The owner signs in again and again, at least so often, until the guessing is over.
async fn owner(person: Person, email: String, over: &AtomicBool) -> (u64, Vec<Reply>) {
    let (mut tries, mut failed) = (0, Vec::new());
    while tries < SIGN_INS || !over.load(Ordering::Relaxed) {
        tries += 1;
        failed.extend(owner_gets_in(&person, &email).await.err());
        sleep(Duration::from_millis(20)).await;
    }
    (tries, failed)
}

/// Guesses at one account from so many places, while its owner signs in from home.
async fn attack(id: &'static str, what: &'static str, places: usize) {
    let mut proof = Proof::new(id, what);
    let mesh = setup().start().await;
    let [one, two] = gates(&mesh);
    let email = "owner@example.com";
    register(&one, email).await;
    let (refused_before, hashes_before) = (refused_logins(&mesh).await, hashes(&mesh).await);
    let (over, verified) = (AtomicBool::new(false), AtomicU64::new(0));
    let guesses = async {
        let all = (0..count(1_000)).map(|n| {
            let person = if n % 2 == 0 { &one } else { &two };
            async move { login(person, &place(n % places), email, &format!("guess number {n}")).await }
        });
        let replies: Vec<Reply> = futures::stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
        over.store(true, Ordering::Relaxed);
        replies
    };
    let (replies, (tries, failed)) = tokio::join!(guesses, owner(two.clone(), email.to_owned(), &over));
    for reply in &replies {
        verified.fetch_add(u64::from(reply.status == 401), Ordering::Relaxed);
        proof.check(reply.status == 401 || is_refused(reply), || format!("a guess: {reply:?}"));
    }
    proof.add(tries, 0);
    proof.check(failed.is_empty(), || {
        format!("the owner was refused {} of {tries}: {:?}", failed.len(), failed[0])
    });
    let verified = verified.into_inner();
    let (refused, hashed) =
        (refused_logins(&mesh).await - refused_before, hashes(&mesh).await - hashes_before);
    proof
        .require(refused == verified, || format!("auth verified {refused} guesses, {verified} were told so"));
    proof.require(hashed <= verified + tries, || {
        format!("{hashed} hashes for {verified} guesses and {tries} sign-ins")
    });
    proof.require(verified <= AN_HOUR, || format!("{verified} guesses were verified"));
    let got_in = tries - u64::try_from(failed.len()).unwrap();
    let n = replies.len();
    proof.figure(format!(
        "{verified} of {n} guesses verified, {hashed} argon2 runs; owner {got_in} of {tries} from home"
    ));
    proof.limit("<= 20 verified; the owner every time (at least 20)");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_one_address_guesses_at_one_account() {
    attack("G5.one", "1,000 guesses at one account from one address", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_many_addresses_guess_at_one_account() {
    attack("G5.many", "1,000 guesses at one account from 200 addresses", 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_patient_a_guesser_who_waits_gets_twenty_an_hour_and_the_owner_in() {
    let mut proof = Proof::new(
        "G5.patient",
        "a guesser who waits as told; the owner at home and elsewhere; no lock lasts",
    );
    let mesh = setup().start().await;
    let ([person, _], db) = (gates(&mesh), database(&mesh).await);
    let email = "waits@example.com";
    register(&person, email).await;
    let mut verified = 0;
    for n in 0..40 {
        // As if the guesser had waited; the hour does not pass.
        let waited = "UPDATE login_attempts SET blocked_until = now() - interval '1 second'";
        sqlx::query(waited).execute(&db).await.unwrap();
        let reply = login(&person, &place(n), email, &format!("guess number {n}")).await;
        verified += u64::from(reply.status == 401);
        proof.check(reply.status == 401 || is_refused(&reply), || format!("guess {n}: {reply:?}"));
    }
    proof.check(verified == AN_HOUR, || format!("{verified} verified"));
    for _ in 0..SIGN_INS {
        let home = owner_gets_in(&person, email).await;
        proof.check(home.is_ok(), || format!("the owner at home: {home:?}"));
    }
    let away = login(&person, "192.0.2.1", email, PASSWORD).await;
    let wait = away.retry_after().unwrap_or_default();
    proof.check(is_refused(&away) && wait <= 3_600, || format!("the owner at a new place: {away:?}"));
    let hour = "UPDATE login_attempts SET window_began = window_began - interval '1 hour'";
    sqlx::query(hour).execute(&db).await.unwrap();
    let away = login(&person, "192.0.2.1", email, PASSWORD).await;
    proof.check(away.status == 200, || format!("the owner at a new place after the hour: {away:?}"));
    proof.figure(format!("{verified} of 40 verified; the owner in from home 20 of 20, elsewhere refused for {wait} s and then in"));
    proof.limit("20 an hour; 20 of 20 from home; no wait beyond an hour");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_spray_one_address_tries_many_accounts() {
    let mut proof = Proof::new("G5.spray", "one password at many accounts from one address");
    // The default is 100.
    let limit = count(100);
    let mesh = setup().with("auth", "QUIPU_AUTH_SOURCE_FAILURES", limit.to_string()).start().await;
    let [person, _] = gates(&mesh);
    let before = refused_logins(&mesh).await;
    let all = (0..limit * 2).map(|n| {
        let person = &person;
        async move { login(person, &place(0), &format!("somebody{n}@example.com"), PASSWORD).await }
    });
    let replies: Vec<Reply> = futures::stream::iter(all).buffer_unordered(2).collect().await;
    for reply in &replies {
        proof.check(reply.status == 401 || is_refused(reply), || format!("a try: {reply:?}"));
    }
    let verified = refused_logins(&mesh).await - before;
    // Those in flight when the limit is reached are through already.
    let bound = u64::try_from(limit + 2).unwrap();
    proof.require(verified <= bound, || format!("{verified} were verified"));
    register(&person, "neighbour@example.com").await;
    let neighbour = owner_gets_in(&person, "neighbour@example.com").await;
    proof.check(neighbour.is_ok(), || format!("an owner elsewhere: {neighbour:?}"));
    proof.figure(format!("{verified} of {} verified", replies.len()));
    proof.limit(format!("<= {bound} ({limit} an hour, and 2 at once)"));
    proof.finish();
}
