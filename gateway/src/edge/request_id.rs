//! `x-request-id`: a client's own if it is harmless, else a new one.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, in and out.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One value of 1 to 128 letters, digits, `-`, `_` and `.`; otherwise a new UUID (version 7).
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let given = values.next().filter(|value| values.next().is_none() && is_harmless(value.as_bytes()));
    given.cloned().unwrap_or_else(fresh)
}

fn is_harmless(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Its random part need not be a secret, so the generator of the thread will do: the system's costs a call of the kernel.
fn fresh() -> HeaderValue {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
    HeaderValue::try_from(id.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_harmless_id_is_kept_and_any_other_replaced() {
        assert_eq!(of(&given("abc-1.2_3")), "abc-1.2_3");
        for bad in ["", "a b", "<script>", "a;b", &"x".repeat(129)] {
            assert_ne!(of(&given(bad)), bad, "{bad}");
        }
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
