//! Joins the texts of deltas, where a server splits inside of a character.
//!
//! A server that writes `\uXXXX` may split between the two halves of a character, and one that cuts bytes may split
//! anywhere. So deltas are kept as bytes, in which `serde_json` leaves half a pair as the three bytes that UTF-8 would
//! give it (WTF-8), and only whole characters go on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A JSON string as bytes: UTF-8, but for what a server has split.
#[derive(Debug, Default)]
pub(super) struct Raw(pub(super) Vec<u8>);

/// Joins deltas.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    /// The beginning of a character: at most three bytes.
    tail: Vec<u8>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(RawVisitor)
    }
}

struct RawVisitor;

impl Visitor<'_> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Raw, E> {
        Ok(Raw(bytes.to_vec()))
    }
}

impl Joiner {
    /// The characters that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.tail);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        let mut rest = all.as_slice();
        while let Err(error) = str::from_utf8(rest) {
            let (good, bad) = rest.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(good));
            let first = half(bad, 0xA0);
            if error.error_len().is_none() || (first.is_some() && bad.len() == 3) {
                self.tail = bad.to_vec();
                return text;
            }
            let second = bad.get(3..).and_then(|after| half(after, 0xB0));
            rest = if let (Some(first), Some(second)) = (first, second) {
                text.extend(
                    char::decode_utf16([first, second]).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
                );
                bad.get(6..).unwrap_or_default()
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
                let lone = first.is_some() || half(bad, 0xB0).is_some();
                bad.get(if lone { 3 } else { error.error_len().unwrap_or(1) }..).unwrap_or_default()
            };
        }
        text.push_str(&String::from_utf8_lossy(rest));
        text
    }

    /// What is left at the end: half a character is none.
    pub(super) fn end(&mut self) -> Option<String> {
        let half = !std::mem::take(&mut self.tail).is_empty();
        half.then(|| char::REPLACEMENT_CHARACTER.to_string())
    }
}

/// Half of a pair at the beginning; `from` is 0xA0 for first halves and 0xB0 for second ones.
fn half(bytes: &[u8], from: u8) -> Option<u16> {
    match bytes {
        [0xED, b, c, ..] if (from..from + 0x10).contains(b) && (0x80..0xC0).contains(c) => {
            Some(0xD000 | u16::from(b & 0x3F) << 6 | u16::from(c & 0x3F))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(parts: &[&[u8]]) -> String {
        let mut joiner = Joiner::default();
        let mut text: String = parts.iter().map(|part| joiner.push(part)).collect();
        text.extend(joiner.end());
        text
    }

    #[test]
    fn a_split_at_any_byte_loses_nothing() {
        let text = "zß水😀!";
        for at in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            assert_eq!(joined(&[left, right]), text);
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(joined(&bytes), text);
    }

    #[test]
    fn two_halves_of_an_escape_are_one_character() {
        let raw = |json: &str| serde_json::from_str::<Raw>(json).unwrap().0;
        assert_eq!(joined(&[&raw(r#""a\ud83d""#), &raw(r#""\ude00b""#)]), "a😀b");
        assert_eq!(joined(&[&raw(r#""a\ud83d""#), &raw(r#""""#), &raw(r#""\ude00""#)]), "a😀");
    }

    #[test]
    fn what_is_no_character_is_marked() {
        let raw = |json: &str| serde_json::from_str::<Raw>(json).unwrap().0;
        assert_eq!(joined(&[&raw(r#""a\ud83d""#)]), "a\u{FFFD}");
        assert_eq!(joined(&[&raw(r#""a\ud83d""#), b"b"]), "a\u{FFFD}b");
        assert_eq!(joined(&[&raw(r#""\ude00b""#)]), "\u{FFFD}b");
        assert_eq!(joined(&[b"a\xFFb", b"\xC3"]), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(joined(&[&raw(r#""\ud83d\ud83d""#), &raw(r#""\ude00""#)]), "\u{FFFD}😀");
    }
}
