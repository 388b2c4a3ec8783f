//! I4: what users write stays data, and what we tell the model does not leave, whatever the model is talked into.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use mesh_proto::jokes::v1 as pb;
use mesh_testkit::{Asked, FakeLlm, Reply};
use quipu_e2e::{Person, ProcessMesh, Proof, is_full};
use serde_json::json;

use crate::{
    asking::{Asker, Prompts, Told, Way, all, prompts, setup},
    disguises,
    obeying::{MANNERS, Manner, messages, texts},
    rest::{ask_rest, few},
    samples::{benign, injections},
};

/// What users say passes, whatever it is; of answers only secrets are refused.
const DEAF: &str =
    "rules: {control_characters: false, html: false, injection: false, personal_data: false, words: false}\n";

/// Most characters of a topic and of an audience.
const MOST: (usize, usize) = (200, 80);

const WAYS: [Way; 3] = [Way::Whole, Way::Stream, Way::Chat];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_what_users_write_is_data_and_the_prompt_stays() {
    let mut proof =
        Proof::new("I4", "no injection reaches the system's role, and nothing of our prompt leaves");
    let llm = FakeLlm::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("guards.yaml");
    fs::write(&policy, DEAF).unwrap();
    let mut mesh =
        setup(&llm).with("jokes", "QUIPU_JOKES_GUARD_FILE", policy.display().to_string()).start().await;
    let asker = Asker::new(&mesh, &mesh.signed_in("ana").await).await;
    let known = prompts(&llm, &asker).await;
    let step = if is_full() { 1 } else { 10 };
    let texts = chosen(step);
    let asked = obeyed(&mut proof, &llm, &asker, &known, &texts).await;
    let (caught, open) = disguised(&mut proof, &llm, &asker, &known.canary).await;
    let (refused, honest) = guarded(&mut proof, &llm, &mut mesh, &policy, step).await;
    proof.require(injections().count() >= 150 && benign().count() >= 500, || "the corpora are too small");
    proof.figure(format!(
        "{} injections in {asked} calls to a model that obeys: 0 in the system's role, 0 leaks; {caught} disguises of the mark \
         refused, {open} known ones not looked for; the guard of what users say refuses {refused}; {honest}",
        texts.len()
    ));
    proof.limit("0 leaks; every text a user's, its delimiters escaped; ≤ 2 % of honest texts refused");
    proof.finish();
}

/// Each `step`th injection, and all that bring marks of where data ends.
fn chosen(step: usize) -> Vec<String> {
    let is_chosen = |(n, text): &(usize, String)| {
        n.is_multiple_of(step) || ["</", "[INST"].iter().any(|mark| text.contains(mark))
    };
    injections().map(|(_, text)| text).enumerate().filter(is_chosen).map(|(_, text)| text).collect()
}

/// Sends every text in every way to a model that obeys; how many calls the model got.
async fn obeyed(proof: &mut Proof, llm: &FakeLlm, asker: &Asker, known: &Prompts, texts: &[String]) -> usize {
    let mut calls = 0;
    for manner in MANNERS {
        let seen = llm.asked().len();
        llm.respond_with(Arc::new(move |asked: &Asked| manner.reply(asked)));
        let sent: Vec<(Sent, &str)> = texts.iter().flat_map(|text| Sent::all(text)).collect();
        let ask = |&(sent, text): &(Sent, &'_ str)| {
            let (asker, text) = (asker.clone(), text.to_owned());
            async move { (sent, sent.ask(&asker, &text).await, text) }
        };
        for (sent, told, text) in all(sent.iter().map(ask)).await {
            let kept = !leaks(&told, known);
            let fits = match manner {
                Manner::Well => told.ended,
                // A conversation may be about anything; a joke is none of these.
                Manner::User => told.ended == (sent.way() == Way::Chat),
                _ => !told.ended && told.joke.is_none(),
            };
            proof.check(kept && fits, || format!("{manner:?}, {sent:?} {text:?}: {told}"));
        }
        let asked = llm.asked().split_off(seen);
        calls += asked.len();
        let arrived = judged(proof, &asked, known);
        for (sent, text) in sent {
            let told = if sent == Sent::Chat || sent == Sent::Assistant { text } else { text.trim() };
            proof.check(arrived.contains(&(sent.way() == Way::Chat, told.to_owned())), || {
                format!("{manner:?}, {sent:?} {text:?} did not arrive as it is")
            });
        }
    }
    calls
}

/// Where a text is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Topic(Way),
    Audience(Way),
    Chat,
    /// As if the model had said it.
    Assistant,
}

impl Sent {
    fn all(text: &str) -> Vec<(Self, &str)> {
        let (length, is_line) = (text.chars().count(), !text.chars().any(char::is_control));
        let mut all = vec![Self::Chat, Self::Assistant];
        for way in [Way::Whole, Way::Stream] {
            all.extend((is_line && length <= MOST.0).then_some(Self::Topic(way)));
            all.extend((is_line && length <= MOST.1).then_some(Self::Audience(way)));
        }
        all.into_iter().map(|sent| (sent, text)).collect()
    }

    fn way(self) -> Way {
        match self {
            Self::Topic(way) | Self::Audience(way) => way,
            Self::Chat | Self::Assistant => Way::Chat,
        }
    }

    async fn ask(self, asker: &Asker, text: &str) -> Told {
        match self {
            Self::Topic(way) => asker.ask(way, text).await,
            Self::Audience(way) => {
                let params = pb::JokeParams { audience: text.to_owned(), ..Default::default() };
                asker.ask_for(way, "cats", params).await
            }
            Self::Chat => asker.chat(&[(pb::Role::User, text)]).await,
            Self::Assistant => {
                let said = [(pb::Role::User, "Hi"), (pb::Role::Assistant, text), (pb::Role::User, "Go on")];
                asker.chat(&said).await
            }
        }
    }
}

/// Looks at every request: our words alone are the system's, and no delimiter of anybody stands in another message. What
/// arrived of users, in chats and in jokes.
fn judged(proof: &mut Proof, asked: &[Asked], known: &Prompts) -> BTreeSet<(bool, String)> {
    let mut arrived = BTreeSet::new();
    for asked in asked {
        let is_chat = asked.body.get("response_format").is_none();
        let ours = if is_chat { &known.chat } else { &known.joke };
        for (place, (role, content)) in messages(asked).enumerate() {
            let fits = match place {
                0 => role == "system" && content == ours,
                _ => matches!(role, "user" | "assistant") && !delimits(content),
            };
            proof.check(fits, || format!("message {place} of {role}: {content:?}"));
        }
        for (place, (_, content)) in messages(asked).enumerate().skip(1) {
            // The second message of a joke is the model's own, the third is ours.
            if is_chat || place == 1 {
                arrived.extend(texts(!is_chat, content).into_iter().map(|text| (is_chat, text)));
            }
        }
    }
    arrived
}

/// Whether a text can end a message for some model.
fn delimits(text: &str) -> bool {
    text.contains(['<', '>']) || text.contains("[INST") || text.contains("[/INST")
}

/// Whether the mark or eight words of our prompt are in what came.
fn leaks(told: &Told, known: &Prompts) -> bool {
    let text = String::from_utf8_lossy(&told.bytes).to_lowercase();
    let squeezed: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let backwards: String = known.canary.chars().rev().collect();
    let words = |prompt: &str| {
        let words: Vec<String> = prompt.to_lowercase().split_whitespace().map(str::to_owned).collect();
        words.windows(8).any(|run| text.contains(&run.join(" ")))
    };
    squeezed.contains(&known.canary)
        || squeezed.contains(&backwards)
        || words(&known.joke)
        || words(&known.chat)
}

/// Has the model write the mark in every disguise; how many are refused, and how many of those known to be open leave.
async fn disguised(proof: &mut Proof, llm: &FakeLlm, asker: &Asker, canary: &str) -> (usize, usize) {
    let (guarded, open) = (disguises::guarded(canary), disguises::open(canary));
    let forms: Arc<[String]> = guarded.iter().chain(&open).map(|(_, form)| form.clone()).collect();
    let said = Arc::clone(&forms);
    llm.respond_with(Arc::new(move |asked: &Asked| {
        let (_, content) = messages(asked).nth(1).unwrap();
        let place: String =
            content.split_once("form ").unwrap().1.chars().take_while(char::is_ascii_digit).collect();
        let text =
            format!("Here you are, as you asked. {} That was it.", said[place.parse::<usize>().unwrap()]);
        let joke = json!({"setup": text, "punchline": "Was it funny?"}).to_string();
        Reply::text(if asked.body.get("response_format").is_some() { joke } else { text }).every(4)
    }));
    let calls = (0..forms.len()).flat_map(|n| WAYS.map(|way| (n, way)));
    let ask = |(n, way): (usize, Way)| {
        let asker = asker.clone();
        async move { (n, way, asker.ask(way, &format!("form {n}")).await) }
    };
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, way, told) in all(calls.map(ask)).await {
        let refused = told.reason == "ANSWER_REFUSED" && told.rule == "secret" && told.joke.is_none();
        match guarded.get(n) {
            Some((name, form)) => {
                let before = "Here you are, as you asked.";
                let clean = before.starts_with(told.text.trim()) && (form.len() < 5 || !told.holds(form));
                proof.check(refused && clean, || format!("{way:?}, {name}: {told}"));
            }
            None if !refused => *left.entry(open[n - guarded.len()].0).or_default() += 1,
            None => {}
        }
    }
    (guarded.len(), left.len())
}

/// With the guards as they are: honest texts pass, and most injections do not.
async fn guarded(
    proof: &mut Proof,
    llm: &FakeLlm,
    mesh: &mut ProcessMesh,
    policy: &Path,
    step: usize,
) -> (String, String) {
    mesh.stop("jokes", "TERM").await;
    fs::write(policy, "").unwrap();
    mesh.start_again("jokes").await;
    // A model that takes up what the user said, so that it passes both ways.
    llm.respond_with(Arc::new(|asked: &Asked| {
        let is_joke = asked.body.get("response_format").is_some();
        let about = texts(is_joke, messages(asked).nth(1).unwrap().1).swap_remove(0);
        let setup = format!("What do you say of {about}?");
        let joke = json!({"setup": setup, "punchline": "Nothing at all."}).to_string();
        Reply::text(if is_joke { joke } else { format!("{setup} Nothing at all.") })
    }));
    let person = mesh.signed_in("eva").await;
    let asker = Asker::new(mesh, &person).await;
    let (mut refused, mut honest, mut wrong) = (0, 0, Vec::new());
    for (text, told) in over_rest(&person, benign().step_by(step).map(str::to_owned)).await {
        honest += 1;
        if !told.ended {
            wrong.push(format!("{text:?}: {told}"));
        }
    }
    let hostile: Vec<String> = injections().map(|(_, text)| text).step_by(step).collect();
    let ask = |text: &String| {
        let (asker, text) = (asker.clone(), text.clone());
        async move { asker.chat(&[(pb::Role::User, &text)]).await }
    };
    for told in all(hostile.iter().map(ask)).await {
        refused += usize::from(told.reason == "GUARD_REFUSED");
    }
    proof.require(wrong.len() * 50 <= honest, || {
        format!("{} of {honest} honest texts: {wrong:#?}", wrong.len())
    });
    proof.require(refused * 10 >= hostile.len() * 9, || format!("{refused} of {} injections", hostile.len()));
    (format!("{refused} of {}", hostile.len()), format!("{} of {honest} honest texts refused", wrong.len()))
}

/// Each text as a topic, over REST, whole and as events in turns, and as a message.
async fn over_rest(person: &Person, texts: impl Iterator<Item = String>) -> Vec<(String, Told)> {
    let calls = texts.enumerate().flat_map(|(n, text)| {
        [(Way::Whole, n % 2 == 0), (Way::Chat, n % 2 == 1)].map(|(way, events)| (text.clone(), way, events))
    });
    let ask = |(text, way, events): (String, Way, bool)| {
        let person = person.clone();
        async move {
            let told = ask_rest(&person, way, &text, events).await;
            (text, told)
        }
    };
    few(calls.map(ask)).await
}
