//! Character classes as Python's `str` methods have them, where Rust's answer differs.
//!
//! Python goes by general category, Rust by derived properties: `Alphabetic` holds combining vowel signs and circled
//! letters, which are no letters to Python; U+001C to U+001F are white space to Python only. Equal on every character of
//! Unicode 14 (`tests/data/unicode14.txt`); characters that were assigned later are judged by the tables of this build.

use unicode_normalization::char::is_combining_mark;

/// `str.isalnum`: a letter (general category L) or anything with a numeric value.
pub(crate) fn is_alnum(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    c.is_alphanumeric() && !is_odd_alphabetic(c)
}

/// `str.isalpha`: a letter (general category L).
pub(crate) fn is_alpha(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    c.is_alphabetic() && !c.is_numeric() && !is_odd_alphabetic(c)
}

/// `str.isspace`.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `str.isupper`: at least one cased character, and none of the cased ones is lower or title case.
pub(crate) fn is_upper(text: &str) -> bool {
    let mut cased = false;
    for c in text.chars() {
        if c.is_lowercase() || is_title(c) {
            return false;
        }
        cased |= c.is_uppercase();
    }
    cased
}

/// Emoji and pictographs, without the skin tones that only modify one.
pub(crate) fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// The straight and the typographic apostrophe.
pub(crate) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// `Alphabetic` in Unicode, but neither a letter nor a number: marks, and letters in circles or squares.
fn is_odd_alphabetic(c: char) -> bool {
    matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}')
        || is_combining_mark(c)
}

/// General category Lt.
fn is_title(c: char) -> bool {
    matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}
