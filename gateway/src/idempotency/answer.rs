//! The kept answer: sealed with AES-256-GCM under a key that only the caller can derive.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, RandomizedNonceKey, UnboundKey};
use axum::{body::Body, response::Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use mesh_error::Error;
use serde::{Deserialize, Serialize};

use super::key::Slot;

/// Marks an answer that was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Seals an answer; the fingerprint of the request is bound to it.
pub(crate) fn seal(
    slot: &Slot,
    fingerprint: &[u8; 32],
    parts: &http::response::Parts,
    body: &[u8],
) -> Result<Vec<u8>, Error> {
    let headers = [CONTENT_TYPE, LOCATION]
        .iter()
        .filter_map(|name| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned())))
        .collect();
    let kept = Kept { status: parts.status.as_u16(), headers, body: BASE64_STANDARD.encode(body) };
    let mut sealed = serde_json::to_vec(&kept).map_err(Error::internal)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, &slot.sealing).map_err(Error::internal)?;
    let nonce = key.seal_in_place_append_tag(Aad::from(fingerprint), &mut sealed).map_err(Error::internal)?;
    sealed.extend_from_slice(nonce.as_ref());
    Ok(sealed)
}

/// The answer again, byte for byte.
pub(crate) fn open(slot: &Slot, fingerprint: &[u8; 32], mut sealed: Vec<u8>) -> Result<Response, Error> {
    let broken = || Error::internal("a kept answer cannot be opened");
    let at = sealed.len().checked_sub(NONCE_LEN).ok_or_else(broken)?;
    let nonce = Nonce::try_assume_unique_for_key(&sealed.split_off(at)).map_err(Error::internal)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &slot.sealing).map_err(Error::internal)?);
    let plain = key.open_in_place(nonce, Aad::from(fingerprint), &mut sealed).map_err(Error::internal)?;
    let kept: Kept = serde_json::from_slice(plain).map_err(Error::internal)?;
    let body = BASE64_STANDARD.decode(kept.body).map_err(Error::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
    for (name, value) in kept.headers {
        let name = HeaderName::try_from(name).map_err(Error::internal)?;
        response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn parts() -> http::response::Parts {
        http::Response::builder()
            .status(201)
            .header(CONTENT_TYPE, "application/json")
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[tokio::test]
    async fn an_answer_comes_back_byte_for_byte_and_only_to_who_knows_the_key() {
        let slot = Slot::derive("key", "user:1", "POST /a").unwrap();
        let body = b"{\"secret\":\"qp_canary\"}";
        let sealed = seal(&slot, &[7; 32], &parts(), body).unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"canary"), "nothing is stored in clear");

        let response = open(&slot, &[7; 32], sealed.clone()).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()[REPLAYED], "true");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), &body[..]);

        let other = Slot::derive("other", "user:1", "POST /a").unwrap();
        assert!(open(&other, &[7; 32], sealed.clone()).is_err());
        assert!(open(&slot, &[8; 32], sealed).is_err());
        assert!(open(&slot, &[7; 32], vec![1, 2]).is_err());
    }
}
