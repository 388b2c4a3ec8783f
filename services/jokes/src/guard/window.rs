//! A window over a text that comes in pieces.
//!
//! Every rule is a machine that takes one character at a time, or looks at a segment whose ends depend on the characters
//! alone. So the verdict cannot depend on how the text was cut. Whole sentences leave, and only when no rule has a match
//! that is still open and began before their end:
//!
//! - words, secrets and runs of the system prompt say where their open part began (`Walk::open`, `Runs::open`);
//! - built-in patterns do not reach over the end of a sentence, links apart, and `Brackets` says where a link began;
//! - patterns of the policy are held back by their reach.

use std::collections::VecDeque;
use std::sync::Arc;

use super::automaton::Walk;
use super::characters::Characters;
use super::fold::{is_unspaced, plain, skeleton};
use super::pattern::{Brackets, Mark};
use super::secret::{Kept, Runs, Secrets};
use super::{Refusal, Rules, Side};

/// While a match may be open, new segments are at least this long, so that little is looked at twice.
const MIN_SEGMENT: usize = 64;

/// A window over one answer.
#[derive(Debug)]
pub struct Window {
    rules: Arc<Rules>,
    is_output: bool,
    /// What has not left, and where it begins in the stream.
    held: String,
    base: usize,
    /// Its plain form, as far as it is still looked at, and where that begins.
    plain: String,
    plain_base: usize,
    /// Up to where the plain form was looked at, and from where each kind of pattern looks next time.
    looked: usize,
    next_built_in: usize,
    next_policy: usize,
    /// The last characters, as far back as the policy's patterns reach.
    reach: VecDeque<Mark>,
    /// Ends of sentences that passed their patterns, and up to where these patterns let them leave.
    ends: VecDeque<usize>,
    limit: usize,
    after_end: AfterEnd,
    characters: Characters,
    words: Walk,
    in_word: bool,
    secrets: Secrets,
    runs: Runs,
    brackets: Brackets,
    refused: Option<Refusal>,
    /// Bytes that patterns looked at, to see that the work is linear.
    pub(super) scanned: usize,
}

/// Whether the last characters end a sentence if the next one agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterEnd {
    No,
    /// A blank must follow.
    Narrow,
    /// A letter of an unspaced script may follow as well.
    Wide,
}

impl Window {
    pub(super) fn new(rules: Arc<Rules>, is_output: bool, kept: Kept, system: &str) -> Self {
        let system = if rules.switches.secrets { system } else { "" };
        let mut window = Self {
            rules,
            is_output,
            held: String::new(),
            base: 0,
            plain: String::new(),
            plain_base: 0,
            looked: 0,
            next_built_in: 0,
            next_policy: 0,
            reach: VecDeque::new(),
            ends: VecDeque::new(),
            limit: 0,
            after_end: AfterEnd::No,
            characters: Characters::default(),
            words: Walk::default(),
            in_word: false,
            secrets: Secrets::new(kept),
            runs: Runs::new(system),
            brackets: Brackets::default(),
            refused: None,
            scanned: 0,
        };
        let rules = Arc::clone(&window.rules);
        window.words.step(&rules.side(is_output).words, ' ', 0);
        window
    }

    /// Takes the next piece and gives what may leave now: whole sentences that passed, or nothing yet.
    ///
    /// # Errors
    /// The rule that the text broke. Nothing leaves any more: every later call gives the same.
    pub fn push(&mut self, piece: &str) -> Result<String, Refusal> {
        self.refused.clone().map_or(Ok(()), Err)?;
        let rules = Arc::clone(&self.rules);
        let mut leaves = String::new();
        for c in piece.chars() {
            if let Err(refusal) = self.step(&rules, c) {
                self.refused = Some(refusal.clone());
                return Err(refusal);
            }
            self.release(&mut leaves);
        }
        Ok(leaves)
    }

    /// The end of the answer: gives the rest.
    ///
    /// # Errors
    /// The rule that the text broke.
    pub fn finish(mut self) -> Result<String, Refusal> {
        self.end().map(|()| self.held)
    }

    /// Judges what is still open.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        self.refused.clone().map_or(Ok(()), Err)?;
        let rules = Arc::clone(&self.rules);
        if rules.switches.control_characters && !self.characters.is_complete() {
            return Err(Refusal::new("control_characters"));
        }
        let side = rules.side(self.is_output);
        let at = self.base + self.held.len();
        self.letter(side, ' ', at, at)?;
        self.look(side)
    }

    fn step(&mut self, rules: &Rules, c: char) -> Result<(), Refusal> {
        let side = rules.side(self.is_output);
        let (at, after) = (self.base + self.held.len(), self.after_end);
        if after != AfterEnd::No && (c.is_whitespace() || after == AfterEnd::Wide && is_unspaced(c)) {
            self.sentence(side)?;
        }
        if rules.switches.control_characters && !self.characters.step(c) {
            return Err(Refusal::new("control_characters"));
        }
        self.held.push(c);
        let mut verdict = Ok(());
        skeleton(c, |part| {
            if verdict.is_ok() {
                verdict = self.letter(side, part, at, at + c.len_utf8());
            }
        });
        verdict?;
        plain(c, |part| self.plain_character(side, part, at));
        self.after_end = match c {
            '.' | '!' | '?' | '…' => AfterEnd::Narrow,
            '。' | '！' | '？' => AfterEnd::Wide,
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' | '」' | '』' => after,
            _ => AfterEnd::No,
        };
        if c == '\n' { self.sentence(side) } else { Ok(()) }
    }

    /// Takes a folded character that stands from `at` to `end`.
    fn letter(&mut self, side: &Side, c: char, at: usize, end: usize) -> Result<(), Refusal> {
        let hit = if c.is_alphanumeric() {
            self.in_word = true;
            self.words.step(&side.words, c, at)
        } else if self.in_word {
            self.in_word = false;
            self.words.step(&side.words, ' ', end)
        } else {
            // More between two words: what comes begins behind it.
            self.words.slide(end);
            None
        };
        if let Some(name) = hit.and_then(|place| side.word_names.get(place)) {
            return Err(Refusal::new(format!("words.{name}")));
        }
        if self.secrets.step(c, at) || self.runs.step(c, at) {
            return Err(Refusal::new("secret"));
        }
        Ok(())
    }

    fn plain_character(&mut self, side: &Side, c: char, at: usize) {
        let mark = Mark { raw: at, plain: self.plain_base + self.plain.len() };
        self.brackets.step(c, mark);
        self.plain.push(c);
        if side.reach > 0 {
            self.reach.push_back(mark);
            let from = (mark.plain + c.len_utf8()).saturating_sub(side.reach);
            while self.reach.front().is_some_and(|first| first.plain < from) {
                self.reach.pop_front();
            }
        }
    }

    /// The end of a sentence.
    fn sentence(&mut self, side: &Side) -> Result<(), Refusal> {
        let read = self.plain_base + self.plain.len();
        let is_behind = self.next_built_in.min(self.next_policy) < self.looked;
        if is_behind && read - self.looked < MIN_SEGMENT {
            return Ok(());
        }
        self.look(side)?;
        self.ends.push_back(self.base + self.held.len());
        Ok(())
    }

    /// Looks for patterns in what came since the last time, and in what may have begun before.
    fn look(&mut self, side: &Side) -> Result<(), Refusal> {
        let read = self.plain_base + self.plain.len();
        let fresh = self.plain.get(self.next_built_in - self.plain_base..).unwrap_or_default();
        self.scanned += fresh.len();
        if let Some(rule) = self.rules.built_in.judge(fresh) {
            return Err(Refusal::new(rule));
        }
        let from = self.next_policy - self.plain_base;
        for (name, regex) in &side.patterns {
            self.scanned += self.plain.len() - from;
            if regex.is_match_at(&self.plain, from) {
                return Err(Refusal::new(format!("patterns.{name}")));
            }
        }
        let end = Mark { raw: self.base + self.held.len(), plain: read };
        let link = self.brackets.open().unwrap_or(end);
        let reach = self.reach.front().copied().unwrap_or(end);
        (self.looked, self.next_built_in, self.next_policy) = (read, link.plain, reach.plain);
        self.limit = link.raw.min(reach.raw);
        self.forget();
        Ok(())
    }

    /// Drops the plain form that is not looked at again, but for the character before it: it decides about the edge of a word.
    fn forget(&mut self) {
        let next = self.next_built_in.min(self.next_policy) - self.plain_base;
        let before = self.plain.get(..next).and_then(|text| text.char_indices().next_back());
        let cut = before.map_or(0, |(at, _)| at);
        self.plain.drain(..cut);
        self.plain_base += cut;
    }

    /// Lets go of the sentences that nothing holds back.
    fn release(&mut self, leaves: &mut String) {
        let Some(first) = self.ends.front().copied().filter(|end| *end <= self.limit) else { return };
        let open = [self.words.open(), self.secrets.open(), self.runs.open()];
        let limit = open.into_iter().flatten().fold(self.limit, usize::min);
        let mut cut = (first <= limit).then_some(first);
        while let Some(end) = self.ends.front().copied().filter(|end| *end <= limit) {
            cut = Some(end);
            self.ends.pop_front();
        }
        if let Some(cut) = cut {
            leaves.extend(self.held.drain(..cut - self.base));
            self.base = cut;
        }
    }
}
