//! The published set of keys (RFC 7517, RFC 8037): written by the issuer, read strictly by verifiers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{KeyError, PublicKey, json};

const MAX_KEYS: usize = 16;
const MAX_BYTES: usize = 16 * 1024;

/// Between 1 and 16 different keys, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks(Vec<PublicKey>);

impl Jwks {
    /// A set. An empty one is refused: it would be believed, and would lock everybody out.
    pub fn new(mut keys: Vec<PublicKey>) -> Result<Self, KeyError> {
        keys.sort_by(|a, b| a.kid().cmp(b.kid()));
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(KeyError::Jwks("between 1 and 16 keys"));
        }
        if keys.windows(2).any(|pair| matches!(pair, [a, b] if a.kid() == b.kid())) {
            return Err(KeyError::Jwks("a key is there twice"));
        }
        Ok(Self(keys))
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// The key of this name.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.kid() == kid)
    }

    /// The JSON document to publish.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keys: Vec<Value> = self
            .0
            .iter()
            .map(|key| {
                json!({
                    "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                    "kid": key.kid(), "x": URL_SAFE_NO_PAD.encode(key.x()),
                })
            })
            .collect();
        json!({ "keys": keys }).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) writes and nothing else: a set with one bad key, with a foreign kind of
    /// key or with a private member is refused whole, because our issuer makes none.
    pub fn from_json(document: &str) -> Result<Self, KeyError> {
        if document.len() > MAX_BYTES {
            return Err(KeyError::Jwks("too long"));
        }
        let mut members =
            json::object(document.as_bytes()).map_err(|_| KeyError::Jwks("not a strict JSON object"))?;
        let Some(Value::Array(keys)) = members.remove("keys") else {
            return Err(KeyError::Jwks("no array `keys`"));
        };
        if !members.is_empty() {
            return Err(KeyError::Jwks("an unknown member"));
        }
        Self::new(keys.iter().map(jwk).collect::<Result<_, _>>()?)
    }
}

fn jwk(value: &Value) -> Result<PublicKey, KeyError> {
    let members = value.as_object().ok_or(KeyError::Jwks("a key is not an object"))?;
    if members.keys().any(|name| !["kty", "crv", "alg", "use", "kid", "x"].contains(&name.as_str())) {
        return Err(KeyError::Jwks("a key has an unknown member"));
    }
    let is = |name: &str, expected: &str| text(members, name) == Some(expected);
    if !is("kty", "OKP") || !is("crv", "Ed25519") || !is("alg", "EdDSA") || !is("use", "sig") {
        return Err(KeyError::Jwks("a key is not for Ed25519 signatures"));
    }
    let x = text(members, "x")
        .and_then(|x| URL_SAFE_NO_PAD.decode(x).ok())
        .and_then(|x| x.try_into().ok())
        .ok_or(KeyError::Jwks("`x` is not 32 bytes in base64url"))?;
    let key = PublicKey::new(x)?;
    if !is("kid", key.kid()) {
        return Err(KeyError::Jwks("`kid` is not the thumbprint"));
    }
    Ok(key)
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::SigningKey;

    fn keys(count: usize) -> Vec<PublicKey> {
        (0..count).map(|_| SigningKey::generate().unwrap().public().clone()).collect()
    }

    #[test]
    fn a_set_survives_being_written_and_read() {
        for count in [1, 2, MAX_KEYS] {
            let set = Jwks::new(keys(count)).unwrap();
            assert_eq!(Jwks::from_json(&set.to_json()).unwrap(), set);
            assert_eq!(set.keys().len(), count);
            assert!(set.keys().iter().all(|key| set.get(key.kid()) == Some(key)));
            assert!(set.get("other").is_none());
        }
    }

    #[test]
    fn a_set_has_between_one_and_sixteen_different_keys() {
        assert!(Jwks::new(vec![]).is_err());
        assert!(Jwks::new(keys(MAX_KEYS + 1)).is_err());
        let one = keys(1);
        assert!(Jwks::new([one.clone(), one].concat()).is_err());
    }

    #[test]
    fn only_ed25519_signing_keys_are_read() {
        let good = Jwks::new(keys(1)).unwrap();
        let text = good.to_json();
        let x = URL_SAFE_NO_PAD.encode(good.keys()[0].x());
        let kid = good.keys()[0].kid().to_owned();
        let other = SigningKey::generate().unwrap();
        let swap = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            changed
        };
        for bad in [
            swap("OKP", "RSA"),
            swap("OKP", "oct"),
            swap("Ed25519", "X25519"),
            swap("EdDSA", "HS256"),
            swap("\"sig\"", "\"enc\""),
            swap("\"sig\"", "1"),
            swap("\"use\":\"sig\",", ""),
            swap("\"kty\":\"OKP\"", "\"kty\":\"OKP\",\"d\":\"AA\""),
            swap("\"kty\":\"OKP\"", "\"kty\":\"OKP\",\"kty\":\"OKP\""),
            swap("\"kty\":\"OKP\"", "\"kty\":\"OKP\",\"k\":\"AA\""),
            swap(&kid, other.kid()),
            swap(&kid, "a"),
            swap(&x, &URL_SAFE_NO_PAD.encode(other.public().x())),
            swap(&x, &x[1..]),
            swap(&x, &format!("{x}=")),
            swap(&x, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            swap("]", ",1]"),
            swap("{\"keys\"", "{\"other\":1,\"keys\""),
            swap("keys", "Keys"),
            "{\"keys\":{}}".to_owned(),
            "{\"keys\":[]}".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            format!("{text}x"),
            format!("{}{text}", " ".repeat(MAX_BYTES)),
        ] {
            assert!(Jwks::from_json(&bad).is_err(), "{bad}");
            assert_eq!(Jwks::from_json(&text).unwrap(), good);
        }
    }
}
