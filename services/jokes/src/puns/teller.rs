//! Chooses a pun and a template that fit a wish, and puts one into the other.

use super::lexicon::{Lexicon, Pun, Subject, Template};
use super::random::SplitMix64;
use super::scene::Scene;
use super::topic::{UNNAMED, last_word};
use crate::domain::{Length, Style, Told};

/// Most characters of a setup and of a punchline.
pub(super) const MAX_CHARS: usize = 400;
/// How many jokes are tried until one is short enough.
const TRIES: usize = 32;
/// One joke in so many on a known topic is one that fits every topic.
const ANY_EVERY: usize = 10;

/// What is wanted.
pub(super) struct Wish<'a> {
    pub(super) style: Style,
    pub(super) length: Length,
    /// The topic, if the lists know it.
    pub(super) subject: Option<&'static Subject>,
    /// What the topic is called.
    pub(super) name: &'a str,
}

/// A joke that fits the wish.
pub(super) fn joke(lexicon: &'static Lexicon, wish: &Wish<'_>, random: &mut SplitMix64) -> Told {
    for _ in 0..TRIES {
        if let Some(told) = attempt(lexicon, wish, random).filter(|told| fits(told, wish.length)) {
            return told;
        }
    }
    // Short enough for every length, with the longest name there is.
    Told {
        setup: format!("I told an egg a joke about {}.", wish.name),
        punchline: "It cracked up.".to_owned(),
    }
}

fn attempt(lexicon: &'static Lexicon, wish: &Wish<'_>, random: &mut SplitMix64) -> Option<Told> {
    let own = wish.subject.filter(|_| random.below(ANY_EVERY) > 0);
    let puns = own.map_or(&lexicon.any.puns, |subject| &subject.puns);
    let puns: Vec<Pun> = puns.iter().filter(|pun| is_possible(pun, wish)).copied().collect();
    let templates: Vec<&Template> = lexicon
        .templates
        .iter()
        .filter(|template| template.style == wish.style && template.is_for(wish.length))
        .filter(|template| puns.iter().any(|pun| pun.kind == template.kind))
        .collect();
    let template = random.pick(&templates)?;
    let puns: Vec<Pun> = puns.into_iter().filter(|pun| pun.kind == template.kind).collect();
    let pun = *random.pick(&puns)?;
    let mut scene = Scene::new(lexicon, wish.subject, wish.name, pun, random);
    let setup = scene.sentences(template.setup, true);
    let goes_on = setup.ends_with([',', ';', ':']);
    let punchline = scene.sentences(template.punchline, !goes_on);
    Some(Told { setup, punchline })
}

/// A knock-knock joke needs a name at the door, a riddle of letters needs letters.
fn is_possible(pun: &Pun, wish: &Wish<'_>) -> bool {
    match pun.kind {
        "spell" => wish.name != UNNAMED && last_word(wish.name).chars().all(char::is_alphabetic),
        "call" | "say" if wish.style == Style::KnockKnock => !pun.word.is_empty(),
        _ => true,
    }
}

fn fits(told: &Told, length: Length) -> bool {
    let words = told.setup.split_whitespace().count() + told.punchline.split_whitespace().count();
    let is_short = |text: &str| !text.is_empty() && text.chars().count() <= MAX_CHARS;
    u32::try_from(words).is_ok_and(|words| words <= length.words())
        && is_short(&told.setup)
        && is_short(&told.punchline)
}
