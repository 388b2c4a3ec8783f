//! I6: a provider that fails, in every way and asked in every way.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream};
use mesh_testkit::{Asked, FakeLlm, Reply};
use quipu_e2e::{ProcessMesh, Proof};

use crate::{
    ask::{Way, Wish},
    asker::Asker,
    direct::Direct,
    support::{JOKE, calls, setup},
    table::{Case, End, cases},
};

/// Wishes at once; each is of a model of its own, so none opens the breaker of another.
pub(crate) const AT_ONCE: usize = 16;

/// Models whose provider fails always.
pub(crate) const DOWN: [&str; 4] = ["down.grpc", "down.stream", "down.rest", "down.sse"];

/// A mesh with a model for each failure and way, and a provider that fails as the model's name says.
pub(crate) async fn failing(cases: &[Case]) -> (FakeLlm, ProcessMesh) {
    let fake = FakeLlm::start().await.unwrap();
    let replies: BTreeMap<_, _> = cases.iter().map(|case| (case.name, case.reply.clone())).collect();
    fake.respond_with(Arc::new(move |asked: &Asked| {
        let model = asked.body["model"].as_str().unwrap();
        let name = model.split('.').next().unwrap();
        replies.get(name).cloned().unwrap_or_else(|| Reply::error(500, "server_error", "Down."))
    }));
    let names: Vec<_> = cases.iter().flat_map(|case| Way::ALL.map(|way| model(case, way))).collect();
    let names: Vec<_> = names.iter().map(String::as_str).chain(DOWN).collect();
    let mesh = setup(&fake, &names)
        .with("jokes", "QUIPU_JOKES_FIRST_TOKEN_TIMEOUT", "2s")
        .with("jokes", "QUIPU_JOKES_STALL_TIMEOUT", "2s")
        .start()
        .await;
    (fake, mesh)
}

/// The model of a failure and a way.
pub(crate) fn model(case: &Case, way: Way) -> String {
    format!("{}.{}", case.name, way.name())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_provider_that_fails_is_asked_again_before_the_first_word_only() {
    let mut proof = Proof::new("I6", "each failure of a provider has its number of tries and its one answer");
    let cases = cases();
    let (fake, mesh) = failing(&cases).await;
    let asker = Asker::join(&mesh, &Direct::to(&mesh), "asker").await;
    let all = cases.iter().flat_map(|case| Way::ALL.map(|way| (case, way)));
    let asked = stream::iter(all).map(|(case, way)| {
        let asker = &asker;
        async move { (case, way, asker.ask(way, &Wish::new("cats", &model(case, way))).await) }
    });
    let outcomes: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    let (mut unlike, mut later) = (0, 0);
    for (case, way, outcome) in &outcomes {
        let what = format!("{} by {way:?}", case.name);
        let seen = calls(&fake, &model(case, *way));
        proof.check(seen == case.calls, || format!("{what}: {seen} calls and not {}", case.calls));
        proof.check(case.end.is(*way, outcome), || format!("{what}: {outcome:?} and not {:?}", case.end));
        let is_said = way.streams() && case.is_said;
        proof.check(outcome.text.is_empty() != is_said, || format!("{what}: text {:?}", outcome.text));
        unlike += usize::from(seen != case.calls || !case.end.is(*way, outcome));
        later += usize::from(!case.end.is_before_the_first_word() && seen > 1);
    }
    proof.require(later == 0, || format!("{later} asked again after the first word"));
    let used = asker.used().await;
    let begun = outcomes.iter().filter(|(case, ..)| !case.end.is_before_the_first_word()).count();
    let billed = usize::try_from(used.calls).unwrap();
    proof.check(billed == begun, || format!("{billed} calls billed, {begun} had begun"));
    breaker(&mut proof, &fake, &asker).await;
    proof.figure(format!(
        "{} failures × {} ways: {unlike} unlike the table, {later} asked again after the first word, {billed} of {} billed; the \
         breaker of a model opens with its 5th failure",
        cases.len(),
        Way::ALL.len(),
        fake.counts().calls
    ));
    proof.limit("number of calls, status and reason as in the table; 0 again after the first word; 5 calls");
    proof.finish();
}

/// A provider that is down is left alone after five failures, whoever asks and how.
async fn breaker(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) {
    for (way, model) in Way::ALL.into_iter().zip(DOWN) {
        for n in 0..8 {
            let outcome = asker.ask(way, &Wish::new("cats", model)).await;
            let seen = calls(fake, model);
            let expected = [2, 4, 5][n.min(2)];
            proof.check(seen == expected, || format!("{model}: {seen} calls after {} wishes", n + 1));
            proof.check(End::Away(5).is(way, &outcome), || format!("{model}: {outcome:?}"));
        }
    }
    fake.always(Reply::text(JOKE));
    let outcome = asker.ask(Way::Grpc, &Wish::new("cats", DOWN[0])).await;
    proof.check(End::Away(5).is(Way::Grpc, &outcome), || format!("the breaker is open: {outcome:?}"));
}
