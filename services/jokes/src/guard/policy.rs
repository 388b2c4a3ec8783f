//! Which rules hold: the switches of the built-in ones, and lists of words and patterns by name.

use super::yaml::{self, Node, Value};

/// Words that a clean joke does without, in ROT13, so that the file itself offends nobody.
const BUILT_IN_WORDS: &str = include_str!("../../data/guard/words.txt");

/// Most characters of a word or phrase.
const MAX_PHRASE: usize = 200;

/// What is guarded against. [`Default`] is the built-in policy; [`GuardPolicy::parse`] reads a file, whose entries come on
/// top of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GuardPolicy {
    pub(super) switches: Switches,
    pub(super) words: Vec<WordList>,
    pub(super) patterns: Vec<PatternRule>,
}

/// The built-in rules, all on unless switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Switches {
    pub(super) control_characters: bool,
    pub(super) html: bool,
    pub(super) injection: bool,
    pub(super) personal_data: bool,
    pub(super) secrets: bool,
    pub(super) words: bool,
}

/// Where a rule looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum On {
    In,
    Out,
    #[default]
    Both,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WordList {
    pub(super) name: String,
    pub(super) phrases: Vec<String>,
    pub(super) on: On,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PatternRule {
    pub(super) name: String,
    pub(super) regex: String,
    pub(super) on: On,
    /// Its line in the file.
    pub(super) line: usize,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guard policy{}: `{rule}` {what}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct GuardFault {
    /// The line of the file, if there is one.
    pub line: Option<usize>,
    /// The rule or the key.
    pub rule: String,
    /// What is wrong with it.
    pub what: String,
}

impl GuardFault {
    pub(super) fn at(line: usize, rule: &str, what: String) -> Self {
        Self { line: Some(line), rule: rule.to_owned(), what }
    }

    pub(super) fn built_in(what: String) -> Self {
        Self { line: None, rule: "built-in".to_owned(), what }
    }
}

impl Default for Switches {
    fn default() -> Self {
        let on = true;
        Self { control_characters: on, html: on, injection: on, personal_data: on, secrets: on, words: on }
    }
}

impl Default for GuardPolicy {
    fn default() -> Self {
        let phrases = BUILT_IN_WORDS
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .map(|line| line.trim().chars().map(super::secret::rot13).collect())
            .collect();
        let words = vec![WordList { name: "offensive".to_owned(), phrases, on: On::Both }];
        Self { switches: Switches::default(), words, patterns: Vec::new() }
    }
}

impl GuardPolicy {
    /// Reads a policy file:
    ///
    /// ```yaml
    /// rules: { html: false }        # built-in rules; those not named stay on
    /// words:
    ///   brands: [acme, "big corp"]  # in what is said and in what is answered
    ///   heroes: { list: [batman], on: out }
    /// patterns:
    ///   order: { regex: "ORDER-[0-9]{6}", on: out }
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(yaml: &str) -> Result<Self, GuardFault> {
        let mut policy = Self::default();
        let Some(root) = yaml::parse(yaml)? else { return Ok(policy) };
        for (key, node) in entries(root, "file")? {
            match key.as_str() {
                "rules" => policy.switches(node)?,
                "words" => {
                    for (name, node) in entries(node, "words")? {
                        policy.words.push(word_list(name, node)?);
                    }
                }
                "patterns" => {
                    for (name, node) in entries(node, "patterns")? {
                        policy.patterns.push(pattern_rule(name, node)?);
                    }
                }
                _ => {
                    return Err(GuardFault::at(
                        node.line,
                        &key,
                        "is not known: rules, words or patterns".to_owned(),
                    ));
                }
            }
        }
        if !policy.switches.words {
            policy.words.remove(0);
        }
        Ok(policy)
    }

    fn switches(&mut self, node: Node) -> Result<(), GuardFault> {
        for (key, node) in entries(node, "rules")? {
            let on = match &node.value {
                Value::Text(text) if text == "true" => true,
                Value::Text(text) if text == "false" => false,
                _ => return Err(GuardFault::at(node.line, &key, "must be true or false".to_owned())),
            };
            let switch = match key.as_str() {
                "control_characters" => &mut self.switches.control_characters,
                "html" => &mut self.switches.html,
                "injection" => &mut self.switches.injection,
                "personal_data" => &mut self.switches.personal_data,
                "secrets" => &mut self.switches.secrets,
                "words" => &mut self.switches.words,
                _ => return Err(GuardFault::at(node.line, &key, "is no built-in rule".to_owned())),
            };
            *switch = on;
        }
        Ok(())
    }
}

fn word_list(name: String, node: Node) -> Result<WordList, GuardFault> {
    check_name(&name, node.line)?;
    let (list, on) = with_side(&name, node, "list")?;
    let Value::List(items) = list.value else {
        return Err(GuardFault::at(list.line, &name, "must be a list of words".to_owned()));
    };
    let mut phrases = Vec::with_capacity(items.len());
    for item in items {
        match item.value {
            Value::Text(text) if text.chars().count() > MAX_PHRASE => {
                return Err(GuardFault::at(
                    item.line,
                    &name,
                    format!("has a phrase of more than {MAX_PHRASE} characters"),
                ));
            }
            Value::Text(text) if text.chars().any(char::is_alphanumeric) => phrases.push(text),
            _ => return Err(GuardFault::at(item.line, &name, "has an entry that is no word".to_owned())),
        }
    }
    Ok(WordList { name, phrases, on })
}

fn pattern_rule(name: String, node: Node) -> Result<PatternRule, GuardFault> {
    check_name(&name, node.line)?;
    let (regex, on) = with_side(&name, node, "regex")?;
    let line = regex.line;
    let Value::Text(regex) = regex.value else {
        return Err(GuardFault::at(line, &name, "must be a regular expression".to_owned()));
    };
    super::pattern::compile(&regex).map_err(|what| GuardFault::at(line, &name, what))?;
    Ok(PatternRule { name, regex, on, line })
}

/// The value itself, or the one under `key` of a mapping with the key `on` beside it.
fn with_side(name: &str, node: Node, key: &str) -> Result<(Node, On), GuardFault> {
    if !matches!(node.value, Value::Map(_)) {
        return Ok((node, On::Both));
    }
    let line = node.line;
    let (mut value, mut on) = (None, On::Both);
    for (entry, node) in entries(node, name)? {
        match (entry.as_str(), &node.value) {
            (entry, _) if entry == key => value = Some(node),
            ("on", Value::Text(text)) if text == "in" => on = On::In,
            ("on", Value::Text(text)) if text == "out" => on = On::Out,
            ("on", Value::Text(text)) if text == "both" => on = On::Both,
            ("on", _) => {
                return Err(GuardFault::at(node.line, name, "`on` must be in, out or both".to_owned()));
            }
            _ => return Err(GuardFault::at(node.line, name, format!("knows no `{entry}`"))),
        }
    }
    let value = value.ok_or_else(|| GuardFault::at(line, name, format!("lacks `{key}`")))?;
    Ok((value, on))
}

/// Names stand in refusals and in metrics.
fn check_name(name: &str, line: usize) -> Result<(), GuardFault> {
    let fits = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        Ok(())
    } else {
        Err(GuardFault::at(line, name, "must be 1 to 40 of a-z, 0-9 and _".to_owned()))
    }
}

fn entries(node: Node, rule: &str) -> Result<Vec<(String, Node)>, GuardFault> {
    match node.value {
        Value::Map(entries) => Ok(entries),
        _ => Err(GuardFault::at(node.line, rule, "must be a mapping".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_adds_to_the_built_in_policy() {
        let policy = GuardPolicy::parse(
            "rules: {html: false}\nwords:\n  brands: [acme]\n  heroes: {list: [batman], on: out}\npatterns:\n  order: 'O-[0-9]{6}'\n",
        )
        .unwrap();
        assert!(!policy.switches.html && policy.switches.injection);
        assert_eq!(policy.words.len(), 3);
        assert_eq!(policy.words[2].on, On::Out);
        assert_eq!(policy.patterns[0].line, 6);
        assert_eq!(GuardPolicy::parse("# nothing\n").unwrap(), GuardPolicy::default());
        assert!(GuardPolicy::default().words[0].phrases.len() > 20);
    }

    #[test]
    fn faults_have_a_line_and_a_rule() {
        for (text, line, rule) in [
            ("rules:\n  htlm: true", 2, "htlm"),
            ("rules: {html: maybe}", 1, "html"),
            ("words:\n  a: [x]\n  a: [y]", 3, "a"),
            ("words:\n  Bad Name: [x]", 2, "Bad Name"),
            ("words:\n  a: ['--']", 2, "a"),
            ("patterns:\n  p: 'a+'", 2, "p"),
            ("patterns:\n  p: {regex: 'a', on: up}", 2, "p"),
            ("other: 1", 1, "other"),
            ("- a", 1, "file"),
            ("a: &x 1\nb: *x", 1, "file"),
            ("a: [", 2, "file"),
        ] {
            let fault = GuardPolicy::parse(text).unwrap_err();
            assert_eq!((fault.line, fault.rule.as_str()), (Some(line), rule), "{text}: {fault}");
        }
    }
}
