//! What must never leave: secrets in every disguise that a model can be talked into, and the system prompt.
//!
//! A secret is looked for in a text of which only letters and digits are left, in lower case: so blanks, hyphens, quotes and
//! the signs of an encoding hide nothing. The price is that a secret is found in a text that differs from it only by such
//! signs, which is what is wanted.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::automaton::{Automaton, Walk};
use super::fold::{is_unspaced, skeleton_of};

/// As many words of the system prompt in a row are taken for the system prompt.
const MAX_RUN: usize = 8;
/// Encoded forms shorter than this are found everywhere by chance.
const MIN_ENCODED: usize = 8;

/// Looks for secrets in a stream.
#[derive(Debug)]
pub(super) struct Secrets {
    forms: Automaton,
    walk: Walk,
}

impl Secrets {
    pub(super) fn new(secrets: &[&str]) -> Self {
        let forms: Vec<String> = secrets.iter().flat_map(|secret| disguises(secret)).collect();
        Self { forms: Automaton::new(forms.iter().map(String::as_str)), walk: Walk::default() }
    }

    /// Takes a folded character; true when a secret is complete.
    pub(super) fn step(&mut self, c: char, at: usize) -> bool {
        c.is_alphanumeric() && self.walk.step(&self.forms, c, at).is_some()
    }

    /// Where the part began that may still become a secret.
    pub(super) fn open(&self) -> Option<usize> {
        self.walk.open()
    }
}

/// Letters and digits of a text, folded.
fn squeezed(text: &str) -> String {
    skeleton_of(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// All forms in which a secret is looked for.
fn disguises(secret: &str) -> Vec<String> {
    let plain = squeezed(secret);
    let mut forms = vec![plain.chars().rev().collect(), plain.chars().map(rot13).collect(), plain];
    let mut encoded = Vec::new();
    for text in
        [secret.to_owned(), secret.to_lowercase(), secret.to_uppercase(), secret.chars().rev().collect()]
    {
        let bytes = text.as_bytes();
        encoded.extend(base64_inside(bytes));
        for prefix in ["", "x", "0x", "u00"] {
            encoded.push(escaped(bytes, |out, byte| write!(out, "{prefix}{byte:02x}")));
        }
        encoded.push(escaped(bytes, |out, byte| write!(out, "{byte}")));
        encoded.push(escaped(bytes, |out, byte| write!(out, "{byte:08b}")));
        encoded.push(escaped(bytes, |out, byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.write_char(char::from(byte)),
            _ => write!(out, "{byte:02x}"),
        }));
    }
    forms.extend(encoded.iter().map(|form| squeezed(form)).filter(|form| form.len() >= MIN_ENCODED));
    forms
}

fn escaped(bytes: &[u8], mut put: impl FnMut(&mut String, u8) -> std::fmt::Result) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    bytes.iter().for_each(|byte| put(&mut out, *byte).unwrap_or_default());
    out
}

/// The Base64 of a secret as it stands inside of a longer text: at each of the three offsets, without the digits that its
/// neighbours have a part in.
fn base64_inside(bytes: &[u8]) -> impl Iterator<Item = String> {
    (0..3_usize).map(move |offset| {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        STANDARD_NO_PAD.encode(&padded).get(first..last).unwrap_or_default().to_owned()
    })
}

pub(super) fn rot13(c: char) -> char {
    let turn = |base: u8| u8::try_from(c).map_or(c, |byte| char::from((byte - base + 13) % 26 + base));
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        _ => c,
    }
}

/// Looks for runs of words of the system prompt in a stream.
#[derive(Debug)]
pub(super) struct Runs {
    words: Vec<u64>,
    places: HashMap<u64, Vec<usize>>,
    active: Vec<Run>,
    word: Option<(u64, usize)>,
}

#[derive(Debug)]
struct Run {
    /// The place of its last word in the prompt.
    place: usize,
    length: usize,
    /// Where it began in the text.
    start: usize,
}

impl Runs {
    pub(super) fn new(system: &str) -> Self {
        let mut runs = Self { words: Vec::new(), places: HashMap::new(), active: Vec::new(), word: None };
        let mut words = Vec::new();
        for c in skeleton_of(system).chars().chain([' ']) {
            runs.letter(c, 0, &mut |word, _| words.push(word));
        }
        for (place, word) in words.iter().enumerate() {
            runs.places.entry(*word).or_default().push(place);
        }
        runs.words = words;
        runs
    }

    /// Takes a folded character; true when a run is too long.
    pub(super) fn step(&mut self, c: char, at: usize) -> bool {
        if self.words.len() < MAX_RUN {
            return false;
        }
        let mut done = Vec::new();
        self.letter(c, at, &mut |word, start| done.push((word, start)));
        done.into_iter().fold(false, |found, (word, start)| self.extend(word, start) || found)
    }

    /// Where the longest run began that may still become too long.
    pub(super) fn open(&self) -> Option<usize> {
        let left = |run: &Run| self.words.len() - 1 - run.place;
        self.active.iter().filter(|run| run.length + left(run) >= MAX_RUN).map(|run| run.start).min()
    }

    /// Puts letters together to words (FNV-1a over their code points); a character of an unspaced script is one alone.
    fn letter(&mut self, c: char, at: usize, done: &mut impl FnMut(u64, usize)) {
        let alone = is_unspaced(c);
        if !c.is_alphanumeric() || alone {
            self.word.take().into_iter().for_each(|(word, start)| done(word, start));
        }
        if c.is_alphanumeric() {
            let (hash, start) = self.word.unwrap_or((0xcbf2_9ce4_8422_2325, at));
            let hash = (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0000_0100_0000_01b3);
            if alone { done(hash, at) } else { self.word = Some((hash, start)) }
        }
    }

    fn extend(&mut self, word: u64, start: usize) -> bool {
        let before = std::mem::take(&mut self.active);
        let mut found = false;
        for &place in self.places.get(&word).map(Vec::as_slice).unwrap_or_default() {
            let run = match before.iter().find(|run| run.place + 1 == place) {
                Some(run) => Run { place, length: run.length + 1, start: run.start },
                None => Run { place, length: 1, start },
            };
            found |= run.length >= MAX_RUN;
            self.active.push(run);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(secret: &str, text: &str) -> bool {
        let mut secrets = Secrets::new(&[secret]);
        skeleton_of(text).chars().enumerate().any(|(at, c)| secrets.step(c, at))
    }

    #[test]
    fn a_secret_is_known_in_disguise() {
        let secret = "Quipu-Canary-7f3a9c21";
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X} ")).collect();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let base64 = STANDARD_NO_PAD.encode(format!("The code is {secret}, they say."));
        for text in [
            secret,
            "QUIPU CANARY 7F3A9C21",
            "q.u.i.p.u c a n a r y 7 f 3 a 9 c 2 1",
            "12c9a3f7-yranaC-upiuQ",
            "Dhvch-Pnanel-7s3n9p21",
            &hex,
            &percent,
            &base64,
            "Quipu%2DCanary%2D7f3a9c21",
            "Qui\u{200b}pu Can\u{301}ary7f3a9c21",
        ] {
            assert!(finds(secret, text), "{text}");
        }
        assert!(!finds(secret, "A quipu is a canary of knots, 7 of them."));
        assert!(!finds("", "anything"));
    }

    #[test]
    fn eight_words_of_the_prompt_are_too_many() {
        let system = "You tell short clean jokes for the whole family and never explain them.";
        let runs = |text: &str| {
            let mut runs = Runs::new(system);
            text.chars().chain([' ']).enumerate().any(|(at, c)| runs.step(c.to_ascii_lowercase(), at))
        };
        assert!(runs("I tell short, clean jokes: for the WHOLE family!"));
        assert!(!runs("I tell short clean jokes for the whole town"));
        assert!(!runs("you tell short clean jokes; the whole family and never"));
    }
}
