//! What a token says of its owner, and the strict reading of it.
//!
//! Claims are read only by the verifier, from a payload whose signature holds, and written only by
//! [`SigningKey::sign`](super::SigningKey::sign); there is no other way in or out, hence no serde traits.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde_json::{Map, Value, json};

use super::{MAX_ID_BYTES, json, json::Fault};

const MAX_SCOPES: usize = 64;
const MAX_ROLES: usize = 32;
const MAX_WORD_BYTES: usize = 64;

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user.
    pub sub: String,
    /// For whom.
    pub aud: String,
    /// From this second on it is bad.
    pub exp: u64,
    /// When it was issued.
    pub iat: u64,
    /// Before this second it is bad.
    pub nbf: u64,
    /// Its own id.
    pub jti: String,
    /// The session or the API key that it comes from.
    pub sid: String,
    /// What it may be used for.
    pub scope: Scopes,
    /// What its owner is.
    pub roles: Vec<String>,
    /// The program that asked for it, if it said so.
    pub client_id: Option<String>,
}

impl Claims {
    /// Reads the payload of a token. Claims that are not known are ignored (RFC 7519 §4).
    pub(super) fn parse(payload: &[u8]) -> Result<Self, &'static str> {
        let mut members = json::object(payload).map_err(|fault| match fault {
            Fault::Malformed => "claims_malformed",
            Fault::Duplicate => "claims_duplicate",
            Fault::Deep => "claims_deep",
            Fault::NotAnObject => "claims_not_an_object",
        })?;
        Ok(Self {
            iss: string(&mut members, "iss").ok_or("claim_iss")?,
            sub: id(&mut members, "sub").ok_or("claim_sub")?,
            aud: string(&mut members, "aud").ok_or("claim_aud")?,
            exp: seconds(&members, "exp").ok_or("claim_exp")?,
            iat: seconds(&members, "iat").ok_or("claim_iat")?,
            nbf: seconds(&members, "nbf").ok_or("claim_nbf")?,
            jti: id(&mut members, "jti").ok_or("claim_jti")?,
            sid: id(&mut members, "sid").ok_or("claim_sid")?,
            scope: string(&mut members, "scope").and_then(|s| s.parse().ok()).ok_or("claim_scope")?,
            roles: roles(&mut members).ok_or("claim_roles")?,
            client_id: match members.contains_key("client_id") {
                true => Some(id(&mut members, "client_id").ok_or("claim_client_id")?),
                false => None,
            },
        })
    }

    /// The payload of a token.
    pub(super) fn to_json(&self) -> String {
        let mut value = json!({
            "iss": self.iss, "sub": self.sub, "aud": self.aud,
            "exp": self.exp, "iat": self.iat, "nbf": self.nbf,
            "jti": self.jti, "sid": self.sid,
            "scope": self.scope.to_string(), "roles": self.roles,
        });
        if let (Some(client), Some(members)) = (&self.client_id, value.as_object_mut()) {
            members.insert("client_id".to_owned(), json!(client));
        }
        value.to_string()
    }
}

/// A set of scopes, written separated by single spaces (RFC 6749 §3.3). It may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Whether `scope` is in it.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether all scopes of `self` are in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The scopes that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

/// A text is not a list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scopes are up to {MAX_SCOPES} different words of up to {MAX_WORD_BYTES} printable ASCII characters without quotes or backslashes, separated by single spaces"
)]
pub struct InvalidScopes;

impl FromStr for Scopes {
    type Err = InvalidScopes;

    fn from_str(text: &str) -> Result<Self, InvalidScopes> {
        let mut scopes = BTreeSet::new();
        if text.is_empty() {
            return Ok(Self(scopes));
        }
        for word in text.split(' ') {
            if !is_word(word) || scopes.len() == MAX_SCOPES || !scopes.insert(word.to_owned()) {
                return Err(InvalidScopes);
            }
        }
        Ok(Self(scopes))
    }
}

fn string(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Ids stand in logs and in audit records, so they hold nothing that a reader of those could mistake.
fn id(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = string(members, name)?;
    let fits = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(text)
}

/// Whole and not negative: `1.0`, `"1"` and `1e3` are not.
fn seconds(members: &Map<String, Value>, name: &str) -> Option<u64> {
    members.get(name)?.as_u64()
}

fn roles(members: &mut Map<String, Value>) -> Option<Vec<String>> {
    let Value::Array(items) = members.remove("roles")? else { return None };
    if items.len() > MAX_ROLES {
        return None;
    }
    let mut roles = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::String(role) if is_word(&role) && !roles.contains(&role) => roles.push(role),
            _ => return None,
        }
    }
    Some(roles)
}

/// `scope-token` of RFC 6749: printable ASCII but space, `"` and `\`.
fn is_word(word: &str) -> bool {
    (1..=MAX_WORD_BYTES).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_between_single_spaces() {
        let scopes: Scopes = "sentiment:read profile:read".parse().unwrap();
        assert_eq!(scopes.to_string(), "profile:read sentiment:read");
        assert!(scopes.contains("profile:read") && !scopes.contains("profile"));
        assert_eq!("".parse::<Scopes>().unwrap(), Scopes::default());
        let many = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
        assert_eq!(many(MAX_SCOPES).parse::<Scopes>().unwrap().len(), MAX_SCOPES);
        for bad in [
            " ",
            "a  b",
            " a",
            "a ",
            "a\tb",
            "a\nb",
            "a a",
            "a\"b",
            "a\\b",
            "é",
            "a\u{0}",
            &many(MAX_SCOPES + 1),
            &"x".repeat(MAX_WORD_BYTES + 1),
        ] {
            assert_eq!(bad.parse::<Scopes>(), Err(InvalidScopes), "{bad:?}");
        }
    }

    #[test]
    fn sets_of_scopes_compare() {
        let (few, all) = ("a b".parse::<Scopes>().unwrap(), "a b c".parse::<Scopes>().unwrap());
        assert!(few.is_subset(&all) && !all.is_subset(&few));
        assert_eq!(all.intersection(&"b d".parse().unwrap()), "b".parse().unwrap());
        assert_eq!(few.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
