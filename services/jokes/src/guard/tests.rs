//! The guards as a whole: streams, corpora, random texts.

mod corpus;
mod fuzz;
mod stream;

use super::{GuardPolicy, Guards};

/// Small, and alike on every machine (Marsaglia's xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

pub(super) fn guards() -> Guards {
    Guards::new(&GuardPolicy::default()).unwrap()
}

/// The lines of a corpus, without comments.
pub(super) fn lines(corpus: &str) -> impl Iterator<Item = &str> {
    corpus.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Decodes `\n`, `\t`, `\\` and `\u{…}`.
pub(super) fn unescaped(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (c, length) = match after.chars().next() {
            Some('n') => ('\n', 1),
            Some('t') => ('\t', 1),
            Some('u') => {
                let end = after.find('}').unwrap();
                (char::from_u32(u32::from_str_radix(&after[2..end], 16).unwrap()).unwrap(), end + 1)
            }
            _ => ('\\', 1),
        };
        out.push(c);
        rest = &after[length..];
    }
    out + rest
}
