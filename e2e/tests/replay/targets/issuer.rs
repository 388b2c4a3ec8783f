//! An issuer with a fixed key and a clock that stands, and the verifier that believes it.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mesh_error::BoxError;
use mesh_identity::{Claims, Jwks, KeySource, Profile, Revocations, SigningKey, TokenError, TokenVerifier};
use tokio::runtime::{Builder, Runtime};

/// When everything plays: seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;
/// PKCS#8 version 1 around an Ed25519 seed.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The one issuer of all inputs.
pub(super) static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::new);

pub(super) struct Issuer {
    pub(super) key: SigningKey,
    pair: Ed25519KeyPair,
    verifier: TokenVerifier,
    /// For another audience, with the same key.
    stranger: TokenVerifier,
    runtime: Runtime,
}

impl Issuer {
    fn new() -> Self {
        let pkcs8 = [&PKCS8[..], &[42; 32]].concat();
        let key = SigningKey::from_pkcs8_der(&pkcs8).expect("the fixed key");
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).expect("the fixed key");
        let verifier = |audience: &str| {
            let profile = Profile { audience: audience.to_owned(), ..Profile::default() };
            let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(NOW));
            TokenVerifier::with_clock(profile, Arc::new(Keys(key.clone())), Revocations::local(), clock)
        };
        let (verifier, stranger) = (verifier("quipu"), verifier("elsewhere"));
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { key, pair, verifier, stranger, runtime }
    }

    pub(super) fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        self.runtime.block_on(self.verifier.verify(token))
    }

    /// As [`Issuer::verify`], by a service that the token is not for.
    pub(super) fn verify_elsewhere(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        self.runtime.block_on(self.stranger.verify(token))
    }

    /// The signature of a text as it stands in a token; Ed25519 has exactly one.
    pub(super) fn signature(&self, signed: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()))
    }

    /// A token of any header and payload, rightly signed.
    pub(super) fn signed(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        format!("{signed}.{}", self.signature(&signed))
    }

    /// The header that is right.
    pub(super) fn header(&self) -> Vec<u8> {
        format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}}"#, self.key.kid()).into_bytes()
    }
}

struct Keys(SigningKey);

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<Jwks, BoxError> {
        Ok(Jwks::new(vec![self.0.public().clone()])?)
    }
}
