//! Texts that try to give the model orders in our place.
//!
//! A text is brought into a canonical form, in which spelling hides nothing, and compared with a list of phrases; tags of
//! roles are looked for in its plain form. What is encoded in it is decoded and judged once more, to a bounded depth. It is
//! the cheap first line: an order that gets through still cannot leave the user's role, nor what it asks for the window.

use std::collections::HashMap;

use regex::RegexSet;
use regex::bytes::{RegexSet as BytesSet, RegexSetBuilder};

mod canonical;
mod decode;

use super::fold::{plain_of, skeleton};
use canonical::canonical;
use decode::Decoder;

/// The phrases; part of the guard's version.
pub(super) const PHRASES: &str = include_str!("../../data/guard/phrases.txt");

/// Tags of roles, of the templates of models and of faked protocol messages.
const TAGS: &[&str] = &[
    r"(?im)^[\s>*#-]{0,8}(?:system|assistant|developer|sysadmin|ai|ki)(?:[ _](?:prompt|message|note|override))?\s{0,3}:",
    r"(?i)<\|\s{0,2}(?:im_start|im_end|system|user|assistant|endoftext|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|endofprompt|channel|message|start|end)",
    r"(?i)\[\s?/?\s?(?:INST|SYS|SYSTEM|ASSISTANT|SYSTEM[ _](?:PROMPT|MESSAGE|OVERRIDE|NOTE|UPDATE))\s?\]",
    r"(?i)<<\s?/?SYS\s?>>",
    r"(?im)^\s{0,4}#{2,}\s{0,2}(?:new\s)?(?:instructions?|system|response|input|end|override|assistant|prompt|user)\b",
    r#"(?i)["']?role["']?\s{0,4}:\s{0,4}["'](?:system|developer|tool|assistant|function)["']"#,
    r#"(?i)["'](?:tool_calls?|function_call|tool_call_id|system_prompt|system_message|tool_result|tool_output|tool_response|system|new_instructions)["']\s{0,4}:"#,
    r"(?i)</?\s{0,2}(?:system|user|assistant|human|prompt|instructions?|tool(?:_\w{1,20})?|topic|context|user_input|system[-_]\w{1,20})\s{0,2}/?>",
    r"(?i)\b(?:BEGIN|END)[ _](?:OF[ _])?(?:SYSTEM|PROMPT|USER[ _]INPUT|INSTRUCTIONS?)\b[^.\n]{0,20}(?:-{2,}|={2,}|\]|>|\n)",
    r"(?im)^\s{0,4}(?:human|user)\s{0,2}:.{0,200}\n\s{0,4}(?:assistant|ai)\s{0,2}:",
    r"!\[[^\]]{0,200}\]\([^)]{0,20}https?:",
];

/// Most times that something decoded is decoded again.
const MAX_DEPTH: usize = 2;

/// The phrases and tags, compiled.
#[derive(Debug)]
pub(super) struct Injection {
    phrases: BytesSet,
    tags: RegexSet,
    decoder: Decoder,
}

impl Injection {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let phrases = RegexSetBuilder::new(phrases())
            .unicode(false)
            .size_limit(1 << 26)
            .dfa_size_limit(1 << 25)
            .build()?;
        Ok(Self { phrases, tags: RegexSet::new(TAGS)?, decoder: Decoder::new()? })
    }

    /// Whether a text holds orders to the model.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.judge(text, MAX_DEPTH)
    }

    fn judge(&self, text: &str, depth: usize) -> bool {
        let plain = plain_of(text);
        if self.tags.is_match(&plain) || self.phrases.is_match(canonical(text).as_bytes()) {
            return true;
        }
        depth > 0
            && (self.turned(text)
                || self.decoder.decode(&plain).iter().any(|inner| self.judge(inner, depth - 1)))
    }

    /// Looks at the text turned by 13 letters, and backwards.
    fn turned(&self, text: &str) -> bool {
        let rot13: String = text.chars().map(super::secret::rot13).collect();
        let backwards: String = text.chars().rev().collect();
        [rot13, backwards].iter().any(|turned| self.phrases.is_match(canonical(turned).as_bytes()))
    }
}

/// The phrases, with the names in them replaced by what they stand for.
fn phrases() -> Vec<String> {
    let mut parts: HashMap<String, String> = HashMap::new();
    let mut phrases = Vec::new();
    for line in PHRASES.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let line =
            parts.iter().fold(folded(line), |line, (name, part)| line.replace(&format!("<{name}>"), part));
        match line.split_once(" = ") {
            Some((name, part)) => drop(parts.insert(name.to_owned(), part.to_owned())),
            None => phrases.push(line),
        }
    }
    phrases
}

/// Folds what is not ASCII, so that it looks as in a canonical text.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_ascii() { out.push(c) } else { skeleton(c, |part| out.push(part)) }
    }
    out
}
