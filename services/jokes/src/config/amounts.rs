//! Amounts as people write them: dollars, and the limits of a budget.

use std::fmt;
use std::str::FromStr;

use crate::budget::Limits;

/// Digits behind the point of a dollar that count.
const DIGITS: usize = 9;

/// Dollars in billionths, from a decimal number such as `0.15`. More digits than nine are refused: nobody is charged for them.
pub(super) fn dollars(text: &str) -> Result<i64, String> {
    let fault = || format!("{text:?} is not an amount in dollars such as 0.15");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > DIGITS || !is_number(whole) || !is_number(part) {
        return Err(fault());
    }
    format!("{whole}{part:0<DIGITS$}").parse().map_err(|_| fault())
}

/// The other way around, without needless zeros.
pub(super) struct Dollars(pub(super) i64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:010}", self.0);
        let (whole, part) = digits.split_at(digits.len() - DIGITS);
        match part.trim_end_matches('0') {
            "" => f.write_str(whole),
            part => write!(f, "{whole}.{part}"),
        }
    }
}

/// `calls=N,tokens=N,cost=DOLLARS`, each of them optional; `none` for no limit at all.
impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits = Self::default();
        if text == "none" {
            return Ok(limits);
        }
        for part in text.split(',') {
            let (name, value) =
                part.trim().split_once('=').ok_or("must be calls=N,tokens=N,cost=DOLLARS, or none")?;
            let number =
                || value.parse::<u32>().map(i64::from).map_err(|_| format!("{value:?} is not a number"));
            let place = match name {
                "calls" => (&mut limits.calls, number()?),
                "tokens" => (&mut limits.tokens, number()?),
                "cost" => (&mut limits.cost_nanos, dollars(value)?),
                _ => return Err(format!("{name:?} is none of calls, tokens and cost")),
            };
            if place.0.replace(place.1).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(limits)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.calls.map(|n| format!("calls={n}")),
            self.tokens.map(|n| format!("tokens={n}")),
            self.cost_nanos.map(|nanos| format!("cost={}", Dollars(nanos))),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "none".to_owned() } else { parts.join(",") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        for (text, nanos) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.15", 150_000_000),
            ("2.50", 2_500_000_000),
            ("0.000000001", 1),
        ] {
            assert_eq!(dollars(text).unwrap(), nanos, "{text}");
            assert_eq!(dollars(&Dollars(nanos).to_string()).unwrap(), nanos);
        }
        for bad in ["", ".5", "-1", "1e3", "1,5", "0.0000000001", "9999999999999", "€1"] {
            assert!(dollars(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_read_back() {
        for text in ["none", "calls=10", "calls=1,tokens=2,cost=0.5", "cost=0"] {
            assert_eq!(text.parse::<Limits>().unwrap().to_string(), text);
        }
        for bad in ["", "calls", "calls=x", "calls=1,calls=2", "coins=1", "calls=-1", "tokens=99999999999"] {
            assert!(bad.parse::<Limits>().is_err(), "{bad}");
        }
    }
}
