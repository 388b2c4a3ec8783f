//! `RateLimit` and `RateLimit-Policy` as structured fields (draft-ietf-httpapi-ratelimit-headers-10).

use http::{HeaderName, HeaderValue};

use super::Charge;
use crate::problem::whole_seconds;

/// `"name";r=remaining;t=seconds until full`.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// `"name";q=quota;w=window in seconds`.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl Charge {
    /// What the caller is told of its quota.
    pub(crate) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let name = self.class.name();
        let (quota, window) = (self.quota.limit(), self.quota.window().as_secs());
        let (left, reset) = (self.verdict.remaining, whole_seconds(self.verdict.reset));
        [
            (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={window}")),
            (RATE_LIMIT, format!("\"{name}\";r={left};t={reset}")),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate::{Class, Quota, gcra};

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let verdict = gcra::verdict(true, 9, 6_000_000, 0);
        let quota = Quota::new(10, Duration::from_secs(60)).unwrap();
        let headers = Charge { class: Class::Login, quota, verdict }.headers();
        assert_eq!(headers[0].1, "\"login\";q=10;w=60");
        assert_eq!(headers[1].1, "\"login\";r=9;t=6");
    }
}
