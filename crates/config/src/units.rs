//! Values with a unit.

use std::{fmt, str::FromStr, time::Duration};

/// A length of time as people write it: `30`, `30s`, `500ms`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 =
            number.parse().map_err(|_| format!("{text:?} is not a time such as 30s, 500ms or 5m"))?;
        let millis = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(format!("unknown unit {unit:?}; use ms, s, m or h")),
        };
        let total = number.checked_mul(millis).ok_or_else(|| format!("{text:?} is too long"))?;
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            _ => write!(f, "{}ms", self.0.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (text, millis) in [("30", 30_000), ("30s", 30_000), ("500ms", 500), ("5m", 300_000), ("0", 0)] {
            assert_eq!(text.parse::<Seconds>().unwrap().0.as_millis(), millis, "{text}");
        }
        for text in ["", "s", "-1", "1.5s", "5 m", "5d", "99999999999999999999"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["30s", "500ms"] {
            assert_eq!(text.parse::<Seconds>().unwrap().to_string(), text);
        }
    }
}
