//! `Idempotency-Key` against a second reading of its two forms, and what is derived from a key.

use http::{HeaderMap, HeaderValue, StatusCode};
use quipu_gateway::parsers::{idempotency_key, slot};

/// Headers, one per line, up to an empty line; then the body.
pub(crate) fn idempotency(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (lines, body) = end.map_or((data, &b""[..]), |at| (&data[..at], &data[at + 2..]));
    let lines: Vec<_> = lines.split(|b| *b == b'\n').collect();
    let Some(headers) = headers(&lines) else { return };
    let expected = match *lines.as_slice() {
        [one] => key(one),
        _ => None,
    };
    match idempotency_key(&headers) {
        Ok(Some(found)) => {
            assert_eq!(expected, Some(found.as_bytes()));
            check_forms(&found);
            check_slot(&found, body);
        }
        Ok(None) => panic!("there is a header"),
        Err(status) => assert_eq!((status, expected), (StatusCode::BAD_REQUEST, None)),
    }
}

fn headers(lines: &[&[u8]]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("idempotency-key", HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}

/// Blanks, then 1 to 255 plain characters, bare or between quotes, then blanks.
fn key(line: &[u8]) -> Option<&[u8]> {
    let trimmed = line.trim_ascii();
    let inner = match trimmed {
        [b'"', inner @ .., b'"'] => inner,
        bare => bare,
    };
    let is_plain = |b: &u8| matches!(b, b'!'..=b'~') && !b"\",;\\".contains(b);
    ((1..=255).contains(&inner.len()) && inner.iter().all(is_plain)).then_some(inner)
}

/// Both forms of a key name it.
fn check_forms(key: &str) {
    for form in [key.to_owned(), format!("\"{key}\""), format!("  {key}\t")] {
        let headers = headers(&[form.as_bytes()]).expect("plain");
        assert_eq!(idempotency_key(&headers).as_ref().map(Option::as_deref), Ok(Some(key)));
    }
}

/// Name and fingerprint depend on key, caller, route and body, and on nothing else.
fn check_slot(key: &str, body: &[u8]) {
    let derive =
        |principal: &str, route: &str, body: &[u8]| slot(key, principal, route, body).expect("a slot");
    let (name, fingerprint) = derive("user:1", "POST /a", body);
    assert_eq!(derive("user:1", "POST /a", body), (name, fingerprint));
    for (principal, route) in [("user:2", "POST /a"), ("user:1", "POST /b"), ("user:1\0POST", "/a")] {
        let (other, print) = derive(principal, route, body);
        assert!(other != name && print != fingerprint, "{principal} {route}");
    }
    let longer = [body, &[0]].concat();
    let (same, other) = derive("user:1", "POST /a", &longer);
    assert!(same == name && other != fingerprint);
    assert!(slot(&format!("{key}x"), "user:1", "POST /a", body).is_ok_and(|(other, _)| other != name));
}
