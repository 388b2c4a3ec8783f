//! The header, and what is derived from it.

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac,
};
use http::{HeaderMap, HeaderName};
use mesh_error::Error;

use crate::problem::Failure;

/// The request header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longer keys are refused; a UUID has 36 characters.
const MAX_LENGTH: usize = 255;

/// Where a key is kept, and the secrets that only who knows the key can derive.
pub(crate) struct Slot {
    /// Name in the store; tells nothing of the key.
    pub(crate) id: [u8; 32],
    /// Seals the answer.
    pub(crate) sealing: [u8; 32],
    mac: hmac::Key,
}

impl Slot {
    /// From the key, bound to caller and route. `principal` has no NUL.
    pub(crate) fn derive(key: &str, principal: &str, route: &str) -> Result<Self, Error> {
        let prk = Salt::new(HKDF_SHA256, b"quipu idempotency v1").extract(key.as_bytes());
        let binding = [principal.as_bytes(), b"\0", route.as_bytes()];
        let mut material = [0; 96];
        prk.expand(&binding, Length(material.len()))
            .and_then(|okm| okm.fill(&mut material))
            .map_err(Error::internal)?;
        let (id, rest) = material.split_at(32);
        let (sealing, mac) = rest.split_at(32);
        Ok(Self {
            id: id.try_into().map_err(Error::internal)?,
            sealing: sealing.try_into().map_err(Error::internal)?,
            mac: hmac::Key::new(hmac::HMAC_SHA256, mac),
        })
    }

    /// Of a body: keyed, so that nobody can guess a password from it.
    pub(crate) fn fingerprint(&self, body: &[u8]) -> Result<[u8; 32], Error> {
        hmac::sign(&self.mac, body).as_ref().try_into().map_err(Error::internal)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The key of a request, if it has one. The draft wants a structured string (`"…"`); the bare form that many clients
/// send names the same key.
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let parsed = value.to_str().ok().filter(|_| values.next().is_none()).and_then(parse);
    match parsed {
        Some(key) => Ok(Some(key)),
        None => Err(Failure::bad_request(
            "IDEMPOTENCY_KEY_INVALID",
            "Idempotency-Key must be one string of 1 to 255 visible ASCII characters",
        )),
    }
}

fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unescape(rest.strip_suffix('"')?)?,
        None => text.to_owned(),
    };
    let is_plain = key.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\'));
    (is_plain && (1..=MAX_LENGTH).contains(&key.len())).then_some(key)
}

/// A structured string escapes only `"` and `\`, which no key of ours holds.
fn unescape(inner: &str) -> Option<String> {
    (!inner.contains(['"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        }
        from_headers(&headers)
    }

    #[test]
    fn both_forms_name_the_same_key() {
        assert_eq!(read(&["\"8e03978e-40d5\""]).unwrap().as_deref(), Some("8e03978e-40d5"));
        assert_eq!(read(&["8e03978e-40d5"]).unwrap().as_deref(), Some("8e03978e-40d5"));
        assert_eq!(read(&[]).unwrap(), None);
    }

    #[test]
    fn malformed_keys_are_refused() {
        let long = "x".repeat(256);
        for bad in [
            &["" as &str] as &[&str],
            &["\"\""],
            &["\"a"],
            &["a b"],
            &["a;p=1"],
            &["a", "b"],
            &[&long],
            &["a,b"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert!(read(&[&"x".repeat(255)]).is_ok());
    }

    #[test]
    fn a_slot_is_bound_to_key_principal_and_route() {
        let one = Slot::derive("k", "user:1", "POST /a").unwrap();
        assert_eq!(one.id, Slot::derive("k", "user:1", "POST /a").unwrap().id);
        for other in [("K", "user:1", "POST /a"), ("k", "user:2", "POST /a"), ("k", "user:1", "POST /b")] {
            assert_ne!(one.id, Slot::derive(other.0, other.1, other.2).unwrap().id);
        }
        let foreign = Slot::derive("other", "user:1", "POST /a").unwrap();
        assert_ne!(one.fingerprint(b"x").unwrap(), foreign.fingerprint(b"x").unwrap());
        assert_ne!(one.fingerprint(b"x").unwrap(), one.fingerprint(b"y").unwrap());
    }
}
