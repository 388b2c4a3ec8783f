//! I7: consumption without bounds: prompts that are too long, too many of them, fields that nobody asked for, output without
//! end, and providers that count as they like.

use futures::{StreamExt as _, stream};
use mesh_proto::jokes::v1 as jokes;
use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{ProcessMesh, Proof, count, for_user};
use serde_json::{Value, json};

use crate::{
    ask::{Outcome, Way, Wish},
    asker::Asker,
    direct::Direct,
    endless,
    support::{JOKE, setup},
    usage,
};

/// Billionths of a dollar for each token.
pub(crate) const PRICE: i64 = 1_000;
const DOLLAR: i64 = 1_000_000_000;
/// Tokens of one of many small prompts, as the provider says.
const SMALL: (u32, u32) = (800, 300);
/// What many small prompts may cost together, for each of them: less than they would.
const CAP_EACH: i64 = 1_000_000;
/// Callers of them at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_consumption_is_bounded() {
    let mut proof =
        Proof::new("I7", "no prompt, number of prompts, field or answer uses more than its limit");
    let fake = FakeLlm::start().await.unwrap();
    let cap = CAP_EACH * i64::try_from(count(1_000)).unwrap();
    let mut mesh = setup(&fake, &["m"])
        .with("jokes", "QUIPU_JOKES_PRICES", "m=1/1")
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_DAY", format!("cost={}.{:09}", cap / DOLLAR, cap % DOLLAR))
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_MONTH", "none")
        .start()
        .await;
    let direct = Direct::to(&mesh);
    let asker = Asker::join(&mesh, &direct, "small").await;
    let small = small_prompts(&mut proof, &fake, &asker, cap).await;
    let asker = Asker::join(&mesh, &direct, "odd").await;
    let odd = refused(&mut proof, &fake, &asker).await;
    let asker = Asker::join(&mesh, &direct, "endless").await;
    let longest = endless::cut(&mut proof, &fake, &asker).await;
    let asker = Asker::join(&mesh, &direct, "counted").await;
    let counted = usage::reconciled(&mut proof, &fake, &asker).await;
    let bounded = bounded(&mut proof, &fake, &mut mesh, &asker).await;
    proof.figure(format!(
        "{small}; {odd} prompts and bodies refused unasked; the longest answer without an end has {longest} tokens; \
         {counted}; all {bounded} calls carry their bound"
    ));
    proof.limit(format!("≤ {cap} billionths, 0 calls, ≤ 320 and ≤ 800 tokens, billed ≤ reserved, 100 %"));
    proof.finish();
}

/// Many small prompts of one user against a cap on cost.
async fn small_prompts(proof: &mut Proof, fake: &FakeLlm, asker: &Asker, cap: i64) -> String {
    fake.always(Reply::text(JOKE).usage(SMALL.0, SMALL.1));
    let begun = fake.counts().calls;
    let calls =
        (0..count(1_000)).map(|n| async move { asker.ask(Way::ALL[n % 4], &Wish::new("cats", "m")).await });
    let outcomes: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
    let each = PRICE * i64::from(SMALL.0 + SMALL.1);
    let calls = i64::try_from(fake.counts().calls - begun).unwrap();
    let told: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.told.as_ref()).collect();
    let (spent, used) = (told.iter().map(|told| told.cost).sum::<i64>(), asker.used().await);
    for outcome in &outcomes {
        let is_spent = matches!(outcome.status, 8 | 429) && outcome.reason == "BUDGET_SPENT";
        proof.check(outcome.is_told() || is_spent, || format!("a small prompt: {outcome:?}"));
    }
    let told = i64::try_from(told.len()).unwrap();
    proof.check(told == calls && spent == calls * each, || format!("{told} of {calls} told, {spent} spent"));
    proof.check(spent <= cap && used.cost == spent, || format!("{spent} spent, {used:?}, of {cap}"));
    // What is left is less than the most that a call can cost.
    proof.check(cap - spent < 4_000 * PRICE, || format!("only {spent} of {cap} can be spent"));
    format!("{} small prompts spent {spent} billionths of a dollar of {cap}", outcomes.len())
}

/// Prompts that are too long, and bodies with fields that nobody asked for: refused before anything is asked or paid.
async fn refused(proof: &mut Proof, fake: &FakeLlm, asker: &Asker) -> usize {
    let (begun, before) = (fake.counts().calls, asker.used().await);
    let mut tried = 0;
    for (path, body, status) in bodies() {
        let (got, answer) = asker.person.post(path, &body).await;
        let (body, answer) = (body.to_string(), answer.to_string());
        let shown = body.chars().take(80).collect::<String>();
        proof.check(got.as_u16() == status, || format!("{path} {shown}: {got} and not {status}: {answer}"));
        proof.check(answer.len() < 2_000, || format!("{path} {shown}: an answer of {} bytes", answer.len()));
        tried += 1;
    }
    for (length, expected) in [(100_000, 8), (90_000, 3), (201, 3)] {
        for way in [Way::Grpc, Way::Stream] {
            let outcome = asker.ask(way, &Wish::new(&"x".repeat(length), "m")).await;
            proof
                .check(outcome.status == expected, || format!("{length} characters by {way:?}: {outcome:?}"));
            tried += 1;
        }
    }
    for messages in [conversation(1, 4_001), conversation(50, 321), conversation(51, 1)] {
        let messages = messages.into_iter().map(|content| jokes::Message { role: 1, content }).collect();
        let request = for_user(asker.token(), jokes::ChatRequest { messages, model: "m".to_owned() });
        let status = asker.direct.jokes.clone().chat(request).await.map(drop).unwrap_err();
        proof.check(status.code() == tonic::Code::InvalidArgument, || format!("{status:?}"));
        tried += 1;
    }
    let (calls, used) = (fake.counts().calls - begun, asker.used().await);
    proof.check(calls == 0 && used == before, || format!("{calls} calls, {used:?} used"));
    tried
}

fn conversation(messages: usize, characters: usize) -> Vec<String> {
    vec!["x".repeat(characters); messages]
}

/// Bodies of requests over REST, and the status of each.
fn bodies() -> Vec<(&'static str, Value, u16)> {
    const JOKES: &str = "/v1/jokes";
    const CHAT: &str = "/v1/chat";
    let long = "x".repeat(100_000);
    let chat = |messages: usize, characters: usize| {
        let said = conversation(messages, characters).into_iter();
        let said: Vec<_> = said.map(|content| json!({"role": "user", "content": content})).collect();
        json!({"messages": said, "model": "m"})
    };
    let mut all = vec![
        (JOKES, json!({"topic": long}), 413),
        (JOKES, json!({"topic": "x".repeat(60_000)}), 400),
        (JOKES, json!({"topic": "x".repeat(201)}), 400),
        (JOKES, json!({"topic": "cats", "audience": "x".repeat(81)}), 400),
        (JOKES, json!({"topic": "cats", "temperature": 2.1}), 400),
        (CHAT, chat(1, 100_000), 413),
        (CHAT, chat(50, 2_000), 413),
        (CHAT, chat(1, 90_000), 400),
        (CHAT, chat(1, 4_001), 400),
        (CHAT, chat(50, 321), 400),
        (CHAT, chat(51, 1), 400),
        (CHAT, chat(1, 300_000), 413),
    ];
    let fields = [
        ("n", json!(100)),
        ("max_tokens", json!(100_000)),
        ("max_completion_tokens", json!(100_000)),
        ("best_of", json!(20)),
        ("stream", json!(true)),
        ("tools", json!([])),
        ("messages", json!([])),
        ("topic", json!("dogs")),
        ("reasoning_effort", json!("high")),
        ("base_url", json!("http://127.0.0.1/v1")),
    ];
    for (field, value) in fields {
        let has = |body: &Value| body.get(field).is_some();
        for (path, mut body) in [(JOKES, json!({"topic": "cats"})), (CHAT, chat(1, 3))] {
            if !has(&body) {
                body[field] = value.clone();
                all.push((path, body, 400));
            }
        }
    }
    all
}

/// Every call that the provider has seen says how long an answer may be, under the name that is set, and asks for one answer.
async fn bounded(proof: &mut Proof, fake: &FakeLlm, mesh: &mut ProcessMesh, asker: &Asker) -> usize {
    let all = fake.asked();
    mesh.change("jokes", "QUIPU_JOKES_MAX_TOKENS_FIELD", "max_tokens");
    mesh.stop("jokes", "TERM").await;
    mesh.start_again("jokes").await;
    fake.always(Reply::text(JOKE));
    for way in Way::ALL {
        let outcome = asker.ask(way, &Wish::new("cats", "m")).await;
        proof.check(outcome.is_told(), || format!("with the other name, by {way:?}: {outcome:?}"));
    }
    let renamed = fake.asked().split_off(all.len());
    for (asked, name, other) in
        [(&all, "max_completion_tokens", "max_tokens"), (&renamed, "max_tokens", "max_completion_tokens")]
    {
        for call in asked {
            let most = if call.body["response_format"].is_object() { 320 } else { 800 };
            let others = [other, "n", "best_of", "tools"].iter().any(|name| call.body.get(*name).is_some());
            let is_bounded = call.body[name] == most && !others;
            proof.check(is_bounded && call.body["stream"] == true, || call.body.to_string());
        }
    }
    all.len() + renamed.len()
}

/// A chat over gRPC: its end, or how it failed, and its text.
pub(crate) async fn chat(asker: &Asker, content: &str) -> (Option<jokes::ChatEnd>, Outcome) {
    let messages = vec![jokes::Message { role: 1, content: content.to_owned() }];
    let request = for_user(asker.token(), jokes::ChatRequest { messages, model: "m".to_owned() });
    let mut pieces = asker.direct.jokes.clone().chat(request).await.unwrap().into_inner();
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        match piece.map(|piece| piece.event) {
            Ok(Some(jokes::chat_response::Event::Delta(delta))) => text.push_str(&delta),
            Ok(Some(jokes::chat_response::Event::End(end))) => {
                return (Some(end), Outcome { text, ..Outcome::default() });
            }
            Ok(None) => {}
            Err(status) => return (None, Outcome::of_status(&status, text)),
        }
    }
    panic!("a chat without an end: {text}")
}
