//! I1: many callers at once, at the edge of a budget.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{Proof, count};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    sync::{Barrier, oneshot},
    time::sleep,
};

use crate::{
    ask::{Outcome, Way, Wish},
    asker::Asker,
    direct::{Direct, Used},
    support::{JOKE, setup},
};

/// Callers of a round.
const CALLERS: usize = 100;
/// Connections of the service to its database.
const CONNECTIONS: i64 = 32;
/// Calls that the budget allows.
const CALLS: i64 = 10;
/// Billionths of a dollar that the budget allows.
const COST: i64 = 3_200_000;
/// What one call of the model that costs may use: 320 tokens of an answer, for two dollars a million.
const DEAR: i64 = 640_000;

/// What is tried in a round.
#[derive(Clone, Copy)]
struct Round {
    model: &'static str,
    /// What the provider says that a call used.
    usage: (u32, u32),
    /// Calls that the user has made before; without any the user is unknown to the service.
    before: usize,
    /// How many calls the budget is good for, least and most.
    good_for: (usize, usize),
    ways: [Way; 2],
}

impl Round {
    /// Those that nothing but their number bounds; those whose provider takes all that it may, or claims more; and those that
    /// give something back.
    fn number(n: usize, ways: [Way; 2]) -> Self {
        let before = if n.is_multiple_of(2) { 0 } else { 3 };
        let (model, usage, good_for) = match n % 3 {
            0 => ("free", (100, 20), (10, 10)),
            1 => ("dear", (1_000_000, 100_000), (5, 5)),
            _ => ("dear", (100, 160), (5, 9)),
        };
        Self { model, usage, before, good_for, ways }
    }
}

/// The most that was seen in any round.
#[derive(Default)]
struct Most {
    calls: usize,
    used: Used,
    spent: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_no_race_spends_more_than_a_budget() {
    let mut proof =
        Proof::new("I1", "100 callers at once at the edge of a budget spend no more than the budget");
    let fake = FakeLlm::start().await.unwrap();
    let mesh = setup(&fake, &["free", "dear"])
        .servers()
        .with("jokes", "QUIPU_JOKES_PRICES", "dear=0/2")
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_DAY", format!("calls={CALLS},cost=0.0032"))
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_MONTH", "none")
        // All of them get as far as the budget, many at once.
        .with("jokes", "QUIPU_DATABASE_MAX_CONNECTIONS", CONNECTIONS.to_string())
        .with("jokes", "QUIPU_DATABASE_ACQUIRE_TIMEOUT", "9s")
        .start()
        .await;
    let (direct, mut most) = (Direct::to(&mesh), Most::default());
    let database = mesh.jokes_database.as_ref().unwrap().url();
    let (past, through) = (count(50), count(20));
    for n in 0..past + through {
        let ways = if n < past { [Way::Grpc, Way::Stream] } else { [Way::Rest, Way::Sse] };
        let asker = Asker::join(&mesh, &direct, &format!("user-{n}")).await;
        round(&mut proof, (&fake, database), &asker, Round::number(n, ways), &mut most).await;
    }
    let Most { calls, used, spent } = most;
    proof.figure(format!(
        "{past} rounds over gRPC and {through} over REST, unary and streamed: at most {calls} calls, {} counted, \
         {spent} billionths of a dollar spent, {} counted or reserved at any moment",
        used.calls, used.cost
    ));
    proof.limit(format!(
        "≤ {CALLS} calls, ≤ {COST} billionths of a dollar, in every round and at every moment"
    ));
    proof.finish();
}

async fn round(
    proof: &mut Proof,
    (fake, database): (&FakeLlm, &str),
    asker: &Asker,
    round: Round,
    most: &mut Most,
) {
    let reply = Reply::text(JOKE).usage(round.usage.0, round.usage.1);
    fake.always(reply.before_head(Duration::from_millis(20)));
    let (begun, wish) = (fake.counts().calls, Wish::new("cats", round.model));
    let mut outcomes = Vec::new();
    for _ in 0..round.before {
        outcomes.push(asker.ask(Way::Grpc, &wish).await);
    }
    let (stop, watched) = watch(asker);
    let crowd = all_at_once(asker, &wish, round.ways);
    outcomes.extend(held_back(database, crowd).await);
    stop.send(()).unwrap();
    let seen = watched.await.unwrap();

    let calls = usize::try_from(fake.counts().calls - begun).unwrap();
    let told: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.told.as_ref()).collect();
    let spent: i64 = told.iter().map(|told| told.cost).sum();
    let used = asker.used_by_rest().await;
    let case = format!("{} {:?}, {} before, {:?}", round.model, round.usage, round.before, round.ways);
    for outcome in &outcomes {
        proof.check(outcome.is_told() || is_refused(outcome), || format!("{case}: {outcome:?}"));
    }
    let (least, good_for) = round.good_for;
    proof.check((least..=good_for).contains(&calls), || format!("{case}: the provider saw {calls} calls"));
    proof.check(told.len() == calls, || format!("{case}: {} of {calls} calls became jokes", told.len()));
    proof.check(spent <= COST, || format!("{case}: {spent} spent"));
    let whole = (i64::try_from(calls).unwrap(), spent);
    proof.check((used.calls, used.cost) == whole, || format!("{case}: {used:?} counted, {whole:?} used"));
    proof.check(seen.calls <= CALLS && seen.cost <= COST, || format!("{case}: {seen:?} at some moment"));
    proof.check(asker.used().await == used, || format!("{case}: not as over gRPC"));
    most.calls = most.calls.max(calls);
    most.spent = most.spent.max(spent);
    most.used = larger(most.used, larger(used, seen));
}

/// All callers, who begin together.
async fn all_at_once(asker: &Asker, wish: &Wish, ways: [Way; 2]) -> Vec<Outcome> {
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|n| {
        let (asker, wish, barrier) = (asker.clone(), wish.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            asker.ask(ways[n % 2], &wish).await
        })
    });
    join_all(callers).await.into_iter().map(Result::unwrap).collect()
}

/// Lets all of them see the same rest: nobody gets at an account that is there before most of those who can ask the database at
/// once wait for it. Left to themselves they come one after the other, if the service is slower than its database.
async fn held_back(database: &str, crowd: impl Future<Output = Vec<Outcome>>) -> Vec<Outcome> {
    let mut holder = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT 1 FROM ledger FOR UPDATE").execute(&mut holder).await.unwrap();
    let mut looker = PgConnection::connect(database).await.unwrap();
    let release = async {
        // Less than the service's own limit of time for a lock.
        for _ in 0..100 {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut looker).await.unwrap();
            if waiting >= CONNECTIONS * 3 / 4 {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        holder.close().await.unwrap();
    };
    tokio::join!(crowd, release).0
}

/// Looks at what is counted again and again; the most of it.
fn watch(asker: &Asker) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Used>) {
    let (stop, mut stopped) = oneshot::channel();
    let asker = asker.clone();
    let watching = tokio::spawn(async move {
        let mut most = Used::default();
        while stopped.try_recv().is_err() {
            most = larger(most, asker.used_by_rest().await);
        }
        most
    });
    (stop, watching)
}

fn larger(a: Used, b: Used) -> Used {
    Used { calls: a.calls.max(b.calls), tokens: a.tokens.max(b.tokens), cost: a.cost.max(b.cost) }
}

/// Who is refused is refused by the budget; of the streams over REST the gateway lets a user have eight at once.
fn is_refused(outcome: &Outcome) -> bool {
    let is_late = outcome.status == 429 && outcome.reason == "TOO_MANY_STREAMS";
    is_late || matches!(outcome.status, 8 | 429) && outcome.reason == "BUDGET_SPENT"
}

#[test]
fn a_budget_is_good_for_five_calls_of_the_model_that_costs() {
    assert_eq!(COST / DEAR, 5);
}
