//! How much of what: a number of calls in a window.

use std::{fmt, str::FromStr, time::Duration};

use mesh_config::Seconds;

/// So many calls in a window, all of which may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: u32,
    window: Duration,
}

impl Quota {
    /// `limit` is at least 1; `window` is one second to one day.
    ///
    /// # Errors
    /// Says which of the two is out of its range.
    pub fn new(limit: u32, window: Duration) -> Result<Self, &'static str> {
        if limit == 0 {
            return Err("the number of calls must be at least 1");
        }
        if window < Duration::from_secs(1) || window > Duration::from_secs(86_400) {
            return Err("the window must be one second to one day");
        }
        Ok(Self { limit, window })
    }

    /// So many calls a minute; 0 counts as 1.
    #[must_use]
    pub const fn per_minute(limit: u32) -> Self {
        let limit = if limit == 0 { 1 } else { limit };
        Self { limit, window: Duration::from_secs(60) }
    }

    /// How many calls.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// In how long.
    #[must_use]
    pub const fn window(self) -> Duration {
        self.window
    }

    /// Microseconds in which one call is earned back.
    pub(crate) fn interval_micros(self) -> u64 {
        (u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX) / u64::from(self.limit)).max(1)
    }
}

/// "60/1m", "10/60s".
impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (limit, window) = text.split_once('/').ok_or("want CALLS/WINDOW, for example 60/1m")?;
        let limit = limit.trim().parse().map_err(|_| "the number of calls is not a number")?;
        let window: Seconds = window.trim().parse().map_err(|e| format!("the window: {e}"))?;
        Ok(Self::new(limit, window.0)?)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.limit, self.window.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_and_written() {
        let quota: Quota = "60/1m".parse().unwrap();
        assert_eq!(quota, Quota::per_minute(60));
        assert_eq!(quota.to_string().parse::<Quota>().unwrap(), quota);
        for bad in ["", "60", "0/1m", "-1/1m", "60/0s", "60/2000000s", "a/b"] {
            assert!(bad.parse::<Quota>().is_err(), "{bad}");
        }
    }
}
