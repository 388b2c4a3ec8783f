//! Which passwords may be chosen, and what of them is hashed.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Email;

/// Fewest characters (NIST SP 800-63B-4 §3.1.1.2, ASVS 6.2.1).
pub(crate) const SHORTEST: usize = 8;
/// Most characters (ASVS 6.2.9 asks for at least 64).
pub(crate) const LONGEST: usize = 128;
/// More bytes than this are not even normalised. The longest canonical decomposition of a character has 12 bytes in UTF-8
/// (U+16D6A; a Hangul syllable has 9).
const MOST_BYTES: usize = 12 * LONGEST;
/// More bytes than this in NFC are never hashed; twice what the longest password can have.
const MOST_HASHED: usize = 1_024;

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with("# ")).collect()
});

/// A password in Unicode NFC, so that it is the same from every keyboard. Nothing is cut off or changed beyond that; wiped
/// from memory when dropped.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// A password that somebody wants to have from now on.
    pub(crate) fn choose(text: &str, owner: Option<&Email>) -> Result<Self, String> {
        let password = Self::attempt(text)?;
        let count = password.0.chars().count();
        if !(SHORTEST..=LONGEST).contains(&count) {
            return Err(format!("must have {SHORTEST} to {LONGEST} characters"));
        }
        let lower = Zeroizing::new(password.0.to_lowercase());
        let is_address = owner.is_some_and(|owner| *lower == owner.as_str() || *lower == owner.local());
        if COMMON.contains(lower.as_str()) || is_address {
            return Err("is one of the commonest passwords, or your own address".to_owned());
        }
        Ok(password)
    }

    /// A password that somebody claims to have: only bounded, since what was once accepted must stay enough.
    pub(crate) fn attempt(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.len() > MOST_BYTES {
            return Err(format!("must have at most {LONGEST} characters"));
        }
        if text.contains('\0') {
            return Err("must not contain the character U+0000".to_owned());
        }
        let normal = Zeroizing::new(text.nfc().collect::<String>());
        if normal.len() > MOST_HASHED {
            return Err(format!("must have at most {LONGEST} characters"));
        }
        Ok(Self(normal))
    }

    /// What is hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<Password, String> {
        Password::choose(text, Some(&Email::parse("somebody.else@example.com").unwrap()))
    }

    #[test]
    fn the_list_holds_at_least_the_3000_commonest() {
        assert!(COMMON.len() >= 3_000, "{}", COMMON.len());
        assert!(COMMON.iter().all(|password| password.chars().count() >= SHORTEST));
        for common in ["password", "12345678", "Password1", "QWERTYUIOP", "iloveyou", "1q2w3e4r5t"] {
            assert!(choose(common).is_err(), "{common}");
        }
    }

    #[test]
    fn every_line_of_the_list_is_refused_in_capitals_too() {
        for common in COMMON.iter() {
            assert!(choose(common).is_err() && choose(&common.to_uppercase()).is_err(), "{common}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        for (text, fits) in [
            ("kq7-vx2".to_owned(), false),
            ("kq7-vx2z".to_owned(), true),
            ("é".repeat(8), true),
            ("🦀".repeat(128), true),
            ("🦀".repeat(129), false),
            ("각".repeat(128), true),
            ("각".repeat(128).nfd().collect(), true),
            ("각".repeat(129).nfd().collect(), false),
            ("x".repeat(1_537), false),
        ] {
            assert_eq!(choose(&text).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn what_can_be_nobodys_password_is_not_hashed() {
        for (text, fits) in
            [("x".repeat(1_024), true), ("x".repeat(1_025), false), ("각".repeat(128).nfd().collect(), true)]
        {
            assert_eq!(Password::attempt(&text).is_ok(), fits, "{} bytes", text.len());
        }
    }

    #[test]
    fn any_unicode_but_nul_and_nothing_is_trimmed() {
        let password = choose(" \ttwo words\r\n").unwrap();
        assert_eq!(password.as_bytes(), b" \ttwo words\r\n");
        assert!(choose("nul\0nul\0nul").is_err());
    }

    #[test]
    fn composed_and_decomposed_are_the_same() {
        assert_eq!(choose("cafe\u{301} noir").unwrap().as_bytes(), choose("café noir").unwrap().as_bytes());
    }

    #[test]
    fn the_own_address_is_refused() {
        assert!(choose("somebody.else@example.com").is_err());
        assert!(choose("Somebody.Else").is_err());
    }
}
