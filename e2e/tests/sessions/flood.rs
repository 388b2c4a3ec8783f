//! G7, the flood: many sign-ins at once exhaust neither the memory of `auth` nor the patience of others.

use std::time::Duration;

use futures::future::join_all;
use quipu_e2e::{PASSWORD, Person, ProcessMesh, Proof, count, is_full};
use reqwest::Method;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::support::{HOME, Tokens, gates, login, metric, register, setup};

const MIB: u64 = 1 << 20;
/// Hashes at once and the memory of one, as `auth` has it by default.
const HASHES: u64 = 2 * 19 * MIB;
/// For everything else that a flood costs.
const SLACK: u64 = 50 * MIB;
/// Until the last hash of a flood is done.
const SETTLE: Duration = Duration::from_millis(500);

/// What came of the sign-ins.
#[derive(Default)]
struct Flood {
    served: u64,
    refused: Vec<Duration>,
}

/// What the crowd does.
#[derive(Clone, Copy, PartialEq)]
enum Crowd {
    Rests,
    Tries,
    Leaves,
}

/// Somebody of the crowd, who waits as told after each try.
async fn one(person: Person, n: usize, mut crowd: watch::Receiver<Crowd>) -> (Flood, Vec<String>) {
    let (mut flood, mut odd) = (Flood::default(), Vec::new());
    let address = format!("198.51.100.{}", n % 250);
    while *crowd.wait_for(|doing| *doing != Crowd::Rests).await.unwrap() == Crowd::Tries {
        let begun = Instant::now();
        let reply = login(&person, &address, &format!("nobody{n}@example.com"), PASSWORD).await;
        match (reply.status.as_u16(), reply.retry_after()) {
            (401, _) => flood.served += 1,
            (429 | 503, Some(_)) => flood.refused.push(begun.elapsed()),
            _ => odd.push(format!("{reply:?}")),
        }
        // At once only the first time.
        sleep(Duration::from_millis(500 + u64::try_from(n * 7_919 % 1_000).unwrap())).await;
    }
    (flood, odd)
}

/// How long others wait for their own calls, until told that it is over.
async fn others(gates: &[Person; 2], token: &str, for_so_long: Duration) -> (Vec<Duration>, Vec<String>) {
    let (mut times, mut odd) = (Vec::new(), Vec::new());
    let end = Instant::now() + for_so_long;
    while Instant::now() < end {
        for gate in gates {
            let person = gate.with_token(token);
            let me = person.request(Method::GET, "/v1/auth/me");
            let analyze = person.request(Method::POST, "/v1/sentiment").json(&json!({"text": "Fine."}));
            for request in [me, analyze] {
                let begun = Instant::now();
                let status = request.send().await.unwrap().status();
                times.push(begun.elapsed());
                if status != 200 {
                    odd.push(format!("somebody else: {status}"));
                }
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    (times, odd)
}

/// [`others`] on a thread of their own, so that they do not wait for the crowd's turn in this process.
async fn apart(mesh: &ProcessMesh, token: &str, for_so_long: Duration) -> (Vec<Duration>, Vec<String>) {
    let (gates, token) = (gates(mesh), token.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let measured = move || runtime.block_on(others(&gates, &token, for_so_long));
    tokio::task::spawn_blocking(measured).await.unwrap()
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

async fn pool_full(mesh: &ProcessMesh) -> u64 {
    metric(mesh.process("auth"), "quipu_auth_hash_pool_full_total", &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_flood_of_sign_ins_is_bounded_and_harms_nobody_else() {
    let mut proof = Proof::new(
        "G7.flood",
        "500 sign-ins at once: memory within its permits, the excess refused, others served",
    );
    let mesh = setup().with("auth", "QUIPU_AUTH_SOURCE_FAILURES", "1000000").start().await;
    let gates = gates(&mesh);
    register(&gates[0], "other@example.com").await;
    let token = Tokens::sign_in(&gates[0], "other@example.com").await.access;
    let (rounds, span, rest) = if is_full() { (4, 5_000, 11_000) } else { (2, 750, 0) };
    let span = Duration::from_millis(span);
    apart(&mesh, &token, SETTLE).await;
    // Until the memory of these hashes has been given back.
    sleep(Duration::from_millis(rest)).await;
    let (base, _) = mesh.process("auth").memory();
    let (crowd, does) = watch::channel(Crowd::Rests);
    let people = join_all((0..count(500)).map(|n| one(gates[n % 2].clone(), n, does.clone())));
    // In turns, since the machine is not equally fast all the time.
    let measured = async {
        let (mut quiet, mut busy, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (doing, times) in [(Crowd::Rests, &mut quiet), (Crowd::Tries, &mut busy)] {
                crowd.send_replace(doing);
                let (measured, strange) = apart(&mesh, &token, span).await;
                times.extend(measured);
                odd.extend(strange);
            }
            crowd.send_replace(Crowd::Rests);
            sleep(SETTLE).await;
        }
        crowd.send_replace(Crowd::Leaves);
        (quiet, busy, odd)
    };
    let (floods, (mut quiet, mut busy, odd)) = tokio::join!(people, measured);
    let (_, peak) = mesh.process("auth").memory();
    let (mut refused, mut served, mut strange) = (Vec::new(), 0, odd);
    for (flood, odd) in floods {
        served += flood.served;
        refused.extend(flood.refused);
        strange.extend(odd);
    }
    let tried = served + u64::try_from(refused.len() + busy.len()).unwrap();
    proof.add(tried, u64::try_from(strange.len()).unwrap());
    proof.check(strange.is_empty(), || format!("{:?}", strange.first()));
    proof
        .require(served > 0 && !refused.is_empty(), || format!("{served} served, {} refused", refused.len()));
    let full = pool_full(&mesh).await;
    proof.require(full > 0, || "the pool was never full");
    let bound = base + HASHES + SLACK;
    proof.require(peak <= bound, || format!("{} MiB at the peak, more than {}", peak / MIB, bound / MIB));
    let [a, b] = [percentile(&mut quiet, 99), percentile(&mut busy, 99)];
    proof.require_time(b <= 2.0 * a, || format!("p99 of others {b:.1} ms, {a:.1} ms without the flood"));
    let wait = percentile(&mut refused, 50);
    let after = login(&gates[1], HOME, "other@example.com", PASSWORD).await;
    proof.check(after.status == 200, || format!("after the flood: {after:?}"));
    proof.figure(format!(
        "auth {} to {} MiB; {served} verified, {} refused in {wait:.1} ms (median); p99 of others {a:.1} to {b:.1} ms",
        base / MIB,
        peak / MIB,
        refused.len(),
    ));
    proof
        .limit("peak <= base + 2 x 19 + 50 MiB; the excess 429 or 503 with Retry-After; p99 of others <= 2x");
    proof.finish();
}
