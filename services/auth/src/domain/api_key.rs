//! The form of API keys: `qp_<id>_<secret>_<checksum>`.
//!
//! The prefix lets secret scanners find leaked keys; the checksum lets everybody tell a mistyped or made-up key without
//! asking the database.

use std::fmt;

use super::base62;

/// Random bytes of an id.
pub(crate) const ID_BYTES: usize = 16;
/// Random bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 32;
/// A user may have so many keys at once.
pub(crate) const MOST_KEYS: i64 = 100;

const PREFIX: &str = "qp_";

/// A key taken apart.
#[derive(PartialEq, Eq)]
pub(crate) struct ParsedKey<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

/// Shows the id only.
impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Puts a key together.
pub(crate) fn format(id: &str, secret: &str) -> String {
    let body = format!("{PREFIX}{id}_{secret}");
    let checksum = checksum(&body);
    format!("{body}_{checksum}")
}

/// How a key begins: what its owner recognises it by.
pub(crate) fn prefix(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Takes a key apart; none when it cannot be one of ours.
pub(crate) fn parse(key: &str) -> Option<ParsedKey<'_>> {
    let (body, sum) = key.rsplit_once('_')?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let well_formed = base62::is_valid(id, base62::length(ID_BYTES))
        && base62::is_valid(secret, base62::length(SECRET_BYTES))
        && checksum(body) == sum;
    well_formed.then_some(ParsedKey { id, secret })
}

/// CRC-32 (IEEE) of what stands before it, in base 62.
fn checksum(body: &str) -> String {
    base62::encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        format(&base62::encode(&[7; ID_BYTES]), &base62::encode(&[9; SECRET_BYTES]))
    }

    #[test]
    fn a_key_comes_apart_as_it_was_put_together() {
        let key = key();
        let parsed = parse(&key).unwrap();
        assert_eq!(parsed.id, base62::encode(&[7; ID_BYTES]));
        assert_eq!(parsed.secret, base62::encode(&[9; SECRET_BYTES]));
        assert!(key.starts_with(&prefix(parsed.id)));
    }

    #[test]
    fn every_changed_or_missing_character_is_noticed() {
        let key = key();
        for at in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(parse(&String::from_utf8(changed).unwrap()), None, "position {at}");
            assert_eq!(parse(&format!("{}{}", &key[..at], &key[at + 1..])), None, "without {at}");
        }
    }

    #[test]
    fn junk_is_no_key() {
        for junk in ["", "qp_", "qp___", "qp_a_b_c", "sk_live_1", "qp_é_é_é", "_", "____"] {
            assert_eq!(parse(junk), None, "{junk}");
        }
        assert_eq!(parse(&format!("{} ", key())), None);
        assert_eq!(parse(&key().to_uppercase()), None);
    }
}
