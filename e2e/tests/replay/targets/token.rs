//! A text as an access token, as an API key and as a header: what is not ours is not believed.

use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use mesh_identity::{TokenError, token::MAX_TOKEN_BYTES};
use quipu_auth::parsers::{api_key, format_api_key};
use quipu_gateway::parsers::credentials;

use super::issuer::ISSUER;

/// An access token, an API key and an `Authorization` header of any text.
pub(crate) fn token(data: &[u8]) {
    header(data);
    let Ok(text) = str::from_utf8(data) else { return };
    access_token(text);
    if let Some((id, secret)) = api_key(text) {
        assert_eq!(format_api_key(id, secret), text, "one spelling");
        assert!(id.len() == 22 && secret.len() == 43);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    }
}

/// Only the one signature of our key is believed, and the second verdict (from memory) is the first.
fn access_token(text: &str) {
    let verdict = ISSUER.verify(text);
    assert_eq!(ISSUER.verify(text), verdict);
    match verdict {
        Ok(_) => {
            let (signed, signature) = text.rsplit_once('.').expect("a signature");
            assert_eq!(ISSUER.signature(signed), signature, "a forged or bent signature");
            assert!(text.len() <= MAX_TOKEN_BYTES);
            assert!(ISSUER.verify_elsewhere(text).is_err(), "for another audience");
        }
        Err(TokenError::Invalid(reason)) => {
            assert!(reason.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason}");
            assert!(text.len() <= MAX_TOKEN_BYTES || reason == "too_long");
        }
        Err(other) => panic!("nothing is revoked and the keys are there: {other}"),
    }
}

/// What is taken from a header is what stands in it.
fn header(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.clone());
    match credentials(&headers) {
        Ok(Some((is_key, shown))) => {
            let (scheme, rest) = data.split_at(7);
            assert!(scheme.eq_ignore_ascii_case(b"bearer ") && shown.as_bytes() == rest);
            assert!(shown.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b)));
            assert_eq!(is_key, shown.starts_with("qp_"));
        }
        Ok(None) => panic!("there is a header"),
        Err(status) => assert_eq!(status, StatusCode::UNAUTHORIZED),
    }
    headers.append("x-api-key", value);
    assert_eq!(credentials(&headers).err(), Some(StatusCode::BAD_REQUEST));
}
