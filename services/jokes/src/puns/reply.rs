//! Small talk: what was said decides on the first sentence, on the topic and on the kind of the joke that follows.

use super::lexicon::{Lexicon, Pun, Subject};
use super::random::SplitMix64;
use super::scene::Scene;
use super::teller::{self, Wish};
use super::topic::{self, UNNAMED, words};
use crate::domain::{Length, Style};

/// Most characters that are read of what was said.
const MAX_SAID: usize = 2_000;

/// What a user seems to want, with words that show it, compared as [`words`] gives them. The first that fits counts.
const SIGNS: [(&str, &[&str]); 5] = [
    ("another", &["another", "again", "more", "next", "encore"]),
    ("joke", &["joke", "pun", "riddle", "laugh", "funny", "about", "knock", "story"]),
    ("thanks", &["thank", "thanks", "thx", "cheer", "haha", "lol", "great", "nice"]),
    ("bye", &["bye", "goodbye", "goodnight", "farewell", "ciao"]),
    ("hello", &["hello", "hi", "hey", "hiya", "greeting", "howdy", "morning", "evening"]),
];

/// Words that ask for a kind of joke.
const KINDS: [(&str, Style); 6] = [
    ("knock", Style::KnockKnock),
    ("riddle", Style::Riddle),
    ("dad", Style::Dad),
    ("liner", Style::OneLiner),
    ("observation", Style::Observational),
    ("pun", Style::Pun),
];

/// Words that are no part of a topic at its end.
const TAIL: [&str; 6] = ["please", "now", "then", "instead", "again", "too"];

/// A sentence and a joke.
pub(super) fn to(said: &str, seed: u64, lexicon: &'static Lexicon) -> String {
    let said: String = said.chars().take(MAX_SAID).collect();
    let random = &mut SplitMix64::for_text(seed, &said);
    let heard = words(&said);
    let is_heard = |word: &&str| heard.iter().any(|known| known == word);
    let want = SIGNS.iter().find(|(_, signs)| signs.iter().any(is_heard)).map(|(want, _)| *want);
    let want = want.unwrap_or(if said.contains('?') { "question" } else { "other" });
    let asked = KINDS.iter().find(|(word, _)| is_heard(word)).map(|(_, style)| *style);
    let style =
        asked.or_else(|| random.pick(&[Style::Pun, Style::Pun, Style::OneLiner, Style::Dad]).copied());

    let about = about(&said);
    let (subject, name) = topic_of(&said, about.as_deref(), want, lexicon, random);
    let wish = Wish { style: style.unwrap_or_default(), length: Length::Short, subject, name: &name };
    let told = teller::joke(lexicon, &wish, random);
    format!("{} {} {}", opening(want, &wish, lexicon, random), told.setup, told.punchline)
}

/// What the joke is to be about: what is named after "about", else what is named at all, else anything.
fn topic_of(
    said: &str,
    about: Option<&str>,
    want: &str,
    lexicon: &'static Lexicon,
    random: &mut SplitMix64,
) -> (Option<&'static Subject>, String) {
    let named = match about {
        Some(about) => lexicon.subject_of(about, random),
        None if matches!(want, "joke" | "question" | "other") => lexicon.subject_of(said, random),
        None => None,
    };
    let name = about.map_or_else(|| UNNAMED.to_owned(), topic::name);
    match named {
        None if name != UNNAMED => (None, name),
        None => {
            let subject = lexicon.any_subject(random);
            (subject, subject.map_or(name, |subject| subject.name.to_owned()))
        }
        Some(subject) => (Some(subject), subject.name.to_owned()),
    }
}

/// What stands after the last "about", up to the end of its clause, from the other's point of view.
fn about(said: &str) -> Option<String> {
    let tokens: Vec<&str> = said.split_whitespace().collect();
    let at = tokens.iter().rposition(|token| token.eq_ignore_ascii_case("about"))?;
    let mut words = Vec::new();
    for token in tokens.iter().skip(at + 1) {
        let word = token.trim_end_matches(['.', ',', '!', '?', ';', ':']);
        match word.to_ascii_lowercase().as_str() {
            "my" => words.push("your"),
            "me" | "myself" => words.push("you"),
            "yourself" => words.push("robots"),
            tail if TAIL.contains(&tail) => {}
            _ => words.push(word),
        }
        if word.len() < token.len() {
            break;
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// The first sentence.
fn opening(want: &str, wish: &Wish<'_>, lexicon: &'static Lexicon, random: &mut SplitMix64) -> String {
    let choices = lexicon.choices(None, want);
    let opening = random.pick(choices).copied().unwrap_or("Here is a joke.");
    let pun = Pun { kind: "", word: "", lead: "", turn: "" };
    Scene::new(lexicon, wish.subject, wish.name, pun, random).sentences(opening, true)
}
