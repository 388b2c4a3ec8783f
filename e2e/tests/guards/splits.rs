//! I2: what a guard refuses does not leave in parts either, wherever the provider splits it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use mesh_testkit::{Asked, FakeLlm};
use quipu_e2e::{Person, ProcessMesh, Proof, count, is_full};

use crate::{
    asking::{Asker, Told, Way, all, prompts, setup},
    plan::{Plan, Text, of_chat, of_joke, several},
    rest::{ask_rest, few},
    samples::{POLICY, Random, banned, benign},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_no_banned_byte_leaves_wherever_the_provider_splits() {
    let mut proof = Proof::new("I2", "no part of a banned answer leaves, wherever it is split");
    let llm = FakeLlm::start().await.unwrap();
    let policy = tempfile::NamedTempFile::new().unwrap();
    fs::write(policy.path(), POLICY).unwrap();
    let guard_file = policy.path().display().to_string();
    let mesh = setup(&llm).with("jokes", "QUIPU_JOKES_GUARD_FILE", guard_file).start().await;
    let known = prompts(&llm, &Asker::new(&mesh, &mesh.signed_in("ana").await).await).await;
    let joke = banned(&known.canary, &known.joke);
    let chat = banned(&known.canary, &known.chat);
    let outputs = chosen(&joke);
    let (mut splits, mut alike) = (0, 0);
    // Tokens of users do not live as long as all of it takes.
    for part in outputs.chunks(20) {
        let asker = Asker::new(&mesh, &mesh.signed_in(&format!("ana-{splits}")).await).await;
        let mut plans = Vec::new();
        for &output in part {
            plans.extend(of_joke(output, &joke[output].1));
            plans.extend(of_chat(output, &chat[output].1));
        }
        let told = play(&llm, &asker, &plans).await;
        splits += told.len();
        let mut decisions: BTreeMap<usize, BTreeSet<(String, String)>> = BTreeMap::new();
        for (plan, told) in plans.iter().zip(&told) {
            let (rule, text) = if plan.way == Way::Chat { &chat[plan.output] } else { &joke[plan.output] };
            let refused = told.reason == "ANSWER_REFUSED" && told.rule == *rule && told.joke.is_none();
            proof.check(refused && is_clean(told, plan, text), || format!("{rule} {text:?}, {plan}: {told}"));
            decisions.entry(plan.output).or_default().insert((told.reason.clone(), told.rule.clone()));
        }
        alike += decisions.values().filter(|decisions| decisions.len() == 1).count();
        let kept = asker.jokes().await.len();
        proof.require(kept == 0, || format!("{kept} refused jokes are kept"));
    }
    let person = mesh.signed_in("eva").await;
    let of_rest = over_rest(&mut proof, &llm, &person, [&joke, &chat], &outputs).await;
    let honest = control(&mut proof, &llm, &mesh).await;
    proof.require(alike == outputs.len(), || format!("{alike} of {} decided alike", outputs.len()));
    proof.require(joke.len() >= 200, || format!("only {} outputs are banned", joke.len()));
    proof.figure(format!(
        "{} outputs, {splits} splits over gRPC and {of_rest} over REST: {alike} decided alike, whole and as it comes; {honest} \
         honest answers arrive whole",
        outputs.len()
    ));
    proof.limit("0 banned bytes at the client; each decided alike");
    proof.finish();
}

/// All outputs; in the short form each tenth, among them a secret and a part of the system prompt in many lines, and one for
/// each rule.
fn chosen(list: &[(String, String)]) -> Vec<usize> {
    let is_first = |n: usize| n > 0 && list[n].0 != list[n - 1].0;
    (0..list.len()).filter(|n| is_full() || n % 10 == 6 || is_first(*n)).collect()
}

/// Asks for each of the plans; what came, in their order.
async fn play(llm: &FakeLlm, asker: &Asker, plans: &[Plan]) -> Vec<Told> {
    answer_with(llm, plans);
    let ask = |(n, plan): (usize, &Plan)| {
        let (asker, way) = (asker.clone(), plan.way);
        async move { (n, asker.ask(way, &format!("case {n}")).await) }
    };
    let mut told = all(plans.iter().enumerate().map(ask)).await;
    told.sort_by_key(|(n, _)| *n);
    told.into_iter().map(|(_, told)| told).collect()
}

/// Lets the provider answer `case N` by the plan at that place.
fn answer_with(llm: &FakeLlm, plans: &[Plan]) {
    let plans: Arc<[Plan]> = plans.into();
    llm.respond_with(Arc::new(move |asked: &Asked| {
        let said = asked.body["messages"][1]["content"].as_str().unwrap();
        let digits: String =
            said.split_once("case ").unwrap().1.chars().take_while(char::is_ascii_digit).collect();
        plans[digits.parse::<usize>().unwrap()].reply()
    }));
}

/// What came is nothing but what stood before the banned text.
fn is_clean(told: &Told, plan: &Plan, text: &str) -> bool {
    let whole = plan.way == Way::Whole && !told.text.is_empty();
    // Shorter ones stand anywhere.
    !whole && plan.text.passes.starts_with(&told.text) && (text.len() < 5 || !told.holds(text))
}

/// Each output once in each way that REST has, cut at random.
async fn over_rest(
    proof: &mut Proof,
    llm: &FakeLlm,
    person: &Person,
    [joke, chat]: [&[(String, String)]; 2],
    outputs: &[usize],
) -> usize {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut plans = Vec::new();
    for &output in outputs {
        for way in [Way::Whole, Way::Stream, Way::Chat, Way::Chat] {
            let escaped = random.below(2) == 0;
            let text = match way {
                Way::Chat => Text::of_chat(&chat[output].1, escaped),
                _ => Text::of_joke(output, &joke[output].1, escaped),
            };
            plans.push(Plan { output, way, cut: several(&text, &mut random), text });
        }
    }
    answer_with(llm, &plans);
    let ask = |(n, plan): (usize, &Plan)| {
        // Of two chats one is asked for as a whole.
        let (person, way, events) = (person.clone(), plan.way, n % 2 == 1);
        async move { (n, ask_rest(&person, way, &format!("case {n}"), events).await) }
    };
    for (n, told) in few(plans.iter().enumerate().map(ask)).await {
        let plan = &plans[n];
        let (rule, text) = if plan.way == Way::Chat { &chat[plan.output] } else { &joke[plan.output] };
        let refused =
            told.code == 422 && told.reason == "ANSWER_REFUSED" && told.rule == *rule && !told.ended;
        proof.check(refused && is_clean(&told, plan, text), || {
            format!("REST, {rule} {text:?}, {plan}: {told}")
        });
    }
    plans.len()
}

/// What no guard refuses arrives as it was said, however it is cut.
async fn control(proof: &mut Proof, llm: &FakeLlm, mesh: &ProcessMesh) -> usize {
    let asker = Asker::new(mesh, &mesh.signed_in("bob").await).await;
    let (topics, mut random, mut plans) = (benign().collect::<Vec<_>>(), Random(11), Vec::new());
    for output in 0..count(200) {
        let text = (0..3).map(|_| topics[random.below(topics.len())]).collect::<Vec<_>>().join(". ");
        for way in [Way::Whole, Way::Stream, Way::Chat] {
            let escaped = random.below(2) == 0;
            let text = match way {
                Way::Chat => Text::honest_chat(&text, escaped),
                _ => Text::honest_joke(&text, escaped),
            };
            plans.push(Plan { output, way, cut: several(&text, &mut random), text });
        }
    }
    for (plan, told) in plans.iter().zip(play(llm, &asker, &plans).await) {
        proof.check(told.ended && told.text == plan.text.passes, || format!("honest, {plan}: {told}"));
    }
    let (kept, made) = (asker.jokes().await.len(), plans.len() / 3 * 2);
    proof.require(kept == made, || format!("{kept} of {made} honest jokes are kept"));
    plans.len()
}
