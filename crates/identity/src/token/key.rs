//! Ed25519 keys: the half that signs and the half that is published.
//!
//! A key is named by its thumbprint (RFC 7638), so a name cannot be given to another key. Private key bytes are held
//! by aws-lc, which clears them when they are dropped, and leave it only as cleared-on-drop text.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::{Claims, jws};

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A key or a set of keys that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one `PRIVATE KEY` block of PEM.
    #[error("not one PEM block PRIVATE KEY")]
    Pem,
    /// Not a PKCS#8 Ed25519 key.
    #[error("not a PKCS#8 Ed25519 private key")]
    Private,
    /// Not a point that a fair key can be.
    #[error("not an Ed25519 public key, or one of small order")]
    Public,
    /// A JWK set breaks the rule named.
    #[error("not a JWK set of Ed25519 signing keys: {0}")]
    Jwks(&'static str),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

impl From<KeyError> for mesh_error::Error {
    fn from(error: KeyError) -> Self {
        Self::internal(error)
    }
}

/// Signs tokens.
#[derive(Clone)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| KeyError::Library)?)
    }

    /// Reads PKCS#8, version 1 or 2.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::of(Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::Private)?)
    }

    /// Reads exactly one PEM block `PRIVATE KEY`.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem
            .trim()
            .strip_prefix(PEM_BEGIN)
            .and_then(|rest| rest.strip_suffix(PEM_END))
            .ok_or(KeyError::Pem)?;
        let mut packed = Zeroizing::new(String::with_capacity(body.len()));
        packed.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
        let der = Zeroizing::new(STANDARD.decode(packed.as_bytes()).map_err(|_| KeyError::Pem)?);
        Self::from_pkcs8_der(&der)
    }

    /// PKCS#8 version 1 in PEM, as OpenSSL writes it.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::Library)?;
        let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
        // An Ed25519 key fills one line exactly: 48 bytes, 64 characters.
        let mut pem = Zeroizing::new(String::with_capacity(PEM_BEGIN.len() + body.len() + PEM_END.len() + 3));
        for line in [PEM_BEGIN, &body, PEM_END] {
            pem.push_str(line);
            pem.push('\n');
        }
        Ok(pem)
    }

    /// Its name: the thumbprint of its public half.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The token that says `claims`, as they are given: an issuer's mistake is found by the verifier.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let mut token = jws::signing_input(self.kid(), &claims.to_json());
        let signature = self.pair.try_sign(token.as_bytes()).map_err(|_| KeyError::Library)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let x = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Library)?;
        Ok(Self { public: PublicKey::new(x)?, pair })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

/// Verifies tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    x: [u8; 32],
}

impl PublicKey {
    /// From the encoded point of RFC 8032 §5.1.2. Refuses coordinates that are not reduced and the points of small
    /// order, for which a signature proves nothing.
    pub fn new(x: [u8; 32]) -> Result<Self, KeyError> {
        if is_weak(&x) {
            return Err(KeyError::Public);
        }
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(x));
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()));
        Ok(Self { kid, x })
    }

    /// Its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The encoded point.
    #[must_use]
    pub fn x(&self) -> &[u8; 32] {
        &self.x
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.x).verify(message, signature).is_ok()
    }
}

/// y of the two pairs of points of order 8, little endian; those of order 1, 2 and 4 have y = 1, -1 and 0.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

fn is_weak(x: &[u8; 32]) -> bool {
    let mut y = *x;
    y[31] &= 0x7f; // the sign of x
    let [low, middle @ .., high] = y;
    let top = high == 0x7f && middle.iter().all(|b| *b == 0xff) && low >= 0xec; // p - 1 = 2^255 - 20 and above
    let bottom = high == 0 && middle.iter().all(|b| *b == 0) && low <= 1;
    top || bottom || ORDER_8.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a() {
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey::new(x.try_into().unwrap()).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_survives_being_written_and_read() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pkcs8_pem().unwrap();
        assert!(pem.lines().all(|line| line.len() <= 64), "{}", pem.lines().count());
        assert_eq!(SigningKey::from_pkcs8_pem(&pem).unwrap().public(), key.public());
        assert_eq!(SigningKey::from_pkcs8_pem(&pem.replace('\n', "\r\n")).unwrap().kid(), key.kid());
        assert_ne!(SigningKey::generate().unwrap().kid(), key.kid());
    }

    #[test]
    fn what_is_not_one_private_key_is_refused() {
        let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap();
        let certificate = pem.replace("PRIVATE KEY", "CERTIFICATE");
        let twice = format!("{}{}", *pem, *pem);
        for bad in ["", "x", &certificate, &twice, &pem.replace("MC4", "MC5!")] {
            assert_eq!(SigningKey::from_pkcs8_pem(bad).unwrap_err(), KeyError::Pem, "{bad}");
        }
        let x25519 = pem.replace("K2Vw", "K2Vu");
        assert_eq!(SigningKey::from_pkcs8_pem(&x25519).unwrap_err(), KeyError::Private);
        assert_eq!(SigningKey::from_pkcs8_der(&[0x30, 0]).unwrap_err(), KeyError::Private);
    }

    #[test]
    fn debug_shows_no_private_key() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.kid()));
    }

    #[test]
    fn points_of_small_order_and_unreduced_ones_are_no_keys() {
        let mut weak = ORDER_8.to_vec();
        for low in [0, 1] {
            weak.push([0; 32].map(|b: u8| b));
            weak.last_mut().unwrap()[0] = low;
        }
        for low in 0xec..=0xff {
            weak.push([0xff; 32]);
            let last = weak.last_mut().unwrap();
            (last[0], last[31]) = (low, 0x7f);
        }
        for y in weak {
            for sign in [0, 0x80] {
                let mut x = y;
                x[31] |= sign;
                assert_eq!(PublicKey::new(x).unwrap_err(), KeyError::Public, "{x:?}");
            }
        }
        let mut fair = [0; 32];
        fair[0] = 2;
        assert!(PublicKey::new(fair).is_ok());
    }

    /// Why the refusal matters: the library itself takes such a key, for which anybody can sign.
    #[test]
    fn a_key_of_small_order_would_let_anybody_sign() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1; // R is the identity, S = 0
        assert!(PublicKey { kid: String::new(), x: identity }.verify(b"anything", &forged));
    }
}
