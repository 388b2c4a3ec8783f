//! The word lists of `data/puns`, read once.
//!
//! A list is text with one item a line; blank lines and lines with `#` say nothing. Three formats:
//!
//! - Topics: `[name]` opens one (`[*]` is what fits every topic). Then `keys:` (words that mean it, by commas), `who:`
//!   (plural actors), `thing:`, `doing:` and `place:` (by semicolons), and its puns: `kind: word ~ sound | lead | turn`.
//!   `call` leads with what something is, `say` with when something is said, `ask` with a whole question, `fact` with a
//!   statement; the turn is the pun. `knock` has no lead, and the word is who knocks. `tell` leads with who listens, and
//!   `spell` is about the letters of a word.
//! - Templates: `style | lengths | kind | setup | punchline` with slots in braces.
//! - Fillers: `slot: choice; choice`.
//!
//! A line that is none of these is passed over; a test sees to it that there is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::random::SplitMix64;
use super::topic::words;
use crate::domain::{Length, Style};

const TOPICS: [&str; 9] = [
    include_str!("../../data/puns/animals.txt"),
    include_str!("../../data/puns/food.txt"),
    include_str!("../../data/puns/tech.txt"),
    include_str!("../../data/puns/work.txt"),
    include_str!("../../data/puns/arts.txt"),
    include_str!("../../data/puns/play.txt"),
    include_str!("../../data/puns/world.txt"),
    include_str!("../../data/puns/home.txt"),
    include_str!("../../data/puns/generic.txt"),
];
const TEMPLATES: &str = include_str!("../../data/puns/templates.txt");
const FILLERS: &str = include_str!("../../data/puns/fillers.txt");

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read().0);

/// All lists.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    pub(super) subjects: Vec<Subject>,
    /// What fits every topic.
    pub(super) any: Subject,
    pub(super) templates: Vec<Template>,
    fillers: HashMap<&'static str, Vec<&'static str>>,
    /// By their first word: all words of a key, and the place of its subject.
    keys: HashMap<String, Vec<(Vec<String>, usize)>>,
}

/// A topic that the lists know.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) puns: Vec<Pun>,
    keys: &'static str,
    slots: HashMap<&'static str, Vec<&'static str>>,
}

/// A play on words, waiting for a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pun {
    pub(super) kind: &'static str,
    /// The word that sounds like another; empty if a single word does not do it.
    pub(super) word: &'static str,
    pub(super) lead: &'static str,
    pub(super) turn: &'static str,
}

/// A joke with slots.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) style: Style,
    lengths: &'static str,
    /// The kind of puns that it can hold.
    pub(super) kind: &'static str,
    pub(super) setup: &'static str,
    pub(super) punchline: &'static str,
}

impl Lexicon {
    pub(super) fn get() -> &'static Self {
        &LEXICON
    }

    /// The lists, and the lines that make no sense.
    pub(super) fn read() -> (Self, Vec<&'static str>) {
        let mut lexicon = Self::default();
        let mut faults = Vec::new();
        for line in TOPICS.iter().flat_map(|list| items(list)) {
            if lexicon.read_topic(line).is_none() {
                faults.push(line);
            }
        }
        lexicon.any = lexicon.subjects.pop().unwrap_or_default();
        for line in items(TEMPLATES) {
            match Template::read(line) {
                Some(template) => lexicon.templates.push(template),
                None => faults.push(line),
            }
        }
        for line in items(FILLERS) {
            match line.split_once(": ") {
                Some((slot, choices)) => drop(lexicon.fillers.insert(slot, choices.split("; ").collect())),
                None => faults.push(line),
            }
        }
        lexicon.index();
        (lexicon, faults)
    }

    /// The choices for a slot: the topic's own, or what fits every topic.
    pub(super) fn choices(&self, subject: Option<&'static Subject>, slot: &str) -> &[&'static str] {
        let own = subject.and_then(|subject| subject.slots.get(slot));
        own.or_else(|| self.any.slots.get(slot))
            .or_else(|| self.fillers.get(slot))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// One of the topics that a text names. A key of more words beats one of fewer: `ice cream` is no ice.
    pub(super) fn subject_of(&'static self, text: &str, random: &mut SplitMix64) -> Option<&'static Subject> {
        let words = words(text);
        let mut longest = 0;
        let mut found: Vec<usize> = Vec::new();
        for (at, first) in words.iter().enumerate() {
            for (key, place) in self.keys.get(first).map(Vec::as_slice).unwrap_or_default() {
                if words.get(at..at + key.len()) != Some(key.as_slice()) || key.len() < longest {
                    continue;
                }
                if key.len() > longest {
                    longest = key.len();
                    found.clear();
                }
                if !found.contains(place) {
                    found.push(*place);
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        random.pick(&found).and_then(|place| self.subjects.get(*place))
    }

    /// Any topic.
    pub(super) fn any_subject(&'static self, random: &mut SplitMix64) -> Option<&'static Subject> {
        random.pick(&self.subjects)
    }

    fn read_topic(&mut self, line: &'static str) -> Option<()> {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.subjects.push(Subject { name, ..Subject::default() });
            return Some(());
        }
        let subject = self.subjects.last_mut()?;
        let (kind, rest) = line.split_once(": ")?;
        match kind {
            "keys" => subject.keys = rest,
            "who" | "thing" | "doing" | "place" => {
                drop(subject.slots.insert(kind, rest.split("; ").collect()))
            }
            _ => subject.puns.push(Pun::read(kind, rest)?),
        }
        Some(())
    }

    fn index(&mut self) {
        for (place, subject) in self.subjects.iter().enumerate() {
            for key in
                std::iter::once(subject.name.trim_start_matches("the ")).chain(subject.keys.split(", "))
            {
                let key = words(key);
                let Some(first) = key.first().cloned() else { continue };
                let known = self.keys.entry(first).or_default();
                if !known.contains(&(key.clone(), place)) {
                    known.push((key, place));
                }
            }
        }
    }
}

impl Pun {
    fn read(kind: &'static str, rest: &'static str) -> Option<Self> {
        let mut parts = rest.split(" | ");
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
        let (word, lead, turn) = match (kind, third) {
            ("call" | "say" | "ask", Some(turn)) => (first.split_once(" ~ ")?.0, second, turn),
            ("spell", Some(turn)) => ("", second, turn),
            ("knock", None) => (first, "", second),
            ("fact" | "tell", None) => ("", first, second),
            _ => return None,
        };
        let is_done = parts.next().is_none();
        is_done.then_some(Self { kind, word: if word == "x" { "" } else { word }, lead, turn })
    }
}

impl Template {
    /// Whether it is meant for jokes of this length.
    pub(super) fn is_for(&self, length: Length) -> bool {
        let letter = match length {
            Length::Short => 's',
            Length::Medium => 'm',
            Length::Long => 'l',
        };
        self.lengths.contains(letter)
    }

    fn read(line: &'static str) -> Option<Self> {
        let parts: Vec<&'static str> = line.split(" | ").collect();
        let &[style, lengths, kind, setup, punchline] = parts.as_slice() else { return None };
        let style = Style::ALL.into_iter().find(|known| known.name() == style)?;
        lengths.chars().all(|letter| "sml".contains(letter)).then_some(Self {
            style,
            lengths,
            kind,
            setup,
            punchline,
        })
    }
}

fn items(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
