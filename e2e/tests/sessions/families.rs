//! G3: refresh tokens. One winner of a race, and a token used twice ends its family.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use quipu_e2e::{Person, ProcessMesh, Proof, count, eventually, is_full};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Tokens, database, gates, register, setup};

/// Refreshes of one token at once.
const PARALLEL: usize = 200;
/// The bound of access tokens.
const BOUND: Duration = Duration::from_secs(5);
/// The direct predecessor is answered for ten seconds.
const BEYOND_GRACE: Duration = Duration::from_secs(11);

struct World {
    mesh: ProcessMesh,
    gates: [Person; 2],
    db: PgPool,
}

/// What the session's row says: hash of the good token, and of the one before.
type Row = (Vec<u8>, Option<Vec<u8>>);

impl World {
    async fn start() -> Self {
        let mesh = setup().start().await;
        let (gates, db) = (gates(&mesh), database(&mesh).await);
        Self { mesh, gates, db }
    }

    async fn refresh(&self, gate: usize, token: &str) -> (StatusCode, Value) {
        self.gates[gate % 2].post("/v1/auth/refresh", &json!({"refresh_token": token})).await
    }

    /// The next tokens. Who is refused for load comes again, as a lost answer may.
    async fn next(&self, tokens: &Tokens) -> Tokens {
        for _ in 0..5 {
            let (status, answer) = self.refresh(0, &tokens.refresh).await;
            if status == 200 {
                return Tokens::of(&answer);
            }
            assert_eq!(status, 503, "{answer}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("refused for load again and again");
    }

    async fn rows(&self, session: &str) -> Vec<Row> {
        let query = sqlx::query_as("SELECT current_hash, previous_hash FROM sessions WHERE id = $1");
        query.bind(session).fetch_all(&self.db).await.unwrap()
    }

    async fn audited(&self, session: &str) -> i64 {
        let query = "SELECT count(*) FROM audit_log WHERE action = 'refresh.reuse' AND detail = $1";
        let query = sqlx::query_scalar(query).bind(format!("session={session}"));
        query.fetch_one(&self.db).await.unwrap()
    }

    async fn accepted(&self, gate: usize, access: &str) -> StatusCode {
        self.gates[gate % 2].with_token(access).get("/v1/auth/me").await.0
    }

    /// Whether an access token is refused at both gateways, in the time that the mesh promises.
    async fn is_dead(&self, access: &str) -> bool {
        let refused =
            || async { self.accepted(0, access).await == 401 && self.accepted(1, access).await == 401 };
        eventually(BOUND, refused).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_race_many_refreshes_of_one_token_have_one_winner() {
    let mut proof =
        Proof::new("G3.race", "of 200 refreshes at once with one token, one makes the next token");
    let world = World::start().await;
    register(&world.gates[0], "race@example.com").await;
    let mut tokens = Tokens::sign_in(&world.gates[0], "race@example.com").await;
    let (mut answered, mut most, mut refused) = (0, 0, BTreeMap::<String, u32>::new());
    for round in 0..count(50) {
        let mut members = BTreeSet::new();
        let mut next = None;
        // Too many at once are refused for a while: whoever is comes again. Mostly the first time there is a winner.
        for _ in 0..10 {
            let calls = (0..PARALLEL).map(|n| world.refresh(n, &tokens.refresh));
            for (status, answer) in futures::future::join_all(calls).await {
                let documented = matches!(status.as_u16(), 200 | 429 | 503 | 504);
                proof.check(documented, || format!("round {round}: {status} {answer}"));
                if status == 200 {
                    // The losers find themselves the direct predecessor and get the same token.
                    let won = Tokens::of(&answer);
                    members.insert(won.refresh.clone());
                    next = Some(won);
                    answered += 1;
                } else {
                    *refused.entry(answer["reason"].to_string()).or_default() += 1;
                }
            }
            if next.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        most = most.max(members.len());
        let next = next.unwrap_or_else(|| panic!("round {round}: nobody won"));
        proof.check(members.len() == 1, || format!("round {round}: {} next tokens", members.len()));
        let rows = world.rows(next.session()).await;
        let expected = [(next.hash(), Some(tokens.hash()))];
        proof
            .check(rows == expected, || format!("round {round}: {} rows, or other tokens in it", rows.len()));
        tokens = next;
    }
    for gate in 0..2 {
        let status = world.accepted(gate, &tokens.access).await;
        proof.check(status == 200, || format!("the last access token at gateway {gate}: {status}"));
    }
    let replayed = answered - count(50);
    let refused: Vec<_> = refused.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    proof.figure(format!(
        "at most {most} new token a round, {replayed} the same again, refused for load: {}; 0 x 500",
        refused.join(", "),
    ));
    proof.limit("1 new token a round and in its row, every other answer the same token or 429/503/504");
    proof.finish();
    drop(world.mesh);
}

/// Sessions whose present token has followed on another, beyond the grace of that one.
async fn aged(world: &World, email: &str) -> Vec<[Tokens; 2]> {
    let mut families = Vec::new();
    for _ in 0..count(20) {
        let first = Tokens::sign_in(&world.gates[0], email).await;
        families.push([first.clone(), world.next(&first).await]);
    }
    if is_full() {
        tokio::time::sleep(BEYOND_GRACE).await;
    } else {
        let earlier = "UPDATE sessions SET rotated_at = rotated_at - interval '11 seconds'";
        sqlx::query(earlier).execute(&world.db).await.unwrap();
    }
    families
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_stolen_an_old_token_ends_its_family() {
    let mut proof =
        Proof::new("G3.stolen", "a refresh token used again after its grace ends its family, no other");
    let world = World::start().await;
    register(&world.gates[0], "stolen@example.com").await;
    let bystander = Tokens::sign_in(&world.gates[0], "stolen@example.com").await;
    let mut worst = Duration::ZERO;
    for [old, new] in aged(&world, "stolen@example.com").await {
        let (status, answer) = world.refresh(1, &old.refresh).await;
        let used = tokio::time::Instant::now();
        proof.check(status == 401, || format!("the old token: {status} {answer}"));
        family_is_dead(&mut proof, &world, &new).await;
        for access in [&old.access, &new.access] {
            proof.check(world.is_dead(access).await, || "an access token of the family lives");
        }
        worst = worst.max(used.elapsed());
    }
    let (status, answer) = world.refresh(0, &bystander.refresh).await;
    proof.check(status == 200, || format!("another session of the same user: {status} {answer}"));
    proof
        .require_time(worst <= Duration::from_secs(1), || format!("the slowest family died after {worst:?}"));
    proof.figure(format!(
        "refused and dead in the database at once, access tokens {:.2} s at worst",
        worst.as_secs_f64()
    ));
    proof.limit("refused; whole family dead <= 1 s; 0 other sessions");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_older_a_token_two_generations_old_ends_its_family_within_the_grace() {
    let mut proof =
        Proof::new("G3.older", "a token two generations old is theft even within the grace of ten seconds");
    let world = World::start().await;
    register(&world.gates[0], "older@example.com").await;
    for round in 0..count(20) {
        let first = Tokens::sign_in(&world.gates[0], "older@example.com").await;
        let second = world.next(&first).await;
        // The control: the direct predecessor within the grace is a lost answer.
        let again = world.next(&first).await;
        proof.check(again.refresh == second.refresh, || format!("{round}: a lost answer is not given again"));
        let third = world.next(&second).await;
        let (status, answer) = world.refresh(1, &first.refresh).await;
        proof.check(status == 401, || format!("{round}: two generations old: {status} {answer}"));
        family_is_dead(&mut proof, &world, &third).await;
        proof.check(world.is_dead(&third.access).await, || format!("{round}: its access token lives"));
    }
    proof.figure("every family ended at the first use of a token older than its direct predecessor");
    proof.limit("refused and family dead; the direct predecessor replayed");
    proof.finish();
}

/// No refresh token of the session is good, and the database knows why.
async fn family_is_dead(proof: &mut Proof, world: &World, newest: &Tokens) {
    for gate in 0..2 {
        let (status, answer) = world.refresh(gate, &newest.refresh).await;
        proof.check(status == 401, || format!("the family's good token: {status} {answer}"));
    }
    let (rows, audited) = (world.rows(newest.session()).await, world.audited(newest.session()).await);
    proof.check(rows.is_empty() && audited == 1, || format!("{} rows, {audited} audit records", rows.len()));
}
