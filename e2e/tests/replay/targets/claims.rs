//! Header and payload of a token that is rightly signed: what lies behind the signature check.

use mesh_identity::{Claims, TokenError};
use serde_json::{Map, Value};

use super::{
    issuer::{ISSUER, NOW},
    unique,
};

/// A header, a line end and a payload; without a line end a payload under the right header.
pub(crate) fn claims(data: &[u8]) {
    let sound = ISSUER.header();
    let (header, payload) = match data.iter().position(|b| *b == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&sound[..], data),
    };
    match ISSUER.verify(&ISSUER.signed(header, payload)) {
        Ok(claims) => {
            check_header(header);
            check_payload(payload, &claims);
            comes_back(&claims);
        }
        Err(TokenError::Invalid(reason)) => assert_ne!(reason, "signature", "it is signed"),
        Err(other) => panic!("nothing is revoked and the keys are there: {other}"),
    }
}

/// Exactly the three members, once each.
fn check_header(header: &[u8]) {
    let members: Map<String, Value> = serde_json::from_slice(header).expect("an object");
    assert_eq!(unique::depth(header), Some(1));
    assert_eq!(members.len(), 3);
    assert_eq!(members["alg"], "EdDSA");
    assert_eq!(members["typ"], "at+jwt");
    assert_eq!(members["kid"], ISSUER.key.kid());
}

/// What the claims say stands in the payload, is for us, and is good now.
fn check_payload(payload: &[u8], claims: &Claims) {
    assert!(unique::depth(payload).is_some_and(|depth| depth <= 8), "a member twice, or too deep");
    let members: Map<String, Value> = serde_json::from_slice(payload).expect("an object");
    for (name, value) in [
        ("iss", &claims.iss),
        ("sub", &claims.sub),
        ("aud", &claims.aud),
        ("jti", &claims.jti),
        ("sid", &claims.sid),
    ] {
        assert_eq!(members[name], **value, "{name}");
    }
    for (name, value) in [("exp", claims.exp), ("iat", claims.iat), ("nbf", claims.nbf)] {
        assert_eq!(members[name], value, "{name}");
    }
    assert_eq!(members.get("client_id").and_then(Value::as_str), claims.client_id.as_deref());
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("https://auth.quipu.local", "quipu"));
    assert!(claims.exp > NOW && claims.exp - claims.iat <= 3600);
    assert!(claims.iat <= NOW + 5 && claims.nbf <= NOW + 5);
    for id in [&claims.sub, &claims.jti, &claims.sid].into_iter().chain(&claims.client_id) {
        assert!((1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()), "{id:?}");
    }
    let words: Vec<_> = members["scope"].as_str().expect("a text").split(' ').collect();
    assert_eq!(claims.scope.len(), if words == [""] { 0 } else { words.len() });
    assert!(claims.scope.is_empty() || words.iter().all(|word| claims.scope.contains(word)));
    assert_eq!(members["roles"].as_array().map(Vec::len), Some(claims.roles.len()));
}

/// What our issuer writes, our verifier reads.
fn comes_back(claims: &Claims) {
    let token = ISSUER.key.sign(claims).expect("it was signed before");
    if token.len() <= mesh_identity::token::MAX_TOKEN_BYTES {
        assert_eq!(ISSUER.verify(&token).as_deref(), Ok(claims));
    }
    assert!(ISSUER.verify_elsewhere(&token).is_err(), "for another audience");
}
