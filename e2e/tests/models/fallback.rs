//! I6, the other half: a model that stands in for one that fails says so, and never takes up what another has begun.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{Proof, is_full};

use crate::{
    ask::{Outcome, Way, Wish},
    asker::Asker,
    direct::Direct,
    failures::{AT_ONCE, DOWN, failing, model},
    support::{JOKE, calls},
    table::{Case, cases},
};

/// The model that stands in.
const STAND_IN: &str = "puns";
/// How long a breaker stays open.
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_fallback_a_model_that_stands_in_is_marked() {
    let mut proof =
        Proof::new("I6.fallback", "a model stands in for one that fails before its first word, and says so");
    let cases = cases();
    let (fake, mut mesh) = failing(&cases).await;
    mesh.change("jokes", "QUIPU_JOKES_FALLBACK", STAND_IN);
    mesh.stop("jokes", "TERM").await;
    mesh.start_again("jokes").await;
    let asker = Asker::join(&mesh, &Direct::to(&mesh), "asker").await;
    let all = cases.iter().flat_map(|case| Way::ALL.map(|way| (case, way)));
    let asked = stream::iter(all).map(|(case, way)| {
        let asker = &asker;
        async move { (case, way, asker.ask(way, &Wish::new("cats", &model(case, way))).await) }
    });
    let outcomes: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    let mut marked = 0;
    for (case, way, outcome) in &outcomes {
        let seen = calls(&fake, &model(case, *way));
        proof.check(is_right(case, *way, outcome), || format!("{} by {way:?}: {outcome:?}", case.name));
        proof.check(seen == case.calls, || format!("{} by {way:?}: {seen} calls", case.name));
        marked += usize::from(is_fallback(outcome));
    }
    open(&mut proof, &fake, &asker).await;
    drop(fake);
    for (case, way) in [(cases.last().unwrap(), Way::Grpc), (cases.last().unwrap(), Way::Rest)] {
        let outcome = asker.ask(way, &Wish::new("cats", &model(case, way))).await;
        proof.check(is_fallback(&outcome), || format!("no provider at all, by {way:?}: {outcome:?}"));
    }
    let right = outcomes.len() - marked;
    proof.figure(format!("{marked} jokes by another model, all marked; {right} by their own or none"));
    proof.limit("marked wherever nothing had come, and nowhere else; 0 taken up after the first word");
    proof.finish();
}

/// A joke of the model that stands in where nothing had come, and elsewhere what is without it.
fn is_right(case: &Case, way: Way, outcome: &Outcome) -> bool {
    if case.end.is_before_the_first_word() {
        is_fallback(outcome)
    } else {
        case.end.is(way, outcome) && !is_fallback(outcome)
    }
}

fn is_fallback(outcome: &Outcome) -> bool {
    outcome.told.as_ref().is_some_and(|told| told.fallback && told.model == STAND_IN)
}

/// Through an open breaker the provider is not asked; when its pause is over, one call tries.
async fn open(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) {
    for (way, model) in Way::ALL.into_iter().zip(DOWN) {
        for _ in 0..6 {
            let outcome = asker.ask(way, &Wish::new("cats", model)).await;
            proof.check(is_fallback(&outcome), || format!("{model}: {outcome:?}"));
        }
        let seen = calls(fake, model);
        proof.check(seen == 5, || format!("{model}: {seen} calls"));
    }
    if is_full() {
        fake.always(Reply::text(JOKE));
        tokio::time::sleep(PAUSE).await;
        for (way, model) in Way::ALL.into_iter().zip(DOWN) {
            let outcome = asker.ask(way, &Wish::new("cats", model)).await;
            let is_own = outcome.told.as_ref().is_some_and(|told| !told.fallback && told.model == model);
            proof.check(is_own, || format!("{model} after its pause: {outcome:?}"));
        }
    }
}
