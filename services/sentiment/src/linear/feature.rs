//! Tokens to features: `features` of `train/features.py`, as a stream of hashes.
//!
//! Each feature is a string in the original. Here only its FNV-1a hash is made, continued from the hashes of its parts, and
//! handed to a sink together with the token that it belongs to.

use super::hash::Fnv;
use super::token::{Kind, Token, Tokens};
use super::unicode::is_upper;

/// How many tokens a negation reaches.
pub(crate) const SCOPE: u8 = 4;

/// What the model knows of a word: valence × 25, if it is in the lexicon.
pub(crate) trait Lexicon {
    /// Valence × 25 of the word with this hash.
    fn valence(&self, word: Fnv) -> Option<i8>;
}

/// Words that change what the words around them mean.
#[derive(Clone, Copy, Default)]
struct Role {
    negates: bool,
    boosts: bool,
    /// Ends the reach of a negation, and divides a sentence in two of different weight.
    contrasts: bool,
}

const NEGATES: &[&str] = &[
    "n't", "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "nowhere", "cannot",
    "without", "hardly", "barely", "scarcely", "rarely", "seldom", "less", "least", "lack", "lacks",
    "lacking", "cant", "dont", "wont", "didnt", "doesnt", "isnt", "wasnt", "arent", "werent", "aint",
    "couldnt", "wouldnt", "shouldnt", "hasnt", "havent", "hadnt",
];
const BOOSTS: &[&str] = &[
    "very",
    "really",
    "so",
    "too",
    "extremely",
    "incredibly",
    "absolutely",
    "totally",
    "truly",
    "deeply",
    "highly",
    "most",
    "more",
    "super",
    "pretty",
    "quite",
    "completely",
    "utterly",
    "particularly",
    "especially",
    "remarkably",
    "exceptionally",
    "insanely",
    "fucking",
    "freaking",
    "damn",
];
const CONTRASTS: &[&str] = &["but", "however", "although", "though", "yet", "except"];

impl Role {
    fn of(word: &str) -> Self {
        // The longest of these words has 13 letters; most words of a text are decided by the length and the first letter.
        let is_in = |words: &[&str]| words.iter().any(|known| known.len() == word.len() && *known == word);
        Self { negates: is_in(NEGATES), boosts: is_in(BOOSTS), contrasts: is_in(CONTRASTS) }
    }
}

/// A lexicon word of the sentence so far, for the weight before and after its "but".
struct Hit {
    token: usize,
    positive: bool,
    negated: bool,
}

struct Walk<'a, S> {
    sink: S,
    tokens: &'a Tokens,
    text: &'a str,
    /// Hash of the word before; `<s>` at the start, `.` after punctuation.
    prev: Fnv,
    prev_boosts: bool,
    scope: u8,
    hits: Vec<Hit>,
    /// Place of the last "but" of the sentence.
    but: Option<usize>,
}

/// Hands every feature of the text to `sink`, in the order of the original, with the place of its token.
pub(crate) fn features(text: &str, tokens: &Tokens, lexicon: &impl Lexicon, sink: impl FnMut(Fnv, usize)) {
    let mut walk = Walk {
        sink,
        tokens,
        text,
        prev: Fnv::of("<s>"),
        prev_boosts: false,
        scope: 0,
        hits: Vec::new(),
        but: None,
    };
    for (place, token) in tokens.list.iter().enumerate() {
        match token.kind {
            Kind::Mark => walk.mark(place, token),
            Kind::Word | Kind::Face => walk.word(place, token, lexicon),
        }
    }
    walk.end_of_sentence();
}

impl<S: FnMut(Fnv, usize)> Walk<'_, S> {
    fn emit(&mut self, feature: Fnv, place: usize) {
        (self.sink)(feature, place);
    }

    fn mark(&mut self, place: usize, token: &Token) {
        let norm = self.tokens.norm(token);
        let ends = norm.starts_with(['.', '!', '?']);
        let stops = ends || matches!(norm, "," | ";" | ":" | "(" | ")" | "\"" | "-");
        if stops {
            self.scope = 0;
        }
        if ends {
            self.end_of_sentence();
            self.but = None;
        }
        if norm.starts_with(['!', '?', '<']) || norm.starts_with("..") {
            self.emit(Fnv::of(norm), place);
            self.emit(self.prev.then(" ").then(norm), place);
        }
        if stops && norm != "-" {
            self.prev = Fnv::of(".");
            self.prev_boosts = false;
        }
    }

    fn word(&mut self, place: usize, token: &Token, lexicon: &impl Lexicon) {
        let norm = self.tokens.norm(token);
        let role = Role::of(norm);
        let word = Fnv::of(norm);
        if role.contrasts {
            self.scope = 0;
            self.but = Some(place);
        }
        self.emit(word, place);
        if self.scope > 0 && token.kind == Kind::Word {
            self.emit(Fnv::of("~").then(norm), place);
        }
        if let Some(valence) = lexicon.valence(word) {
            self.known(place, token, valence);
        }
        self.emit(self.prev.then(" ").then(norm), place);
        self.scope = if role.negates { SCOPE } else { self.scope.saturating_sub(1) };
        self.prev = word;
        self.prev_boosts = role.boosts;
    }

    /// The features of a word that the lexicon knows.
    fn known(&mut self, place: usize, token: &Token, valence: i8) {
        let positive = valence >= 0;
        let negated = self.scope > 0;
        let sign = if positive { "+" } else { "-" };
        let tilde = if negated { "~" } else { "" };
        self.emit(Fnv::of("L").then(sign).then(strength(valence)).then(tilde), place);
        self.hits.push(Hit { token: place, positive, negated });
        if self.prev_boosts {
            self.emit(Fnv::of("LB").then(sign).then(tilde), place);
        }
        let long = token.chars.len() > 2;
        if token.kind == Kind::Word
            && long
            && is_upper(self.text.get(token.bytes.clone()).unwrap_or_default())
        {
            self.emit(Fnv::of("LC").then(sign), place);
        }
    }

    /// What stands before and after the "but" of a sentence does not weigh the same.
    fn end_of_sentence(&mut self) {
        let hits = std::mem::take(&mut self.hits);
        if let Some(but) = self.but {
            for hit in &hits {
                let side = if hit.token > but { "Ba" } else { "Bb" };
                let sign = if hit.positive { "+" } else { "-" };
                self.emit(Fnv::of(side).then(sign).then(if hit.negated { "~" } else { "" }), hit.token);
            }
        }
        self.hits = hits;
        self.hits.clear();
    }
}

/// The valence rounded half up to 0 to 3: `min(3, int(|v| / 25 + 0.5))`.
fn strength(valence: i8) -> &'static str {
    match (u32::from(valence.unsigned_abs()) * 2 + 25) / 50 {
        0 => "0",
        1 => "1",
        2 => "2",
        _ => "3",
    }
}
