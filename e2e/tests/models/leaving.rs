//! I3: clients that leave, at any time and in any way.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use mesh_proto::jokes::v1::stream_joke_response::Event;
use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{LIMIT, ProcessMesh, Proof, count, eventually, for_user, is_full};
use tokio::time::{sleep, timeout};

use crate::{
    ask::{Outcome, Way, Wish},
    asker::Asker,
    direct::{Direct, Used},
    support::{JOKE, metric, seed, setup, weigh, weigh_prompt},
};

/// Before the first word of an answer.
const FIRST: Duration = Duration::from_millis(300);
/// Between two pieces of it.
const BETWEEN: Duration = Duration::from_millis(40);
/// Characters of a piece.
const PIECE: usize = 8;
/// Nobody stays for longer; an answer takes twice as long.
const STAYS: Duration = Duration::from_millis(1_500);
/// How soon the provider must know.
const SOON: Duration = Duration::from_secs(1);
/// Billionths of a dollar for each token.
const PRICE: i64 = 1_000;

/// What became of one who left.
#[derive(Debug)]
struct Gone {
    /// Until the provider knew; none if it had not been asked.
    known_after: Option<Duration>,
    /// Whether the client had seen some of the text.
    has_seen: bool,
    used: Used,
    fault: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_whoever_leaves_stops_the_provider_and_pays_for_what_came() {
    let mut proof =
        Proof::new("I3", "a client that leaves stops the provider, pays for what came, and frees its place");
    let fake = FakeLlm::start().await.unwrap();
    let mesh = setup(&fake, &["m"]).with("jokes", "QUIPU_JOKES_PRICES", "m=1/1").start().await;
    let direct = Direct::to(&mesh);
    let users = if is_full() { 30 } else { 10 };
    let askers = Asker::join_all(&mesh, &direct, "leaver", users).await;
    let idle = in_flight(&mesh).await;
    fake.always(Reply::text(long_joke()).every(PIECE).before_first(FIRST).between(BETWEEN));
    let each = count(300) / users;
    let leavers = askers.iter().enumerate().map(|(n, asker)| {
        let (asker, fake) = (asker.clone(), &fake);
        async move { leaves(&asker, fake, n * each, each).await }
    });
    let gone: Vec<Gone> = join_all(leavers).await.into_iter().flatten().collect();
    for one in &gone {
        proof.check(one.fault.is_none(), || format!("{one:?}"));
    }
    for (asker, sum) in askers.iter().zip(sums(&gone, each)) {
        let used = asker.used().await;
        proof.check(used == sum, || format!("in the end {used:?}, one by one {sum:?}"));
    }
    let counts = fake.counts();
    let all_stopped = counts.cancelled == counts.calls && counts.under_way == 0;
    proof.check(all_stopped, || format!("the provider: {counts:?}"));
    let slowest = gone.iter().filter_map(|one| one.known_after).max().unwrap_or_default();
    proof.require_time(slowest <= SOON, || format!("the provider knew after {slowest:?}"));
    served(&mut proof, &fake, &askers).await;
    let is_idle = eventually(LIMIT, || async { in_flight(&mesh).await == idle }).await;
    let left = in_flight(&mesh).await;
    proof.check(is_idle, || format!("in flight {left:?}, before all {idle:?}"));
    let wrong = gone.iter().filter(|one| one.fault.is_some()).count();
    let unasked = gone.iter().filter(|one| one.known_after.is_none()).count();
    let early = gone.iter().filter(|one| !one.has_seen).count() - unasked;
    proof.require(gone.len() >= count(300), || format!("{} left", gone.len()));
    proof.figure(format!(
        "{} left: {unasked} before the provider was asked, {early} before a word came to them, {} in the middle; it knew \
         after {:.3} s at worst; {wrong} were not stopped or not billed what had come; {} calls in flight",
        gone.len(),
        gone.len() - unasked - early,
        slowest.as_secs_f64(),
        left.0
    ));
    proof.limit("≤ 1 s; billed exactly what came; 50 further calls served; in flight as before");
    proof.finish();
}

/// One user's, one after the other, in all ways.
async fn leaves(asker: &Asker, fake: &FakeLlm, first: usize, each: usize) -> Vec<Gone> {
    let mut all = Vec::new();
    for n in first..first + each {
        let after = STAYS.mul_f64(rand::random());
        all.push(leave(asker, fake, Way::ALL[n % 4], u32::try_from(n).unwrap(), after).await);
    }
    all
}

async fn leave(asker: &Asker, fake: &FakeLlm, way: Way, number: u32, after: Duration) -> Gone {
    let (before, begun) = (asker.used().await, Instant::now());
    let seen = Arc::new(Mutex::new(String::new()));
    let mut call = listen(asker.clone(), way, Wish::new("cats", "m").seed(number), Arc::clone(&seen));
    let stayed = timeout(after, &mut call).await;
    let left = Instant::now();
    drop(call);
    let seen = seen.lock().unwrap().clone();
    let known = stopped(fake, number).await;
    let bill = Bill::of(fake, number, &seen, known.map(|known| known - begun));
    let used = bill.settled(asker, before).await;
    let fault = match stayed {
        Ok(outcome) => Some(format!("it stayed to the end: {outcome:?}")),
        Err(_) if bill.is_asked && known.is_none() => Some(format!("{way:?} after {after:?}: not stopped")),
        Err(_) if !bill.holds(&used) => Some(format!("{way:?} after {after:?}: {used:?}, but {bill:?}")),
        Err(_) => None,
    };
    Gone { known_after: known.map(|known| known - left), has_seen: !seen.is_empty(), used, fault }
}

/// What a call may be billed.
#[derive(Debug)]
struct Bill {
    is_asked: bool,
    /// Tokens, least and most.
    least: u64,
    most: u64,
}

impl Bill {
    /// Of a call that was stopped after such a time, by when the client had seen such a text.
    fn of(fake: &FakeLlm, number: u32, seen: &str, time: Option<Duration>) -> Self {
        let asked = fake.asked();
        let input = asked.first().map_or(0, weigh_prompt);
        if !asked.iter().any(|asked| seed(asked) == Some(number)) {
            // It was given up on its way. The prompts are all alike.
            return Self { is_asked: false, least: 0, most: input };
        }
        let said = "x".repeat(said_until(time.unwrap_or_default()));
        Self { is_asked: true, least: input + weigh(seen), most: input + weigh(&said) }
    }

    fn holds(&self, used: &Used) -> bool {
        let tokens = u64::try_from(used.tokens).unwrap_or_default();
        let is_counted = if self.is_asked { used.calls == 1 } else { (0..=1).contains(&used.calls) };
        is_counted && (self.least..=self.most).contains(&tokens) && used.cost == used.tokens * PRICE
    }

    /// What was used since, when it is as it must be, or when it will not become so.
    async fn settled(&self, asker: &Asker, before: Used) -> Used {
        let end = Instant::now() + LIMIT;
        loop {
            let used = less(asker.used().await, before);
            if self.holds(&used) || Instant::now() > end {
                return used;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// When the provider knew; it waits as long as the provider answers, and a moment for a call that is still on its way.
async fn stopped(fake: &FakeLlm, number: u32) -> Option<Instant> {
    let known = || {
        let left = fake.left();
        left.iter().find(|(asked, _)| seed(asked) == Some(number)).map(|(_, at)| *at)
    };
    let is_asked = || fake.asked().iter().any(|asked| seed(asked) == Some(number));
    let limit = if is_asked() { LIMIT } else { SOON };
    eventually(limit, || std::future::ready(known().is_some())).await;
    known()
}

/// Characters that the provider can have said by then.
fn said_until(time: Duration) -> usize {
    match time.checked_sub(FIRST) {
        None => 0,
        Some(time) => PIECE * (1 + usize::try_from(time.as_millis() / BETWEEN.as_millis()).unwrap()),
    }
}

/// A joke that takes long enough to be told; its words are of one length.
fn long_joke() -> String {
    let story = "Then she told us all about cats. ".repeat(16);
    format!(r#"{{"setup":"{}","punchline":"So we left."}}"#, story.trim())
}

type Listening = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Asks, and keeps what text comes.
fn listen(asker: Asker, way: Way, wish: Wish, seen: Arc<Mutex<String>>) -> Listening {
    match way {
        Way::Grpc | Way::Rest => Box::pin(async move { asker.ask(way, &wish).await }),
        Way::Stream => Box::pin(async move {
            let request = for_user(asker.token(), wish.stream());
            let mut messages = match asker.direct.jokes.clone().stream_joke(request).await {
                Ok(answer) => answer.into_inner(),
                Err(status) => return Outcome::of_status(&status, String::new()),
            };
            while let Some(Ok(message)) = messages.next().await {
                if let Some(Event::Delta(text)) = message.event {
                    seen.lock().unwrap().push_str(&text);
                }
            }
            Outcome::default()
        }),
        Way::Sse => Box::pin(async move {
            let response = asker.request(way, &wish).send().await.unwrap();
            let (status, mut bytes, mut all) = (response.status(), response.bytes_stream(), Vec::new());
            while let Some(Ok(piece)) = bytes.next().await {
                all.extend(piece);
                let text = String::from_utf8_lossy(&all);
                let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
                *seen.lock().unwrap() = Outcome::of_events(status.as_u16(), whole).text;
            }
            Outcome::default()
        }),
    }
}

/// Calls that the service has under way: those that have a place, and those that are being served.
async fn in_flight(mesh: &ProcessMesh) -> (f64, f64) {
    let jokes = mesh.process("jokes");
    (
        metric(jokes, "mesh_admission_in_flight", &[]).await,
        metric(jokes, "rpc_server_active_calls", &[]).await,
    )
}

/// After all have left, there is room for others.
async fn served(proof: &mut Proof, fake: &FakeLlm, askers: &[Asker]) {
    fake.always(Reply::text(JOKE));
    let calls = (0..50).map(|n| {
        let asker = &askers[n % askers.len()];
        async move { asker.ask(Way::ALL[n % 4], &Wish::new("cats", "m")).await }
    });
    for outcome in join_all(calls).await {
        proof.check(outcome.is_told(), || format!("after all have left: {outcome:?}"));
    }
}

/// What each user's calls used, one by one.
fn sums(gone: &[Gone], each: usize) -> Vec<Used> {
    let sum = |all: &[Gone]| {
        all.iter().map(|one| one.used).fold(Used::default(), |a, b| Used {
            calls: a.calls + b.calls,
            tokens: a.tokens + b.tokens,
            cost: a.cost + b.cost,
        })
    };
    gone.chunks(each).map(sum).collect()
}

fn less(a: Used, b: Used) -> Used {
    Used { calls: a.calls - b.calls, tokens: a.tokens - b.tokens, cost: a.cost - b.cost }
}
