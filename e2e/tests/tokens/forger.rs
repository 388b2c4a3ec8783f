//! Forges tokens with the mesh's own signing key, so that nothing but the one thing that is wrong with a token can be the
//! reason for its refusal.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use mesh_identity::{
    Jwks, KeySource, Profile, PublicKey, Revocations, SigningKey, TokenError, TokenVerifier,
};
use serde_json::{Map, Value, json};

/// Who has the key of the mesh and a good token of a user.
pub(crate) struct Forger {
    pair: Ed25519KeyPair,
    pub(crate) public: PublicKey,
    /// The good token.
    pub(crate) good: String,
    /// What the good token says.
    pub(crate) claims: Map<String, Value>,
}

impl Forger {
    /// With the one key in the folder of `auth`, and what a good token says.
    pub(crate) fn new(keys: &Path, good: &str) -> Self {
        let file = keys.read_dir().unwrap().next().unwrap().unwrap().path();
        let pem = std::fs::read_to_string(file).unwrap();
        let claims = decoded(good.split('.').nth(1).unwrap());
        let Value::Object(claims) = serde_json::from_slice(&claims).unwrap() else { panic!("no claims") };
        Self { pair: pair(&pem), public: public(&pem), good: good.to_owned(), claims }
    }

    /// What every good header says.
    pub(crate) fn header(&self) -> Map<String, Value> {
        let Value::Object(header) = json!({"alg": "EdDSA", "kid": self.public.kid(), "typ": "at+jwt"}) else {
            panic!("no header")
        };
        header
    }

    /// Any two texts, signed.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let signature = self.signature(&signed);
        format!("{signed}.{}", encoded(signature))
    }

    /// The key's signature over anything.
    pub(crate) fn signature(&self, signed: impl AsRef<[u8]>) -> Vec<u8> {
        self.pair.sign(signed.as_ref()).as_ref().to_vec()
    }

    /// A token with members of the header set; `null` through [`Forger::sign`] only, for here it removes.
    pub(crate) fn with_header(&self, members: &Value) -> String {
        self.sign(Value::Object(merged(self.header(), members)).to_string(), self.payload())
    }

    /// A token with claims set or, by `null`, removed.
    pub(crate) fn with_claims(&self, members: &Value) -> String {
        self.with_payload(Value::Object(merged(self.claims.clone(), members)).to_string())
    }

    /// A token with any payload.
    pub(crate) fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        self.sign(self.header_text(), payload)
    }

    /// A token with a claim whose JSON is written as it is given.
    pub(crate) fn with_raw_claim(&self, name: &str, json: &str) -> String {
        let rest = Value::Object(merged(self.claims.clone(), &json!({ name: null }))).to_string();
        self.with_payload(format!("{},\"{name}\":{json}}}", &rest[..rest.len() - 1]))
    }

    /// A token with a member of the header whose JSON is written as it is given.
    pub(crate) fn with_raw_header(&self, name: &str, json: &str) -> String {
        let rest = Value::Object(merged(self.header(), &json!({ name: null }))).to_string();
        self.sign(format!("{},\"{name}\":{json}}}", &rest[..rest.len() - 1]), self.payload())
    }

    /// The good payload.
    pub(crate) fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The good header.
    pub(crate) fn header_text(&self) -> String {
        Value::Object(self.header()).to_string()
    }

    /// The time at which the good token was issued.
    pub(crate) fn iat(&self) -> u64 {
        self.claims["iat"].as_u64().unwrap()
    }

    /// A verifier of the mesh's kind and key, in this process.
    pub(crate) fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(Profile::default(), Arc::new(Known(self.public.clone())), Revocations::local())
    }
}

struct Known(PublicKey);

#[async_trait]
impl KeySource for Known {
    async fn fetch(&self) -> Result<Jwks, mesh_error::BoxError> {
        Ok(Jwks::new(vec![self.0.clone()])?)
    }
}

/// Why a verifier refuses a token; `None` when it does not.
pub(crate) async fn reason(verifier: &TokenVerifier, token: &str) -> Option<&'static str> {
    match verifier.verify(token).await {
        Ok(_) => None,
        Err(TokenError::Invalid(reason)) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

/// An unpadded base64url text.
pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Its bytes.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A key pair of a PEM.
pub(crate) fn pair(pem: &str) -> Ed25519KeyPair {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap()
}

fn public(pem: &str) -> PublicKey {
    SigningKey::from_pkcs8_pem(pem).unwrap().public().clone()
}

/// Members set or, by `null`, removed.
pub(crate) fn merged(mut of: Map<String, Value>, members: &Value) -> Map<String, Value> {
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => of.remove(name),
            value => of.insert(name.clone(), value.clone()),
        };
    }
    of
}
