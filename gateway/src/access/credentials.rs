//! What a request shows: a bearer token, an API key, or nothing.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use mesh_identity::TokenError;

use super::{key_refused, refused};
use crate::problem::Failure;

/// The header of API keys.
pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// How every API key begins.
const KEY_PREFIX: &str = "qp_";

/// Longer credentials are not looked at.
const MAX_LENGTH: usize = 8 * 1024;

/// What was shown; its text is never written anywhere.
#[derive(PartialEq, Eq)]
pub(crate) enum Credentials {
    /// An access token.
    Token(Arc<str>),
    /// An API key.
    Key(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token([hidden])",
            Self::Key(_) => "Key([hidden])",
        })
    }
}

impl Credentials {
    /// From `Authorization: Bearer …` or `X-Api-Key`; both, or either twice, is a request that contradicts itself.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let mut shown = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(X_API_KEY));
        let value = match (shown.next(), shown.next()) {
            (None, _) => return Ok(None),
            (Some(one), None) => one,
            _ => {
                return Err(Failure::bad_request(
                    "CREDENTIALS_AMBIGUOUS",
                    "give one Authorization or one X-Api-Key header, not both",
                ));
            }
        };
        let text = value.to_str().ok().filter(|text| text.len() <= MAX_LENGTH);
        let found = if headers.contains_key(AUTHORIZATION) {
            text.and_then(bearer).map(|token| match token.starts_with(KEY_PREFIX) {
                true => Self::Key(token.to_owned()),
                false => Self::Token(token.into()),
            })
        } else {
            text.filter(|key| key.starts_with(KEY_PREFIX)).map(|key| Self::Key(key.to_owned()))
        };
        // Answered as if it had been read and refused: what is wrong with a credential is nobody's business.
        found.map(Some).ok_or_else(|| match headers.contains_key(AUTHORIZATION) {
            true => refused(TokenError::Invalid("credentials").into()),
            false => key_refused(),
        })
    }
}

/// The characters of a token (RFC 6750 §2.1), by their codes: every request has hundreds.
static IS_TOKEN: LazyLock<[bool; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let is_other = |b| matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        u8::try_from(code).is_ok_and(|b| b.is_ascii_alphanumeric() || is_other(b))
    })
});

/// `Bearer` without case, one space, and one token of RFC 6750's characters.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let known: &[bool; 256] = &IS_TOKEN;
    let is_token = !token.is_empty() && token.bytes().all(|b| known.get(usize::from(b)) == Some(&true));
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;

    fn read(headers: &[(HeaderName, &'static str)]) -> Result<Option<Credentials>, Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Credentials::from_headers(&map)
    }

    #[test]
    fn the_forms_that_are_taken() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(
            read(&[(AUTHORIZATION, "bearer a.b.c")]).unwrap(),
            Some(Credentials::Token("a.b.c".into()))
        );
        let key = Some(Credentials::Key("qp_1_2_3".into()));
        assert_eq!(read(&[(AUTHORIZATION, "Bearer qp_1_2_3")]).unwrap(), key);
        assert_eq!(read(&[(X_API_KEY, "qp_1_2_3")]).unwrap(), key);
    }

    #[test]
    fn two_credentials_are_a_400() {
        for two in [
            [(AUTHORIZATION, "Bearer a"), (X_API_KEY, "qp_1")],
            [(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")],
            [(X_API_KEY, "qp_1"), (X_API_KEY, "qp_1")],
        ] {
            assert_eq!(read(&two).unwrap_err().status(), StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn anything_else_is_a_401() {
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Basic YTpi",
            "Bearer\ta",
            "a.b.c",
            "Bearer a,b",
        ] {
            assert_eq!(
                read(&[(AUTHORIZATION, bad)]).unwrap_err().status(),
                StatusCode::UNAUTHORIZED,
                "{bad}"
            );
        }
        assert_eq!(read(&[(X_API_KEY, "a.b.c")]).unwrap_err().status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", Credentials::Key("qp_canary".into())).contains("canary"));
    }
}
