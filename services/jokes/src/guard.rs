//! The guardrails: what a user may ask and what a model may answer.
//!
//! Deterministic, without a model, linear in the length of the text. One path judges a whole text and a stream
//! ([`Window`]): a whole answer is one piece and the end. Input passes the same rules, and `injection` besides. A refusal
//! names its rule and never quotes the text. Nothing here logs, waits or knows the rest of the service.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest;
use regex::Regex;

mod automaton;
mod characters;
mod fold;
mod injection;
mod numbers;
mod pattern;
mod policy;
mod secret;
mod window;
mod yaml;

#[cfg(test)]
mod tests;

use automaton::Automaton;
pub(crate) use fold::is_unspaced;
use fold::skeleton_of;
use injection::Injection;
use pattern::BuiltIn;
use policy::{On, Switches};
use secret::Kept;

pub use policy::{GuardFault, GuardPolicy};
pub use window::Window;

/// Grows with every change of the code that can change a verdict.
const REVISION: &str = "guard-2";

/// The rules, compiled once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guards {
    rules: Arc<Rules>,
    kept: Kept,
    version: Arc<str>,
}

/// A refusal. It names its rule, and nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused by the rule `{rule}`")]
pub struct Refusal {
    /// `control_characters`, `html`, `injection`, `secret`, `personal_data.email`, `.phone`, `.card`, `.iban` or `.ssn`;
    /// `words.<name>` and `patterns.<name>` of the policy.
    pub rule: Cow<'static, str>,
}

#[derive(Debug)]
struct Rules {
    switches: Switches,
    built_in: BuiltIn,
    input: Side,
    output: Side,
    injection: Option<Injection>,
}

/// What a policy wants of one direction.
#[derive(Debug)]
struct Side {
    words: Automaton,
    /// The list of each phrase of `words`.
    word_names: Vec<String>,
    patterns: Vec<(String, Regex)>,
    /// Most bytes that one of `patterns` matches.
    reach: usize,
}

impl Guards {
    /// Compiles a policy.
    ///
    /// # Errors
    /// The rule that does not compile, and why.
    pub fn new(policy: &GuardPolicy) -> Result<Self, GuardFault> {
        let fault = |fault: regex::Error| GuardFault::built_in(fault.to_string());
        let rules = Rules {
            switches: policy.switches,
            built_in: BuiltIn::new(&policy.switches).map_err(fault)?,
            input: Side::new(policy, On::In)?,
            output: Side::new(policy, On::Out)?,
            injection: policy.switches.injection.then(Injection::new).transpose().map_err(fault)?,
        };
        Ok(Self { rules: Arc::new(rules), kept: Kept::default(), version: version(policy).into() })
    }

    /// The same guards, past which no text of `secrets` leaves in any usual disguise. Compiling them takes milliseconds, so
    /// it is done once and not for each answer.
    #[must_use]
    pub fn keeping(self, secrets: &[&str]) -> Self {
        let kept = if self.rules.switches.secrets { Kept::new(secrets) } else { self.kept };
        Self { kept, ..self }
    }

    /// 16 hexadecimal digits that change whenever a verdict can: of a SHA-256 over the revision of the code, the policy and
    /// the built-in lists.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Judges a text that a user sent.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn input(&self, text: &str) -> Result<(), Refusal> {
        if text.is_empty() {
            return Ok(());
        }
        let mut window = Window::new(Arc::clone(&self.rules), false, Kept::default(), "");
        window.push(text)?;
        window.end()?;
        match &self.rules.injection {
            Some(injection) if injection.finds(text) => Err(Refusal::new("injection")),
            _ => Ok(()),
        }
    }

    /// A window over one answer. No eight words of `system` in a row leave.
    #[must_use]
    pub fn window(&self, system: &str) -> Window {
        Window::new(Arc::clone(&self.rules), true, self.kept.clone(), system)
    }
}

impl Refusal {
    fn new(rule: impl Into<Cow<'static, str>>) -> Self {
        Self { rule: rule.into() }
    }
}

impl Rules {
    fn side(&self, is_output: bool) -> &Side {
        if is_output { &self.output } else { &self.input }
    }
}

impl Side {
    fn new(policy: &GuardPolicy, side: On) -> Result<Self, GuardFault> {
        let holds = |on: On| on == On::Both || on == side;
        let (mut phrases, mut word_names) = (Vec::new(), Vec::new());
        for list in policy.words.iter().filter(|list| holds(list.on)) {
            for text in &list.phrases {
                phrases.push(phrase(text));
                word_names.push(list.name.clone());
            }
        }
        let (mut patterns, mut reach) = (Vec::new(), 0);
        for rule in policy.patterns.iter().filter(|rule| holds(rule.on)) {
            let fault = |what| GuardFault::at(rule.line, &rule.name, what);
            let (regex, bytes) = pattern::compile(&rule.regex).map_err(fault)?;
            patterns.push((rule.name.clone(), regex));
            reach = reach.max(bytes);
        }
        Ok(Self { words: Automaton::new(phrases.iter().map(String::as_str)), word_names, patterns, reach })
    }
}

/// A phrase as the window sees it: folded, one blank between words, and one at each end that is the edge of a word.
fn phrase(text: &str) -> String {
    let folded = skeleton_of(text);
    let words: Vec<&str> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let joined = words.join(" ");
    let edge = |c: Option<char>| if c.is_some_and(is_unspaced) { "" } else { " " };
    let (first, last) = (edge(joined.chars().next()), edge(joined.chars().next_back()));
    if joined.is_empty() { joined } else { format!("{first}{joined}{last}") }
}

fn version(policy: &GuardPolicy) -> String {
    let text = format!("{REVISION}\n{policy:?}\n{}", injection::PHRASES);
    let sum = digest::digest(&digest::SHA256, text.as_bytes());
    sum.as_ref().iter().take(8).fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}
