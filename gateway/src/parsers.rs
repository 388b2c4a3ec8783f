//! What reads the text of strangers, opened for the fuzz targets and their replay: no part of the API.

use http::{HeaderMap, StatusCode};
use mesh_error::Error;
use serde::de::DeserializeOwned;

use crate::{
    access::Credentials,
    api::{
        auth::{ApiKeyBody, LoginBody, PasswordBody, RefreshBody, RegisterBody, UserPatch},
        sentiment::{AnalyzeBody, BatchBody, StreamLine},
    },
    idempotency::{self, Slot},
    json,
};

/// The key in `Idempotency-Key`, or the status that refuses it.
///
/// # Errors
/// When there is not exactly one key in one of the two forms.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, StatusCode> {
    idempotency::from_headers(headers).map_err(|failure| failure.status())
}

/// The name in the store that a key of `principal` on `route` has, and the fingerprint of `body` under it.
///
/// # Errors
/// When the cryptographic library fails.
pub fn slot(key: &str, principal: &str, route: &str, body: &[u8]) -> Result<([u8; 32], [u8; 32]), Error> {
    let slot = Slot::derive(key, principal, route)?;
    Ok((slot.id, slot.fingerprint(body)?))
}

/// What a request shows: the text of a token (`false`) or of an API key (`true`), or the status that refuses it.
///
/// # Errors
/// When there are several credentials, or one of no known form.
pub fn credentials(headers: &HeaderMap) -> Result<Option<(bool, String)>, StatusCode> {
    match Credentials::from_headers(headers) {
        Ok(None) => Ok(None),
        Ok(Some(Credentials::Token(token))) => Ok(Some((false, token.to_string()))),
        Ok(Some(Credentials::Key(key))) => Ok(Some((true, key))),
        Err(failure) => Err(failure.status()),
    }
}

/// A body, read as each type that a route takes: the type's name and whether it is one.
pub fn bodies(bytes: &[u8]) -> [(&'static str, Result<(), Error>); 9] {
    [
        ("register", read::<RegisterBody>(bytes)),
        ("login", read::<LoginBody>(bytes)),
        ("refresh", read::<RefreshBody>(bytes)),
        ("password", read::<PasswordBody>(bytes)),
        ("api_key", read::<ApiKeyBody>(bytes)),
        ("user", read::<UserPatch>(bytes)),
        ("analyze", read::<AnalyzeBody>(bytes)),
        ("batch", read::<BatchBody>(bytes)),
        ("line", read::<StreamLine>(bytes)),
    ]
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(), Error> {
    json::parse::<T>(bytes).map(drop)
}
