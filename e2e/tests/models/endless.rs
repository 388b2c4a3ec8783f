//! I7, a part: answers that do not end, or are longer than the provider was told.

use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{LIMIT, Proof};
use reqwest::Method;
use serde_json::json;

use crate::{
    ask::{Way, Wish},
    asker::Asker,
    consumption::chat,
    support::{weigh, weigh_prompt},
};

/// Tokens of a joke of usual length, at most.
const JOKE_TOKENS: u64 = 320;
/// Tokens of a chat's answer, at most.
const CHAT_TOKENS: u64 = 800;
/// Characters of an answer that is far too long, and yet not too long to be read.
const LONG: usize = 50_000;

/// Every answer is cut at its limit and no more of it is billed; the tokens of the longest.
pub(crate) async fn cut(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> u64 {
    let mut longest = 0;
    for (what, reply) in [
        ("without an end", Reply::endless("And then some more. ")),
        ("without an end, in large pieces", Reply::endless("And then some more. ".repeat(500))),
        ("too long", Reply::text(long()).every(50)),
        ("too long, as a whole", Reply::text(long()).whole()),
    ] {
        fake.always(reply);
        longest = longest.max(chats(proof, fake, asker, what).await);
    }
    for (what, reply) in [
        ("without an end", Reply::endless("{\"setup\":\"And then some more. ")),
        ("too long", Reply::text(format!("{{\"setup\":\"{}", long())).every(50)),
        ("too long, in one piece", Reply::text(format!("{{\"setup\":\"{}", long()))),
    ] {
        fake.always(reply);
        longest = longest.max(jokes(proof, fake, asker, what).await);
    }
    let all_left = fake.wait_for(LIMIT, |counts| counts.under_way == 0).await;
    proof.check(all_left.is_ok(), || format!("the provider goes on: {all_left:?}"));
    longest
}

fn long() -> String {
    "And then some more. ".repeat(LONG / 20)
}

async fn chats(proof: &mut Proof, fake: &FakeLlm, asker: &Asker, what: &str) -> u64 {
    let mut longest = 0;
    let mut cut = |text: &str, output: u64, is_cut: bool| {
        let tokens = weigh(text);
        longest = longest.max(tokens);
        is_cut && tokens <= CHAT_TOKENS && tokens > CHAT_TOKENS / 2 && output == CHAT_TOKENS
    };
    let bill = Bill::before(fake, asker).await;
    let (end, outcome) = chat(asker, "Tell me all.").await;
    let end = end.unwrap_or_default();
    let is_cut = cut(&outcome.text, end.usage.unwrap_or_default().output_tokens.into(), end.truncated);
    proof.check(is_cut, || format!("{what}: {end:?}, {} characters", outcome.text.len()));
    let body = json!({"messages": [{"role": "user", "content": "Tell me all."}], "model": "m"});
    let (status, answer) = asker.person.post("/v1/chat", &body).await;
    let text = answer["message"]["content"].as_str().unwrap_or_default();
    let is_cut =
        cut(text, answer["usage"]["output_tokens"].as_u64().unwrap_or(0), answer["truncated"] == true);
    proof.check(status == 200 && is_cut, || format!("{what}: {status}, {} characters", text.len()));
    let request = asker.person.request(Method::POST, "/v1/chat").json(&body);
    let events = request.header("accept", "text/event-stream").send().await.unwrap().text().await.unwrap();
    // The words, and a frame around each sentence.
    let fits = events.contains("\"truncated\":true") && events.len() < 16 * 1024;
    proof.check(fits, || format!("{what}: {} bytes of events", events.len()));
    bill.after(proof, CHAT_TOKENS, what).await;
    longest
}

/// What is cut is no joke: it is asked for once more where nobody has seen any of it.
async fn jokes(proof: &mut Proof, fake: &FakeLlm, asker: &Asker, what: &str) -> u64 {
    let mut longest = 0;
    for way in Way::ALL {
        let bill = Bill::before(fake, asker).await;
        let outcome = asker.ask(way, &Wish::new("cats", "m")).await;
        let tokens = weigh(&outcome.text);
        let is_refused =
            (outcome.status, outcome.reason.as_str()) == (way.status(14, 502), "MODEL_ANSWER_INVALID");
        proof.check(is_refused && tokens <= JOKE_TOKENS, || format!("{what} by {way:?}: {outcome:?}"));
        let calls = bill.after(proof, JOKE_TOKENS, what).await;
        let expected = if outcome.text.is_empty() { 2 } else { 1 };
        proof.check(calls == expected, || format!("{what} by {way:?}: {calls} calls"));
        longest = longest.max(tokens);
    }
    longest
}

/// What had been asked and billed.
struct Bill<'a> {
    fake: &'a FakeLlm,
    asker: &'a Asker,
    asked: usize,
    tokens: i64,
}

impl<'a> Bill<'a> {
    async fn before(fake: &'a FakeLlm, asker: &'a Asker) -> Self {
        Self { fake, asker, asked: fake.asked().len(), tokens: asker.used().await.tokens }
    }

    /// Since then each call is billed its prompt and the longest answer; the number of calls.
    async fn after(self, proof: &mut Proof, most: u64, what: &str) -> usize {
        let asked = self.fake.asked().split_off(self.asked);
        let due: u64 = asked.iter().map(|asked| weigh_prompt(asked) + most).sum();
        let billed = self.asker.used().await.tokens - self.tokens;
        proof.check(u64::try_from(billed) == Ok(due), || {
            format!("{what}: {billed} tokens billed for {} calls, {due} are due", asked.len())
        });
        asked.len()
    }
}
