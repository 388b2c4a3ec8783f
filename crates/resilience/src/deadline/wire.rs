//! `grpc-timeout`, as strict as the specification of gRPC over HTTP/2: one to eight digits and one unit, nothing else.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_error::{Error, Kind};

use super::Deadline;

/// The header that carries the time left.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Digits that the specification allows; the largest value is one less than ten to this power.
const DIGITS: usize = 8;
const TOO_MANY: u128 = 100_000_000;

/// A `grpc-timeout` that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grpc-timeout must be one to eight digits and one of H, M, S, m, u, n")]
pub struct Malformed;

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(Kind::InvalidArgument, "MALFORMED_TIMEOUT", malformed.to_string())
    }
}

/// Reads one header value.
///
/// # Errors
/// Anything but one to eight ASCII digits followed by exactly one unit.
pub fn parse_grpc_timeout(value: &HeaderValue) -> Result<Duration, Malformed> {
    let (unit, digits) = value.as_bytes().split_last().ok_or(Malformed)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let count = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(count * 3600)),
        b'M' => Ok(Duration::from_secs(count * 60)),
        b'S' => Ok(Duration::from_secs(count)),
        b'm' => Ok(Duration::from_millis(count)),
        b'u' => Ok(Duration::from_micros(count)),
        b'n' => Ok(Duration::from_nanos(count)),
        _ => Err(Malformed),
    }
}

/// The timeout that headers carry, if any.
///
/// # Errors
/// A malformed value, or more than one.
pub fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => parse_grpc_timeout(only).map(Some),
        (Some(_), Some(_)) => Err(Malformed),
    }
}

impl Deadline {
    /// What is left, for the wire: in the finest unit that fits into eight digits from microseconds up, rounded down.
    #[must_use]
    pub fn to_grpc_timeout(self) -> HeaderValue {
        let left = self.remaining();
        let steps = [
            (left.as_micros(), 'u'),
            (left.as_millis(), 'm'),
            (u128::from(left.as_secs()), 'S'),
            (u128::from(left.as_secs() / 60), 'M'),
        ];
        let fits = steps.into_iter().find(|(count, _)| *count < TOO_MANY);
        let (count, unit) = fits.unwrap_or((TOO_MANY - 1, 'H'));
        HeaderValue::try_from(format!("{count}{unit}")).unwrap_or(HeaderValue::from_static("0n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Duration, Malformed> {
        parse_grpc_timeout(&HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("1H"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("2M"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("3S"), Ok(Duration::from_secs(3)));
        assert_eq!(parse("4m"), Ok(Duration::from_millis(4)));
        assert_eq!(parse("5u"), Ok(Duration::from_micros(5)));
        assert_eq!(parse("0n"), Ok(Duration::ZERO));
        assert_eq!(parse("99999999H"), Ok(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "S", "1", "-1S", "+1S", "1X", "1s", "1 S", " 1S", "1S ", "1.5S", "0x1S", "1SS", "123456789m"]
        {
            assert_eq!(parse(bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(parse_grpc_timeout(&HeaderValue::from_bytes(b"\xff1S").unwrap()), Err(Malformed));
    }

    #[test]
    fn two_values_are_refused_even_if_equal() {
        let mut headers = HeaderMap::new();
        assert_eq!(timeout_of(&headers), Ok(None));
        headers.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(timeout_of(&headers), Ok(Some(Duration::from_secs(1))));
        headers.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(timeout_of(&headers), Err(Malformed));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_printed_is_read_back_and_never_more() {
        for left in [0, 1, 999, 99_999_999, 100_000_000, 99_999_999_999, 100_000_000_000] {
            let left = Duration::from_micros(left);
            let printed = Deadline::after(left).to_grpc_timeout();
            let back = parse_grpc_timeout(&printed).unwrap();
            assert!(back <= left && left - back < Duration::from_secs(1), "{left:?} became {printed:?}");
        }
        assert_eq!(Deadline::after(Duration::from_secs(2)).to_grpc_timeout(), "2000000u");
        assert_eq!(Deadline::after(Duration::from_secs(200)).to_grpc_timeout(), "200000m");
    }
}
