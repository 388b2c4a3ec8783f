//! Refresh tokens: their form, and which of a session's tokens is good.
//!
//! A session has one good token. Using it makes the next one and spends it. The decision record is
//! `docs/adr/0004-refresh-rotation.md`.

use std::fmt;

use chrono::{DateTime, Duration, Utc};

use super::base62;

/// Bytes of a session's id.
pub(crate) const ID_BYTES: usize = 16;
/// Bytes of a token's secret.
pub(crate) const SECRET_BYTES: usize = 32;
/// Bytes of the mark by which we know our own tokens.
pub(crate) const MARK_BYTES: usize = 16;

const PREFIX: &str = "qr_";

/// A refresh token taken apart: `qr_<session id>_<secret><mark>`.
#[derive(PartialEq, Eq)]
pub(crate) struct ParsedToken<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) mark: &'a str,
}

/// Shows the session only.
impl fmt::Debug for ParsedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedToken").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// Puts a token together.
pub(crate) fn format(session_id: &str, secret: &str, mark: &str) -> String {
    format!("{PREFIX}{session_id}_{secret}{mark}")
}

/// Takes a token apart; none when it cannot be one of ours.
pub(crate) fn parse(token: &str) -> Option<ParsedToken<'_>> {
    let (session_id, rest) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let (secret, mark) = rest.split_at_checked(base62::length(SECRET_BYTES))?;
    let well_formed = base62::is_valid(session_id, base62::length(ID_BYTES))
        && base62::is_valid(secret, base62::length(SECRET_BYTES))
        && base62::is_valid(mark, base62::length(MARK_BYTES));
    well_formed.then_some(ParsedToken { session_id, secret, mark })
}

/// What a session remembers of its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// Hash of the good token.
    pub(crate) current: Vec<u8>,
    /// Hash of the one before it.
    pub(crate) previous: Option<Vec<u8>>,
    /// When that one was spent.
    pub(crate) rotated_at: Option<DateTime<Utc>>,
    /// When the session ends unless refreshed.
    pub(crate) expires_at: DateTime<Utc>,
}

/// What to do about a genuine token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The good one: spend it.
    Rotate,
    /// The one before, within the grace: its answer was lost, give the same next token again.
    Replay,
    /// The session is over.
    Expired,
    /// Spent longer ago: somebody has a copy, and nobody can tell who is the thief.
    Reused,
}

impl Chain {
    /// Judges the token with this hash. Hashes of secrets with 256 random bits need no comparison in constant time.
    pub(crate) fn judge(&self, hash: &[u8], now: DateTime<Utc>, grace: Duration) -> Verdict {
        if now >= self.expires_at {
            return Verdict::Expired;
        }
        if self.current == hash {
            return Verdict::Rotate;
        }
        let is_previous = self.previous.as_deref() == Some(hash);
        let in_grace = self.rotated_at.is_some_and(|rotated_at| now - rotated_at <= grace);
        if is_previous && in_grace { Verdict::Replay } else { Verdict::Reused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn judge(hash: &[u8], seconds: i64) -> Verdict {
        let chain = Chain {
            current: b"now".to_vec(),
            previous: Some(b"before".to_vec()),
            rotated_at: Some(at(0)),
            expires_at: at(1_000),
        };
        chain.judge(hash, at(seconds), Duration::seconds(10))
    }

    #[test]
    fn only_the_current_token_rotates() {
        assert_eq!(judge(b"now", 500), Verdict::Rotate);
    }

    #[test]
    fn the_direct_predecessor_has_ten_seconds() {
        assert_eq!(judge(b"before", 10), Verdict::Replay);
        assert_eq!(judge(b"before", 11), Verdict::Reused);
    }

    #[test]
    fn anything_older_is_reuse_even_at_once() {
        assert_eq!(judge(b"two before", 0), Verdict::Reused);
    }

    #[test]
    fn an_ended_session_stays_ended() {
        for hash in [&b"now"[..], b"before", b"two before"] {
            assert_eq!(judge(hash, 1_000), Verdict::Expired);
        }
    }

    #[test]
    fn a_new_session_has_no_predecessor() {
        let chain = Chain { current: b"now".to_vec(), previous: None, rotated_at: None, expires_at: at(9) };
        assert_eq!(chain.judge(b"", at(0), Duration::seconds(10)), Verdict::Reused);
    }

    #[test]
    fn a_token_comes_apart_as_it_was_put_together() {
        let [id, secret, mark] =
            [ID_BYTES, SECRET_BYTES, MARK_BYTES].map(|bytes| base62::encode(&vec![5; bytes]));
        let token = format(&id, &secret, &mark);
        assert_eq!(parse(&token), Some(ParsedToken { session_id: &id, secret: &secret, mark: &mark }));
        for bad in [
            "",
            "qr_",
            "qr__",
            &token[1..],
            &token[..token.len() - 1],
            &format!("{token}x"),
            &token.replace("qr", "qp"),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
