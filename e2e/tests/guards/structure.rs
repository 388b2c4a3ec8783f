//! I5: a joke is the JSON that was asked for, or there is none; and it is asked for once more at most.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mesh_testkit::{Asked, FakeLlm, Reply};
use quipu_e2e::{Person, ProcessMesh, Proof, is_full};
use sqlx::{Connection as _, SqliteConnection};

use crate::{
    asking::{Asker, GOOD, Told, Way, said, setup},
    odd::{Is, Odd, cases},
    rest::ask_rest,
};

/// UNAVAILABLE.
const UNAVAILABLE: i32 = 14;
/// FAILED_PRECONDITION.
const PRECONDITION: i32 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_an_answer_is_a_joke_or_a_clean_failure() {
    let mut proof =
        Proof::new("I5", "what is no joke by the schema is asked for once more at most, and never kept");
    let llm = FakeLlm::start().await.unwrap();
    let mesh = setup(&llm).start().await;
    let person = mesh.signed_in("ana").await;
    let asker = Asker::new(&mesh, &person).await;
    let cases = cases();
    // In one delta, in many, and as a whole completion.
    let forms: &[fn(Reply) -> Reply] = if is_full() {
        &[|reply| reply, |reply| reply.every(1), |reply| reply.every(9).written_every(31), Reply::whole]
    } else {
        &[|reply| reply.every(5)]
    };
    let (mut given, mut most_calls) = (0, 0);
    for case in &cases {
        for form in forms {
            let bad = case.reply(*form);
            for way in [Way::Whole, Way::Stream] {
                for then in [&bad, &Reply::text(GOOD)] {
                    let (told, calls) = ask(&llm, &asker, way, &bad, then).await;
                    most_calls = most_calls.max(calls);
                    let good_then = !std::ptr::eq(then, &raw const bad);
                    let fault = wrong(case, way, good_then, &told, calls);
                    proof.check(fault.is_none(), || {
                        format!(
                            "{}, {way:?}, good then {good_then}, {calls} calls: {}; {told}",
                            case.name,
                            fault.unwrap()
                        )
                    });
                    given += usize::from(told.ended);
                    clean_words(&mut proof, case, &told);
                }
                // A provider that failed often is left alone for a while.
                let (told, _) = ask(&llm, &asker, way, &Reply::text(GOOD), &bad).await;
                proof.check(told.ended, || format!("the control: {told}"));
                given += usize::from(told.ended);
            }
        }
        for events in [false, true] {
            over_rest(&mut proof, &llm, &person, case, events).await;
            given += usize::from(case.is == Is::Joke);
        }
    }
    kept(&mut proof, &mesh, &asker, given).await;
    proof.require(most_calls == 2, || format!("a joke took {most_calls} calls"));
    proof.figure(format!(
        "{} odd answers in {} forms, as a whole and as it comes: at most {most_calls} calls a joke, {given} jokes given and kept, \
         0 others",
        cases.len(),
        forms.len()
    ));
    proof.limit("a joke by the schema, or 502 (422 if it was refused); ≤ 2 calls; 0 invalid rows");
    proof.finish();
}

/// Asks for a joke where the provider says one thing and then another; what came, and how often it was asked.
async fn ask(llm: &FakeLlm, asker: &Asker, way: Way, first: &Reply, then: &Reply) -> (Told, usize) {
    let calls = script(llm, first, then);
    let told = asker.ask(way, "cats").await;
    (told, calls.load(Ordering::SeqCst))
}

fn script(llm: &FakeLlm, first: &Reply, then: &Reply) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, replies) = (Arc::clone(&calls), [first.clone(), then.clone()]);
    llm.respond_with(Arc::new(move |_: &Asked| {
        let n = counted.fetch_add(1, Ordering::SeqCst);
        replies[n.min(1)].clone()
    }));
    calls
}

/// What is wrong with what came of an odd answer, and another one after it.
fn wrong(case: &Odd, way: Way, good_then: bool, told: &Told, calls: usize) -> Option<&'static str> {
    let failed = |code, reason: &str, rule: &str| {
        !told.ended && told.joke.is_none() && told.code == code && told.reason == reason && told.rule == rule
    };
    let good = || told.joke.as_ref().is_some_and(|joke| said(joke) == told.text && fits(&said(joke)));
    // Whoever has heard some of it is not told another one.
    let again = case.is == Is::NoJoke && (way == Way::Whole || told.text.is_empty() || told.ended);
    let (holds, most) = match case.is {
        Is::Joke => (good(), 1),
        Is::NoJoke if again && good_then => (good() && said(told.joke.as_ref()?).contains("mouse"), 2),
        Is::NoJoke => (failed(UNAVAILABLE, "MODEL_ANSWER_INVALID", ""), if again { 2 } else { 1 }),
        // What does not even begin is asked for once more; what broke off is not.
        Is::Broken => (told.ended && good_then && good() || failed(UNAVAILABLE, &told.reason, ""), 2),
        Is::Html => (failed(PRECONDITION, "ANSWER_REFUSED", "html"), 1),
        Is::Hidden => (failed(PRECONDITION, "ANSWER_REFUSED", "control_characters"), 1),
        Is::Declined => (failed(PRECONDITION, "MODEL_DECLINED", ""), 1),
    };
    match (holds, calls) {
        (false, _) => Some("not as it must be"),
        (true, calls) if calls > most => Some("asked too often"),
        (true, calls) if again && calls != 2 => Some("not asked again"),
        _ => None,
    }
}

/// Nothing of an answer that failed is in the words about it, and none of the readers' own.
fn clean_words(proof: &mut Proof, case: &Odd, told: &Told) {
    if told.ended || told.code == 0 {
        return;
    }
    let quotes = told.holds("CANARY") && !told.text.contains("CANARY");
    let inside = ["serde", "line 1", "column", "panicked", "src/"].iter().any(|word| told.holds(word));
    proof.check(!quotes && !inside, || format!("{}: {}", case.name, String::from_utf8_lossy(&told.bytes)));
}

/// The schema, as far as readers rely on it.
fn fits(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(['<', '>', '\u{0}']) && text.chars().count() <= 4_002
}

/// What fails over REST is a bad gateway, or an answer that cannot be processed, with a problem and no more.
async fn over_rest(proof: &mut Proof, llm: &FakeLlm, person: &Person, case: &Odd, events: bool) {
    let bad = case.reply(|reply| reply);
    script(llm, &bad, &bad);
    let told = ask_rest(person, Way::Whole, "cats", events).await;
    let status: &[i32] = match case.is {
        Is::Joke => &[200, 201],
        Is::NoJoke => &[502],
        Is::Broken => &[502],
        Is::Html | Is::Hidden | Is::Declined => &[422],
    };
    let ended = told.ended == (case.is == Is::Joke);
    proof.check(ended && status.contains(&told.code), || {
        format!("{} over REST, events {events}: {told}", case.name)
    });
    script(llm, &Reply::text(GOOD), &Reply::text(GOOD));
    let good = ask_rest(person, Way::Chat, "cats", events).await;
    proof.check(good.ended, || format!("the control: {good}"));
}

/// Exactly what was given is kept, and all of it is a joke.
async fn kept(proof: &mut Proof, mesh: &ProcessMesh, asker: &Asker, given: usize) {
    let jokes = asker.jokes().await;
    proof.check(jokes.len() == given, || format!("{} of {given} jokes are listed", jokes.len()));
    for joke in &jokes {
        let parts = [&joke.setup, &joke.punchline];
        proof.check(parts.iter().all(|part| fits(part) && part.trim() == **part), || {
            format!("kept: {joke:?}")
        });
    }
    let file = mesh.folder().join("jokes.db");
    let mut rows = SqliteConnection::connect(&format!("sqlite://{}?mode=ro", file.display())).await.unwrap();
    let texts: Vec<(String, String)> =
        sqlx::query_as("SELECT setup, punchline FROM jokes").fetch_all(&mut rows).await.unwrap();
    proof.check(texts.len() == given, || format!("{} rows of {given} jokes", texts.len()));
    let invalid = texts.iter().filter(|(setup, punchline)| !fits(setup) || !fits(punchline)).count();
    proof.check(invalid == 0, || format!("{invalid} invalid rows"));
}
