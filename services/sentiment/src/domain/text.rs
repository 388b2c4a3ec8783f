//! A text that may be analysed: the limits of the contract, checked once.

use std::fmt;
use std::sync::Arc;

/// Longest text, in Unicode code points.
pub const MAX_CHARS: usize = 10_000;
/// Most texts in one batch.
pub const MAX_BATCH: usize = 256;
/// Most bytes of all texts of one batch together: a batch is one job, so its size bounds how long a worker is held.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

/// A text of 1 to [`MAX_CHARS`] characters. Cheap to clone, so that it can travel to a worker thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Arc<str>);

/// Why a text cannot be analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// It holds no character.
    Empty,
    /// It holds more than [`MAX_CHARS`] characters.
    TooLong,
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "must hold at least 1 character"),
            Self::TooLong => write!(f, "must hold at most {MAX_CHARS} characters"),
        }
    }
}

impl std::error::Error for TextFault {}

impl Text {
    /// Checks the limits. Any Unicode is accepted: what is not a word simply has no weight.
    ///
    /// # Errors
    /// [`TextFault`] when the text is empty or too long.
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        if text.is_empty() {
            return Err(TextFault::Empty);
        }
        // A code point has 4 bytes at most: the long count is skipped where the byte length decides alone.
        if text.len() > MAX_CHARS && (text.len() > 4 * MAX_CHARS || text.chars().count() > MAX_CHARS) {
            return Err(TextFault::TooLong);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_characters_and_exact() {
        assert_eq!(Text::parse(""), Err(TextFault::Empty));
        assert!(Text::parse(" ").is_ok());
        for unit in ["a", "é", "€", "😀"] {
            assert!(Text::parse(&unit.repeat(MAX_CHARS)).is_ok(), "{unit}");
            assert_eq!(Text::parse(&unit.repeat(MAX_CHARS + 1)), Err(TextFault::TooLong), "{unit}");
        }
    }
}
