//! Rules that are patterns over the plain form of a text: markup, keys, personal data, and the policy's own.
//!
//! The built-in ones cannot reach over the end of a sentence, because none has a blank behind a mark that ends one. Links of
//! Markdown can, in their text; `Brackets` says where such a link may have begun. A policy's patterns have a known reach.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::numbers::{Numbers, PHONE};
use super::policy::Switches;

/// Most bytes of a compiled pattern.
const MAX_COMPILED: usize = 1 << 20;

/// Characters that the text of a link may have before it is taken for none.
const MAX_LINK: usize = 200;

const HTML: &[&str] = &[
    r"<[/!?]{0,2}[a-zA-Z]",
    r"<!--",
    r"(?i)(?:java|vb|live)script:[!-~]",
    r"(?i)data:text/html",
    r"(?i)&(?:lt|#0{0,8}60|#x0{0,8}3c);?[/!?]{0,2}[a-z]",
    r"(?i)\]\([ \t\n]{0,8}<?(?:https?:|ftp:|data:|file:|mailto:|javascript:|//|www\.)",
    r"(?i)\]:[ \t\n]{0,8}<?(?:https?:|ftp:|data:|//)",
    r"!\[[^\]]{0,200}\](?:\(|\[)",
];

const KEYS: &[&str] = &[
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16}",
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b",
    r"\bgh[opsur]_[A-Za-z0-9]{30}",
    r"\bgithub_pat_[A-Za-z0-9_]{22}",
    r"\bglpat-[A-Za-z0-9_-]{16}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10}",
    r"\bAIza[0-9A-Za-z_-]{30}",
    r"\bhf_[A-Za-z0-9]{30}",
    r"\beyJ[A-Za-z0-9_-]{8,200}\.[A-Za-z0-9_-]{8}[A-Za-z0-9_-]{0,400}\.[A-Za-z0-9_-]{4}",
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY",
];

const EMAIL: &str = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}";

/// The rules that come with the service, those that are switched on.
#[derive(Debug)]
pub(super) struct BuiltIn {
    set: RegexSet,
    /// The names of the rules of `set`, in its order.
    names: Vec<&'static str>,
    numbers: Option<Numbers>,
}

impl BuiltIn {
    pub(super) fn new(switches: &Switches) -> Result<Self, regex::Error> {
        let mut rules: Vec<(&'static str, &str)> = Vec::new();
        if switches.secrets {
            rules.extend(KEYS.iter().map(|pattern| ("secret", *pattern)));
        }
        if switches.html {
            rules.extend(HTML.iter().map(|pattern| ("html", *pattern)));
        }
        if switches.personal_data {
            rules.extend([("personal_data.email", EMAIL), ("personal_data.phone", PHONE)]);
        }
        // Boundaries of words are ASCII's here: what is looked for is ASCII.
        let patterns = rules.iter().map(|(_, pattern)| pattern.replace(r"\b", r"(?-u:\b)"));
        let set = RegexSetBuilder::new(patterns).size_limit(8 * MAX_COMPILED).build()?;
        let numbers = switches.personal_data.then(Numbers::new).transpose()?;
        Ok(Self { set, names: rules.into_iter().map(|(name, _)| name).collect(), numbers })
    }

    /// The first rule that a text breaks.
    pub(super) fn judge(&self, text: &str) -> Option<&'static str> {
        // Cards before telephones: they look alike, and only the former have a check digit.
        let number = self.numbers.as_ref().and_then(|numbers| numbers.judge(text));
        number
            .or_else(|| self.set.matches(text).iter().next().and_then(|place| self.names.get(place).copied()))
    }
}

/// A pattern of the policy.
pub(super) fn compile(pattern: &str) -> Result<(Regex, usize), String> {
    let reach = reach(pattern)?;
    let regex =
        RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build().map_err(|fault| fault.to_string())?;
    Ok((regex, reach))
}

/// Most bytes that a pattern can match; a fault when there is no bound or when it depends on where the text ends.
fn reach(pattern: &str) -> Result<usize, String> {
    let hir = regex_syntax::Parser::new().parse(pattern).map_err(|fault| fault.to_string())?;
    let properties = hir.properties();
    if properties.minimum_len().unwrap_or(0) == 0 {
        return Err("matches the empty text".to_owned());
    }
    let looks = properties.look_set();
    if looks.contains_anchor() {
        return Err("has an anchor (^, $), which means nothing in a stream".to_owned());
    }
    match properties.maximum_len() {
        Some(bytes) if bytes <= MAX_REACH => Ok(bytes),
        _ => Err(format!("can match more than {MAX_REACH} bytes; bound its repetitions, as in `.{{0,40}}`")),
    }
}

/// Most bytes that a pattern of the policy may match: 200 characters of up to four bytes.
const MAX_REACH: usize = 800;

/// A place in a text and in its plain form, in bytes from the beginning of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) raw: usize,
    pub(super) plain: usize,
}

/// Whether a link of Markdown is open, and since where.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    state: Link,
    start: Mark,
    length: usize,
    /// Where the exclamation mark stood, if it was the last character.
    bang: Option<Mark>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    None,
    Text,
    Closed,
    Target,
}

impl Brackets {
    pub(super) fn step(&mut self, c: char, at: Mark) {
        let bang = self.bang.take();
        self.length += 1;
        self.state = match (&self.state, c) {
            _ if self.state != Link::None && self.length > MAX_LINK + 10 => Link::None,
            (Link::Text, ']') => Link::Closed,
            (Link::Text, _) => Link::Text,
            (Link::Closed, '(' | ':' | '[') => Link::Target,
            (Link::Target, ' ' | '\t' | '\n' | '<') => Link::Target,
            _ => Link::None,
        };
        if self.state == Link::None && c == '[' {
            (self.state, self.start, self.length) = (Link::Text, bang.unwrap_or(at), 0);
        }
        if c == '!' {
            self.bang = Some(at);
        }
    }

    /// Where the open link began.
    pub(super) fn open(&self) -> Option<Mark> {
        (self.state != Link::None).then_some(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_keys_and_addresses_are_known() {
        let rules = BuiltIn::new(&Switches::default()).unwrap();
        for (text, rule) in [
            ("a <b>bold</b> one", "html"),
            ("&#x3c;script", "html"),
            ("[x](javascript:alert(1))", "html"),
            ("![x](/y.png)", "html"),
            ("[Click. Here](\nhttps://example.com)", "html"),
            ("sk-abcdefghij0123456789", "secret"),
            ("AKIAIOSFODNN7EXAMPLE", "secret"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdef", "secret"),
            ("-----BEGIN RSA PRIVATE KEY-----", "secret"),
            ("mail jane.doe@example.co.uk!", "personal_data.email"),
            ("call +49 30 901820", "personal_data.phone"),
        ] {
            assert_eq!(rules.judge(text), Some(rule), "{text}");
        }
        for text in [
            "I <3 you",
            "5 < 6 & 7 > 2",
            "JavaScript: the good parts",
            "[sighs] (quietly)",
            "@everyone",
            "task-force",
        ] {
            assert_eq!(rules.judge(text), None, "{text}");
        }
    }

    #[test]
    fn a_policy_pattern_is_bounded() {
        assert_eq!(compile("ab{2,5}c").unwrap().1, 7);
        for bad in ["a+", "(", "x*", "^a", "a$", "a{900}", "(?:a{50}){50}{50}"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
