//! The compact form of a signed token: `header.payload.signature` (RFC 7515 §7.1), of which exactly one spelling is
//! accepted.
//!
//! The caller has bounded its length, so everything before the signature is cheap. The header says nothing that is acted
//! on but the `kid`, and that only picks a key that the verifier already trusts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{json, json::Fault};

/// A `kid` is an RFC 7638 thumbprint: SHA-256 in base64url.
const KID_BYTES: usize = 43;

/// A token in its parts; the signature is not checked yet.
pub(super) struct Compact<'a> {
    /// Names the key.
    pub(super) kid: String,
    /// What was signed.
    pub(super) signed: &'a [u8],
    /// By it.
    pub(super) signature: [u8; 64],
    payload: &'a str,
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, &'static str> {
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err("segments");
        };
        let kid = header_kid(&decode(header).ok_or("header_encoding")?)?;
        let signature = decode(signature).and_then(|s| s.try_into().ok()).ok_or("signature_form")?;
        let signed = token.as_bytes().get(..header.len() + 1 + payload.len()).ok_or("segments")?;
        Ok(Self { kid, signed, signature, payload })
    }

    /// The payload's bytes; to be asked for only when the signature holds.
    pub(super) fn payload(&self) -> Result<Vec<u8>, &'static str> {
        decode(self.payload).ok_or("claims_encoding")
    }
}

/// What [`Compact::parse`] takes apart, up to the signature.
pub(super) fn signing_input(kid: &str, payload: &str) -> String {
    let header = serde_json::json!({ "alg": "EdDSA", "kid": kid, "typ": "at+jwt" }).to_string();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

/// Alphabet, no padding, no spaces, and no bits set after the end: one text per value.
fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// Exactly `alg`, `typ` and `kid`, so `crit`, `b64`, `zip`, `cty`, `jku`, `jwk`, `x5u`, `x5c` and all yet to be
/// invented are refused unread. `typ` is compared as it is written by our own issuer; RFC 9068 §4 would also take
/// `application/at+jwt` in any case.
fn header_kid(header: &[u8]) -> Result<String, &'static str> {
    let members = json::object(header).map_err(|fault| match fault {
        Fault::Malformed => "header_malformed",
        Fault::Duplicate => "header_duplicate",
        Fault::Deep => "header_deep",
        Fault::NotAnObject => "header_not_an_object",
    })?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("alg") != Some("EdDSA") {
        return Err("alg");
    }
    if text("typ") != Some("at+jwt") {
        return Err("typ");
    }
    let kid = text("kid").filter(|kid| is_kid(kid)).ok_or("kid_form")?;
    if members.len() != 3 {
        return Err("header_member");
    }
    Ok(kid.to_owned())
}

fn is_kid(kid: &str) -> bool {
    kid.len() == KID_BYTES && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
