//! Text from outside, made harmless for whoever reads the log.

use std::fmt::Write as _;

/// The longest text from outside that a log line carries, in characters.
const MAX_CHARS: usize = 256;

/// Whether a character can forge a line, colour a terminal or reorder what is shown.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Escapes line breaks, control characters and directional overrides, and shortens what is too long.
#[must_use]
pub fn neutralise(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_CHARS));
    for (n, c) in text.chars().enumerate() {
        if n == MAX_CHARS {
            out.push('…');
            break;
        }
        if is_hostile(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:04x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        for hostile in
            ["a\r\nb", "a\u{1b}[31mb", "a\u{2028}b", "a\u{0}b", "a\u{202e}b", "a\u{9b}b", "a\u{7f}b"]
        {
            let safe = neutralise(hostile);
            assert!(!safe.chars().any(is_hostile), "{safe:?}");
            assert!(safe.starts_with("a\\u{") && safe.ends_with('b'), "{safe:?}");
        }
    }

    #[test]
    fn ordinary_text_stays() {
        assert_eq!(neutralise("Žofie 👩‍🚀 <a@b.example>"), "Žofie 👩‍🚀 <a@b.example>");
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(neutralise(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 1);
    }
}
