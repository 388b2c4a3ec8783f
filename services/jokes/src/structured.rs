//! A joke as JSON: the schema that a model is asked for, the strict reading of what it says, and its text while it is
//! still being said.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::domain::Told;
use crate::domain::joke::MAX_PART;

/// The schema of [`Told`], as `response_format` takes it.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": { "setup": { "type": "string" }, "punchline": { "type": "string" } },
        "required": ["setup", "punchline"],
        "additionalProperties": false,
    })
});

/// Why an answer is no joke; quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's answer is not a joke: {0}")]
pub(crate) struct Unfit(pub(crate) String);

/// Reads an answer: exactly one JSON object with exactly the two members, each once, neither empty. Blanks around it do
/// not count, and neither does a fence of Markdown, since models that know no schemas like to put one around.
pub(crate) fn parse(answer: &str) -> Result<Told, Unfit> {
    let Strict(told) =
        serde_json::from_str(unfenced(answer.trim())).map_err(|fault| Unfit(position(&fault)))?;
    for (name, part) in [("setup", &told.setup), ("punchline", &told.punchline)] {
        if part.trim().is_empty() || part.chars().count() > MAX_PART {
            return Err(Unfit(format!("{name} must have 1 to {MAX_PART} characters")));
        }
    }
    Ok(Told { setup: told.setup.trim().to_owned(), punchline: told.punchline.trim().to_owned() })
}

/// What serde says, without the values that it may quote.
fn position(fault: &serde_json::Error) -> String {
    let what = match fault.classify() {
        serde_json::error::Category::Data => "not of the schema",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "not JSON",
    };
    format!("{what} (line {}, column {})", fault.line(), fault.column())
}

fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|inner| inner.strip_suffix("```")).map_or(text, str::trim)
}

/// [`Told`], refusing what serde's own derive lets pass or words differently: unknown and repeated members.
struct Strict(Told);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a joke")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let (mut told, mut seen) = (Told { setup: String::new(), punchline: String::new() }, BTreeSet::new());
        while let Some(name) = map.next_key::<String>()? {
            let place = match name.as_str() {
                "setup" => &mut told.setup,
                "punchline" => &mut told.punchline,
                _ => return Err(A::Error::custom("unknown member")),
            };
            *place = map.next_value()?;
            if !seen.insert(name) {
                return Err(A::Error::custom("repeated member"));
            }
        }
        if seen.len() == 2 { Ok(Strict(told)) } else { Err(A::Error::custom("missing member")) }
    }
}

/// Reads the text of the joke out of JSON that comes in pieces: the strings of `setup` and `punchline`, with a blank line
/// between them. A punchline that comes first waits for its setup. What is no such JSON gives no text; [`parse`] judges the
/// whole in the end.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    state: State,
    key: String,
    is_value: bool,
    is_nested: usize,
    /// Whether the setup has begun.
    is_begun: bool,
    /// The punchline, as long as it has not.
    early: String,
    escape: String,
    /// The first half of a character beyond the basic plane.
    half: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    InString,
    InEscape,
}

/// What stands between setup and punchline in the running text.
const BETWEEN: &str = "\n\n";

impl Telling {
    /// The text in the next piece.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        let mut text = String::new();
        for c in piece.chars() {
            match self.state {
                State::Outside => self.outside(c, &mut text),
                State::InString => self.in_string(c, &mut text),
                State::InEscape => self.in_escape(c, &mut text),
            }
        }
        text
    }

    fn outside(&mut self, c: char, text: &mut String) {
        match c {
            '"' => {
                self.state = State::InString;
                if !self.is_value {
                    self.key.clear();
                } else if self.is_setup() {
                    self.is_begun = true;
                } else if self.is_told() && self.is_begun {
                    text.push_str(BETWEEN);
                }
            }
            ':' => self.is_value = true,
            ',' => self.is_value = false,
            '{' | '[' => self.is_nested += 1,
            '}' | ']' => self.is_nested = self.is_nested.saturating_sub(1),
            _ => {}
        }
    }

    fn in_string(&mut self, c: char, text: &mut String) {
        match c {
            '"' => {
                self.half = None;
                self.state = State::Outside;
                if self.is_value && self.is_setup() && !self.early.is_empty() {
                    text.push_str(BETWEEN);
                    text.push_str(&std::mem::take(&mut self.early));
                }
            }
            '\\' => {
                self.escape.clear();
                self.state = State::InEscape;
            }
            _ => self.take(c, text),
        }
    }

    fn in_escape(&mut self, c: char, text: &mut String) {
        self.escape.push(c);
        if self.escape.starts_with('u') && self.escape.len() < 5 {
            return;
        }
        self.state = State::InString;
        let unit = self.escape.strip_prefix('u').and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match (unit, c) {
            (Some(unit), _) => self.unit(unit, text),
            (None, 'n') => self.take('\n', text),
            (None, 't') => self.take('\t', text),
            (None, 'r') => self.take('\r', text),
            (None, 'b') => self.take('\u{8}', text),
            (None, 'f') => self.take('\u{c}', text),
            (None, _) => self.take(c, text),
        }
    }

    fn unit(&mut self, unit: u16, text: &mut String) {
        let units = [self.half.take(), Some(unit)];
        match char::decode_utf16(units.into_iter().flatten()).last() {
            _ if (0xd800..0xdc00).contains(&unit) => self.half = Some(unit),
            Some(Ok(c)) => self.take(c, text),
            _ => {}
        }
    }

    fn take(&mut self, c: char, text: &mut String) {
        if !self.is_value {
            // No key that means anything is longer.
            if self.key.len() < 32 {
                self.key.push(c);
            }
        } else if self.is_told() {
            if self.is_begun { text.push(c) } else { self.early.push(c) }
        }
    }

    fn is_setup(&self) -> bool {
        self.is_told() && self.key == "setup"
    }

    fn is_told(&self) -> bool {
        self.is_nested == 1 && matches!(self.key.as_str(), "setup" | "punchline")
    }
}

/// A joke as running text, as [`Telling`] gives it.
pub(crate) fn spoken(told: &Told) -> String {
    format!("{}{BETWEEN}{}", told.setup, told.punchline)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOKE: &str =
        r#" {"setup": "Why \"so\" \u00e4lt?\nSay", "punchline": "Caf\u00e9 \ud83d\ude00 \\ end."} "#;

    #[test]
    fn a_joke_is_read_strictly() {
        let told = parse(JOKE).unwrap();
        assert_eq!(told.setup, "Why \"so\" ält?\nSay");
        assert_eq!(told.punchline, "Café 😀 \\ end.");
        assert!(parse("```json\n{\"setup\":\"a\",\"punchline\":\"b\"}\n```").is_ok());
        let deep = format!("{{\"setup\":{}1{},\"punchline\":\"b\"}}", "[".repeat(5_000), "]".repeat(5_000));
        let long = format!("{{\"setup\":\"{}\",\"punchline\":\"b\"}}", "x".repeat(1 << 20));
        let bad = [
            "",
            "Sure! {\"setup\":\"a\",\"punchline\":\"b\"}",
            "{\"setup\":\"a\",\"punchline\":\"b\"} Enjoy!",
            "{\"setup\":\"a\",\"punchline\":\"b\",}",
            "{\"setup\":1,\"punchline\":\"b\"}",
            "{\"setup\":\"a\"}",
            "{\"setup\":\"a\",\"setup\":\"c\",\"punchline\":\"b\"}",
            "{\"setup\":NaN,\"punchline\":\"b\"}",
            "{\"setup\":\"a\",\"punchline\":\"b\",\"more\":1}",
            "{\"setup\":\"\",\"punchline\":\"b\"}",
            "[]",
            "null",
            "{\"setup\":\" \",\"punchline\":\"b\"}",
            "{\"setup\":null,\"punchline\":\"b\"}",
            &deep,
            &long,
        ];
        for text in bad {
            let fault = parse(text).unwrap_err().to_string();
            assert!(fault.len() < 200, "{fault}");
        }
    }

    #[test]
    fn the_text_is_the_same_however_it_comes() {
        let whole = Telling::default().push(JOKE);
        assert_eq!(whole, "Why \"so\" ält?\nSay\n\nCafé 😀 \\ end.");
        for at in (0..=JOKE.len()).filter(|at| JOKE.is_char_boundary(*at)) {
            let mut telling = Telling::default();
            let mut text = telling.push(&JOKE[..at]);
            text.push_str(&telling.push(&JOKE[at..]));
            assert_eq!(text, whole, "split at {at}");
        }
        assert_eq!(
            spoken(&Told { setup: "a".into(), punchline: "b".into() }),
            Telling::default().push(r#"{"setup":"a","punchline":"b"}"#)
        );
    }

    #[test]
    fn other_members_and_nested_ones_are_not_told() {
        let mut telling = Telling::default();
        assert_eq!(telling.push(r#"{"note":"no","x":{"setup":"no"},"setup":"yes","y":["no"]}"#), "yes");
        assert_eq!(Telling::default().push("plain \"text\" with: \"setup\""), "");
    }

    #[test]
    fn the_setup_is_told_first() {
        let mut telling = Telling::default();
        let told = [r#"{"punchline":"Because"#, r#".","set"#, r#"up":"Why"#, r#"?"}"#]
            .map(|piece| telling.push(piece));
        assert_eq!(told, ["", "", "Why", "?\n\nBecause."]);
        assert_eq!(Telling::default().push(r#"{"punchline":"no"}"#), "");
    }
}
