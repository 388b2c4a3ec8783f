//! The REST contract's types: what JSON goes in and out, and how it becomes the services' messages.
//!
//! Names are snake_case, times RFC 3339, ids opaque strings, enums lower case.

pub(crate) mod auth;
pub(crate) mod jokes;
pub(crate) mod mesh;
pub(crate) mod operations;
pub(crate) mod sentiment;
pub(crate) mod traces;

use chrono::{DateTime, SecondsFormat, Utc};
use mesh_error::Error;
use prost_types::Timestamp;

/// RFC 3339 in UTC, as precise as it is.
pub(crate) fn time(at: &Timestamp) -> String {
    let nanos = u32::try_from(at.nanos).unwrap_or_default();
    let at = DateTime::<Utc>::from_timestamp(at.seconds, nanos).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// From RFC 3339; the year is 1 to 9999 as protobuf wants.
pub(crate) fn timestamp(field: &str, text: &str) -> Result<Timestamp, Error> {
    let fault = || Error::invalid_field(field, "must be a time such as 2030-01-31T12:00:00Z");
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| fault())?.with_timezone(&Utc);
    let nanos =
        i32::try_from(at.timestamp_subsec_nanos()).ok().filter(|n| *n < 1_000_000_000).ok_or_else(fault)?;
    let seconds = at.timestamp();
    let is_protobuf = (-62_135_596_800..253_402_300_800).contains(&seconds);
    is_protobuf.then_some(Timestamp { seconds, nanos }).ok_or_else(fault)
}

/// A page's token, absent on the last page.
pub(crate) fn next_page(token: String) -> Option<String> {
    (!token.is_empty()).then_some(token)
}

/// What a service must have sent and did not.
pub(crate) fn incomplete(what: &'static str) -> Error {
    Error::internal(format!("the answer of a service lacks its {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_through_unchanged() {
        for text in [
            "2030-01-31T12:00:00Z",
            "2030-01-31T12:00:00.123456Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(time(&timestamp("t", text).unwrap()), text);
        }
        assert_eq!(time(&timestamp("t", "2030-01-31T12:00:00+02:00").unwrap()), "2030-01-31T10:00:00Z");
    }

    #[test]
    fn odd_times_are_refused() {
        for bad in [
            "",
            "2030-01-31",
            "1",
            "10000-01-01T00:00:00Z",
            "2030-02-30T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "2030-01-31T12:00:00+25:00",
        ] {
            assert!(timestamp("t", bad).is_err(), "{bad}");
        }
    }
}
