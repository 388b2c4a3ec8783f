//! E-mail addresses as the names of accounts.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// An address in its one form: NFC, lower case.
///
/// Accepted is what mail systems deliver to in practice: `dot-atom@domain` of RFC 5322 with the letters of RFC 6531, at
/// most 254 bytes (RFC 5321, erratum 1690). Quoted local parts, comments and address literals are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be an e-mail address such as ana@example.com";
        if text.len() > 1_024 {
            return Err("must have at most 254 characters".to_owned());
        }
        let lower = text.nfc().collect::<String>().to_lowercase().nfc().collect::<String>();
        if lower.len() > 254 {
            return Err("must have at most 254 characters".to_owned());
        }
        let (local, domain) = lower.split_once('@').ok_or(FORM)?;
        if is_local(local) && is_domain(domain) { Ok(Self(lower)) } else { Err(FORM.to_owned()) }
    }

    /// The address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub(crate) fn local(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_local(local: &str) -> bool {
    (1..=64).contains(&local.len())
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

fn is_atom_char(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_alphanumeric())
    };
    domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && !domain.rsplit('.').next().unwrap_or_default().chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_in_every_spelling() {
        let one = Email::parse("jose\u{301}@example.com").unwrap();
        for other in ["JOSÉ@EXAMPLE.COM", "josé@Example.com", "Jose\u{301}@example.COM"] {
            assert_eq!(Email::parse(other).unwrap(), one, "{other}");
        }
    }

    #[test]
    fn usual_forms_are_accepted() {
        for good in [
            "a@b.co",
            "first.last+tag@sub.example.com",
            "o'hara@example.org",
            "用户@例子.广告",
            "x@xn--bcher-kva.example",
        ] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn odd_forms_are_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let huge = format!("a@{}.com", "b.".repeat(150));
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a@@b.co",
            "a@b@c.co",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.co",
            "a b@c.co",
            " a@b.co",
            "a@b.co ",
            "a@-b.co",
            "a@b-.co",
            "a@b..co",
            "a@.b.co",
            "a@b.co.",
            "\"a b\"@c.co",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a\0@b.co",
            "a\n@b.co",
            "a\u{200b}@b.co",
            "a\u{202e}@b.co",
            "a(c)@b.co",
            "a,b@c.co",
            &long,
            &huge,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }
}
