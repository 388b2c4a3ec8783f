//! Text to tokens: `tokens` of `train/features.py`, character by character.
//!
//! Offsets are counted in Unicode code points as well as in bytes. The normalised forms of all tokens stand one behind the
//! other in one string, so a text costs two allocations however many words it has.

use std::ops::Range;

use super::emoticon::emoticon;
use super::unicode::{is_alnum, is_alpha, is_apostrophe, is_emoji, is_space};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word, a number, or one half of a contraction.
    Word,
    /// Punctuation, a link or a mention: it carries no sentiment of its own.
    Mark,
    /// An emoticon or an emoji.
    Face,
}

/// One token; its normalised form is `Tokens::norm`.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Where it stands in the text, in bytes.
    pub(crate) bytes: Range<usize>,
    /// Where it stands in the text, in code points.
    pub(crate) chars: Range<u32>,
    norm: Range<usize>,
}

/// The tokens of one text.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    norms: String,
}

impl Tokens {
    /// The form by which the token is known to the model: lower case, stretched letters shortened.
    pub(crate) fn norm(&self, token: &Token) -> &str {
        self.norms.get(token.norm.clone()).unwrap_or_default()
    }
}

/// Endings that are a token of their own, `n't` apart.
const CONTRACTIONS: [&str; 6] = ["'s", "'re", "'ve", "'ll", "'d", "'m"];

/// Walks over the text once.
pub(crate) fn tokens(text: &str) -> Tokens {
    let mut walk = Walk {
        rest: text,
        byte: 0,
        char: 0,
        before: None,
        out: Tokens {
            list: Vec::with_capacity(text.len() / 4 + 1),
            norms: String::with_capacity(text.len() + 8),
        },
    };
    while let Some(c) = walk.peek() {
        walk.step(c);
    }
    walk.out
}

struct Walk<'t> {
    /// What has not been read yet.
    rest: &'t str,
    byte: usize,
    char: u32,
    /// The character before `rest`.
    before: Option<char>,
    out: Tokens,
}

impl Walk<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// One token, or one character that is none.
    fn step(&mut self, c: char) {
        if is_space(c) {
            return self.skip(c.len_utf8(), 1);
        }
        if c.is_ascii_alphabetic() && !self.starts_link(c) {
            return self.word();
        }
        if self.starts_link(c) {
            return self.run("<url>", |c| !is_space(c));
        }
        if c == '@' && self.rest.chars().nth(1).is_some_and(is_handle) {
            return self.run("<user>", is_handle);
        }
        if let Some(length) = emoticon(self.rest, self.before) {
            return self.lowered(length);
        }
        let opens_word = is_alnum(c) || is_apostrophe(c) && self.rest.chars().nth(1).is_some_and(is_alnum);
        if opens_word { self.word() } else { self.mark(c) }
    }

    fn starts_link(&self, c: char) -> bool {
        match c {
            'h' => self.rest.starts_with("http://") || self.rest.starts_with("https://"),
            'w' => self.rest.starts_with("www."),
            _ => false,
        }
    }

    /// Goes on without a token.
    fn skip(&mut self, bytes: usize, chars: u32) {
        let (done, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.before = done.chars().next_back();
        self.rest = rest;
        self.byte += done.len();
        self.char += chars;
    }

    /// A token of the next `bytes` bytes and `chars` characters, whose form was appended to `norms` from `from` on.
    fn push(&mut self, kind: Kind, bytes: usize, chars: u32, from: usize) {
        let norm = from..self.out.norms.len();
        self.push_range(kind, bytes, chars, norm);
    }

    fn push_range(&mut self, kind: Kind, bytes: usize, chars: u32, norm: Range<usize>) {
        self.out.list.push(Token {
            kind,
            bytes: self.byte..self.byte + bytes,
            chars: self.char..self.char + chars,
            norm,
        });
        self.skip(bytes, chars);
    }

    /// One mark of the next character and all that belong to it, known by `name`.
    fn run(&mut self, name: &str, belongs: impl Fn(char) -> bool) {
        let (mut bytes, mut chars) = (0, 0);
        for (place, c) in self.rest.chars().enumerate() {
            if place > 0 && !belongs(c) {
                break;
            }
            bytes += c.len_utf8();
            chars += 1;
        }
        let from = self.out.norms.len();
        self.out.norms.push_str(name);
        self.push(Kind::Mark, bytes, chars, from);
    }

    /// An emoticon of `length` ASCII characters.
    fn lowered(&mut self, length: usize) {
        let from = self.out.norms.len();
        for c in self.rest.chars().take(length) {
            self.out.norms.push(c.to_ascii_lowercase());
        }
        self.push(Kind::Face, length, u32::try_from(length).unwrap_or(u32::MAX), from);
    }

    /// Punctuation that counts, an emoji, or a character that is neither and is passed over.
    fn mark(&mut self, c: char) {
        let from = self.out.norms.len();
        match c {
            '!' | '?' | '.' => {
                let length = self.rest.chars().take_while(|d| *d == c).count();
                for _ in 0..length.min(3) {
                    self.out.norms.push(c);
                }
                return self.push(Kind::Mark, length, u32::try_from(length).unwrap_or(u32::MAX), from);
            }
            '-' if self.before.is_some_and(is_alnum) && self.rest.chars().nth(1).is_some_and(is_alnum) => {}
            '-' | ',' | ';' | ':' | '(' | ')' | '"' => {
                self.out.norms.push(c);
                return self.push(Kind::Mark, 1, 1, from);
            }
            _ if is_emoji(c) => {
                self.out.norms.push(c);
                return self.push(Kind::Face, c.len_utf8(), 1, from);
            }
            _ => {}
        }
        self.skip(c.len_utf8(), 1);
    }

    /// A word: letters, digits and inner apostrophes.
    fn word(&mut self) {
        let surface = word_at(self.rest);
        let from = self.out.norms.len();
        lower_into(surface, &mut self.out.norms);
        let lowered = self.out.norms.get(from..).unwrap_or_default();
        if lowered.starts_with('\'') && !CONTRACTIONS.contains(&lowered) {
            // An opening quotation mark, not a contraction.
            self.out.norms.truncate(from);
            return self.skip(surface.chars().next().map_or(1, char::len_utf8), 1);
        }
        shorten(&mut self.out.norms, from);
        let norm = self.out.norms.get(from..).unwrap_or_default();
        let cut = ending(norm);
        if cut == 0 {
            return self.push(Kind::Word, surface.len(), count(surface), from);
        }
        // The ending is ASCII, so `cut` counts bytes and characters of its form; in the text its apostrophe may be longer.
        let split = self.out.norms.len() - cut;
        let at = surface.char_indices().rev().nth(cut - 1).map_or(0, |(at, _)| at);
        let (head, tail) = surface.split_at_checked(at).unwrap_or((surface, ""));
        self.push_range(Kind::Word, head.len(), count(head), from..split);
        self.push_range(Kind::Word, tail.len(), count(tail), split..split + cut);
    }
}

fn is_handle(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// The word at the start of `rest`, whose first character is known to open one.
fn word_at(rest: &str) -> &str {
    let mut chars = rest.char_indices().peekable();
    let mut before = chars.next().map(|(_, c)| c);
    while let Some((at, c)) = chars.next() {
        let mut inner = || {
            is_apostrophe(c)
                && before.is_some_and(is_alnum)
                && chars.peek().is_some_and(|(_, next)| is_alnum(*next))
        };
        if !is_alnum(c) && !inner() {
            return rest.get(..at).unwrap_or_default();
        }
        before = Some(c);
    }
    rest
}

/// Lower case with straight apostrophes, as `str.lower` has it: `İ` becomes two characters, a final `Σ` becomes `ς`.
fn lower_into(word: &str, out: &mut String) {
    if word.is_ascii() {
        out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
    } else if word.contains('Σ') {
        out.push_str(&word.replace('\u{2019}', "'").to_lowercase());
    } else {
        for c in word.chars() {
            if c == '\u{2019}' { out.push('\'') } else { out.extend(c.to_lowercase()) }
        }
    }
}

/// Three or more like letters become two, from `from` on: `sooooo` is `soo`.
fn shorten(norms: &mut String, from: usize) {
    let word = norms.get(from..).unwrap_or_default();
    if !word
        .chars()
        .zip(word.chars().skip(1))
        .zip(word.chars().skip(2))
        .any(|((a, b), c)| a == b && b == c && is_alpha(c))
    {
        return;
    }
    let mut short = String::with_capacity(word.len());
    let (mut last, mut second) = (None, None);
    for c in word.chars() {
        if last == Some(c) && second == Some(c) && is_alpha(c) {
            continue;
        }
        short.push(c);
        (second, last) = (last, Some(c));
    }
    norms.truncate(from);
    norms.push_str(&short);
}

/// Length of the contraction at the end of a word that is more than that, else 0.
fn ending(word: &str) -> usize {
    if !word.contains('\'') {
        return 0;
    }
    std::iter::once(&"n't")
        .chain(&CONTRACTIONS)
        .find(|ending| word.len() > ending.len() && word.ends_with(**ending))
        .map_or(0, |ending| ending.len())
}
