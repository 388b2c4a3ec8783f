//! Which form of an answer a client wants, by `Accept` (RFC 9110 §12.5.1).

use http::{HeaderMap, header::ACCEPT};

use crate::body::{EVENTS, JSON};

/// Whether the client would rather have server-sent events than JSON. JSON is the default: also when both are wanted alike,
/// and when neither is.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let ranges = || {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).filter_map(Range::parse)
    };
    // At the same quality, a type that is named goes before one that is meant by a wildcard.
    let wish = |media: &str| ranges().filter_map(|range| range.of(media)).max_by_key(|wish| wish.exactness);
    let rank = |media: &str| wish(media).map_or((0, 0), |wish| (wish.quality, wish.exactness));
    let (events, json) = (rank(EVENTS), rank(JSON));
    events > json && events.0 > 0
}

/// How much a media type is wanted.
struct Wish {
    /// In thousandths.
    quality: u16,
    /// 0 for `*/*`, 1 for `type/*`, 2 for the type itself.
    exactness: u8,
}

/// One range of the header.
struct Range<'a> {
    media: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    /// Nothing of what is no range, or has a weight that is none.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| media.contains('/'))?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = weight.map_or(Some(1000), thousandths)?;
        Some(Self { media, quality })
    }

    fn of(&self, media: &str) -> Option<Wish> {
        let kind = media.split('/').next().unwrap_or_default();
        let exactness = match self.media {
            "*/*" => 0,
            range if range.strip_suffix("/*").is_some_and(|own| own.eq_ignore_ascii_case(kind)) => 1,
            range if range.eq_ignore_ascii_case(media) => 2,
            _ => return None,
        };
        Some(Wish { quality: self.quality, exactness })
    }
}

/// 0 to 1 with at most three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let are_digits = decimals.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !are_digits {
        return None;
    }
    let quality = format!("{whole}{decimals:0<3}").parse().ok()?;
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wants(accept: &[&'static str]) -> bool {
        let headers = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        wants_events(&all)
    }

    #[test]
    fn events_come_when_they_are_wanted_more() {
        for accept in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream, */*",
            "application/json;q=0.9, text/event-stream",
            "application/json; q=0.5, text/event-stream; charset=utf-8; q=0.501",
            "text/*;q=0.4, application/json;q=0.3",
            "text/event-stream;q=0.1, application/json;q=0",
        ] {
            assert!(wants(&[accept]), "{accept}");
        }
        assert!(wants(&["application/json;q=0.2", "text/event-stream;q=0.8"]), "two lines are one list");
    }

    #[test]
    fn json_is_the_default() {
        for accept in [
            "*/*",
            "application/json",
            "application/json, text/event-stream",
            "text/event-stream;q=0.5, */*",
            "text/event-stream;q=0",
            "text/event-stream;q=0, text/html",
            "text/html",
            "text/event-stream;q=2",
            "text/event-stream;q=high",
            "text/event-stream;q=1.001",
            "text/event-stream;q=0.0001",
            ", ;",
        ] {
            assert!(!wants(&[accept]), "{accept}");
        }
        assert!(!wants(&[]));
        assert!(!wants(&["text/event-stream;q=0, text/*"]), "the type itself goes before its wildcard");
    }
}
