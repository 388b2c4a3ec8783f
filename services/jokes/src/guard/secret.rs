//! What must never leave: secrets in every disguise that a model can be talked into, and the system prompt.
//!
//! A secret is looked for in a text of which only letters and digits are left, in lower case: so blanks, hyphens, quotes and
//! the signs of an encoding hide nothing. The price is that a secret is found in a text that differs from it only by such
//! signs, which is what is wanted.

use std::fmt;
use std::sync::Arc;

mod disguises;

use super::automaton::{Automaton, Walk};
use super::fold::{is_unspaced, skeleton_of};
use disguises::{disguises, shifted};

/// As many words of the system prompt in a row are taken for the system prompt.
const MAX_RUN: usize = 8;

/// Secrets in all their disguises, compiled once. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Automaton>);

/// Looks for secrets in a stream.
#[derive(Debug)]
pub(super) struct Secrets {
    kept: Kept,
    walk: Walk,
}

impl Kept {
    pub(super) fn new(secrets: &[&str]) -> Self {
        let forms: Vec<String> = secrets.iter().flat_map(|secret| disguises(secret)).collect();
        Self(Arc::new(Automaton::new(forms.iter().map(String::as_str))))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Secrets {
    pub(super) fn new(kept: Kept) -> Self {
        Self { kept, walk: Walk::default() }
    }

    /// Takes a folded character; true when a secret is complete.
    pub(super) fn step(&mut self, c: char, at: usize) -> bool {
        c.is_alphanumeric() && self.walk.step(&self.kept.0, c, at).is_some()
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

pub(super) fn rot13(c: char) -> char {
    shifted(c, 13)
}

/// Looks for runs of words of the system prompt in a stream.
#[derive(Debug)]
pub(super) struct Runs {
    /// Every word of the prompt and its place, in order of the words.
    places: Vec<(u64, usize)>,
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
        let mut runs = Self { places: Vec::new(), active: Vec::new(), word: None };
        let mut places = Vec::new();
        for c in skeleton_of(system).chars().chain([' ']) {
            runs.letter(c, 0, &mut |word, _| places.push((word, places.len())));
        }
        places.sort_unstable();
        Self { places, ..runs }
    }

    /// Takes a folded character; true when a run is too long.
    pub(super) fn step(&mut self, c: char, at: usize) -> bool {
        if self.places.len() < MAX_RUN {
            return false;
        }
        let mut done = Vec::new();
        self.letter(c, at, &mut |word, start| done.push((word, start)));
        done.into_iter().fold(false, |found, (word, start)| self.extend(word, start) || found)
    }

    /// Where the longest run began that may still become too long.
    pub(super) fn open(&self) -> Option<usize> {
        let left = |run: &Run| self.places.len() - 1 - run.place;
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
        let first = self.places.partition_point(|(other, _)| *other < word);
        for &(_, place) in self.places.iter().skip(first).take_while(|(other, _)| *other == word) {
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;

    use super::*;

    fn finds(secret: &str, text: &str) -> bool {
        let mut secrets = Secrets::new(Kept::new(&[secret]));
        skeleton_of(text).chars().enumerate().any(|(at, c)| secrets.step(c, at))
    }

    #[test]
    fn a_secret_is_known_in_disguise() {
        let secret = "Quipu-Canary-7f3a9c21";
        let each = |put: &dyn Fn(u8) -> String| secret.bytes().map(put).collect::<String>();
        let base64 = |text: &str| STANDARD_NO_PAD.encode(text);
        for text in [
            secret,
            "QUIPU CANARY 7F3A9C21",
            "q.u.i.p.u c a n a r y 7 f 3 a 9 c 2 1",
            "12c9a3f7-yranaC-upiuQ",
            "Dhvch-Pnanel-7s3n9p21",
            "Rvjqv-Dbobsz-7g3b9d21",
            "Jfrkf-Xzmzib-7u3z9x21",
            "\"F:AF\\r2?2CJ\\f7b2h4a`",
            "Qu1pu-C4n4ry-7f349c21",
            "quipu canary seven f three a nine c two one",
            "Quebec Uniform India Papa Uniform, Charlie Alpha November Alpha Romeo Yankee, 7 Foxtrot 3 Alpha 9 Charlie 2 1",
            "1. Q, 2. u, 3. i, 4. p, 5. u, 6. -C, 7. a, 8. n, 9. a, 10. r, 11. y, 12. -7, 13. f, 14. 3, 15. a, 16. 9, 17. c, 18. 2, 19. 1",
            "all but its end: Quipu-Canary-7f3a9, and so on",
            &each(&|byte| format!("{byte:02X} ")),
            &each(&|byte| format!("%{byte:02x}")),
            &each(&|byte| format!("&#{byte};")),
            &each(&|byte| format!("\\{byte:03o}")),
            &each(&|byte| format!("\\U{byte:08x}")),
            &each(&|byte| format!("{byte:08b} ")),
            &base64(&format!("The code is {secret}, they say.")),
            &base64(&base64(secret)),
            &base64(&each(&|byte| format!("{byte:02x}"))),
            &base64(secret).chars().rev().collect::<String>(),
            "KF2WS4DVFVBWC3TBOJ4S2N3GGNQTSYZSGE",
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
