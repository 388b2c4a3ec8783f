//! I7, a part: what a call used, as the provider says or does not say.

use std::time::Duration;

use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{LIMIT, Proof, eventually};
use serde_json::{Value, json};

use crate::{
    ask::{Told, Way, Wish},
    asker::Asker,
    consumption::PRICE,
    direct::Used,
    support::{JOKE, weigh, weigh_prompt},
};

/// Tokens of an answer, at most.
const MOST: u32 = 320;

/// What is billed is what the provider says, within what was reserved, or our own count.
pub(crate) async fn reconciled(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> String {
    said(proof, fake, asker).await;
    let unsaid = unsaid(proof, fake, asker).await;
    let (reserved, billed) = overrun(proof, fake, asker).await;
    format!(
        "{unsaid} usages that are not said, or not in full, are counted; of claims beyond it {billed} tokens are billed, as \
         many as are reserved ({reserved})"
    )
}

/// Asks once; what was told, and what was billed for it.
async fn once(asker: &Asker, way: Way) -> (Option<Told>, Used) {
    let before = asker.used().await;
    let outcome = asker.ask(way, &Wish::new("cats", "m")).await;
    let used = asker.used().await;
    let used = Used {
        calls: used.calls - before.calls,
        tokens: used.tokens - before.tokens,
        cost: used.cost - before.cost,
    };
    (outcome.told, used)
}

fn billed(told: &Told, used: &Used) -> bool {
    let tokens = i64::from(told.input) + i64::from(told.output);
    (used.calls, used.tokens, used.cost) == (1, tokens, tokens * PRICE) && told.cost == used.cost
}

/// As the provider says; its hidden reasoning is in it.
async fn said(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) {
    for (input, output) in [(100, 50), (100, 300), (1, 1), (100, MOST)] {
        fake.always(Reply::text(JOKE).every(8).reasoning(20).usage(input, output));
        for way in Way::ALL {
            let (told, used) = once(asker, way).await;
            let is_right = told
                .as_ref()
                .is_some_and(|told| (told.input, told.output) == (input, output) && billed(told, &used));
            proof.check(is_right, || format!("{input} and {output} by {way:?}: {told:?}, {used:?}"));
        }
    }
}

/// What the provider does not say, or only half, is counted.
async fn unsaid(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> usize {
    let chunk = |usage: &Value| {
        let choice =
            |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        Reply::events(&[
            json!({"choices": choice(json!({"content": JOKE}), Value::Null)}),
            json!({"choices": choice(json!({}), json!("stop")), "usage": usage}),
        ])
    };
    let replies = [
        Reply::text(JOKE).no_usage(),
        Reply::text(JOKE).no_usage().whole(),
        chunk(&Value::Null),
        chunk(&json!({})),
        chunk(&json!({"prompt_tokens": 5})),
        chunk(&json!({"completion_tokens": 5})),
        chunk(&json!({"prompt_tokens": 5, "completion_tokens": null})),
        chunk(&json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
        chunk(&json!({"prompt_tokens": 5, "completion_tokens": 0})),
    ];
    let all = replies.len();
    for (n, reply) in replies.into_iter().enumerate() {
        fake.always(reply);
        for way in Way::ALL {
            let (told, used) = once(asker, way).await;
            let due = fake.asked().last().map(|asked| (weigh_prompt(asked), weigh(JOKE)));
            let is_right = told.as_ref().is_some_and(|told| {
                Some((told.input.into(), told.output.into())) == due && billed(told, &used)
            });
            proof.check(is_right, || format!("unsaid {n} by {way:?}: {told:?}, {used:?} and not {due:?}"));
        }
    }
    all
}

/// A provider that claims more than it was allowed gets what was reserved, and nothing more; both in tokens.
async fn overrun(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> (i64, i64) {
    fake.always(Reply::text(JOKE).usage(4_000_000_000, 4_000_000_000).before_head(Duration::from_secs(1)));
    let before = asker.used().await;
    let call = tokio::spawn({
        let asker = asker.clone();
        async move { once(&asker, Way::Grpc).await }
    });
    let is_reserved = || async { asker.used().await.calls > before.calls };
    proof.check(eventually(LIMIT, is_reserved).await, || "nothing is reserved");
    let reserved = asker.used().await.tokens - before.tokens;
    let (told, used) = call.await.unwrap();
    let is_right = told.as_ref().is_some_and(|told| told.output == MOST && billed(told, &used));
    proof.check(is_right && used.tokens == reserved, || {
        format!("claimed without measure: {told:?}, {used:?}, {reserved} reserved")
    });
    (reserved, used.tokens)
}
