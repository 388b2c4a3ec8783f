//! SPIFFE ids and trust domains against a second reading of SPIFFE-ID section 2.

use mesh_identity::{SpiffeId, TrustDomain};

/// A SPIFFE id and a trust domain of any text.
pub(crate) fn spiffe_id(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let domain = text.parse::<TrustDomain>();
    assert_eq!(domain.is_ok(), is_domain(data), "{text:?}: {domain:?}");
    let parsed = text.parse::<SpiffeId>();
    assert_eq!(parsed.is_ok(), is_id(data), "{text:?}: {parsed:?}");
    let Ok(id) = parsed else { return };
    assert_eq!((id.as_str(), id.to_string().as_str()), (text, text), "one spelling");
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    assert_eq!(text.parse::<SpiffeId>().as_ref(), Ok(&id));
    match (id.namespace(), id.service_account()) {
        (Some(namespace), Some(account)) => {
            assert_eq!(SpiffeId::workload(id.trust_domain(), namespace, account).as_ref(), Ok(&id));
        }
        (None, None) => assert!(!is_workload(id.path()), "{text:?}"),
        odd => panic!("half a workload: {odd:?}"),
    }
}

/// Byte by byte: `spiffe://`, 1 to 255 of the host's characters, then segments.
fn is_id(id: &[u8]) -> bool {
    let Some(rest) = id.strip_prefix(b"spiffe://") else { return false };
    let host = rest.iter().take_while(|b| **b != b'/').count();
    id.len() <= 2048 && is_domain(&rest[..host]) && is_path(&rest[host..])
}

fn is_domain(name: &[u8]) -> bool {
    (1..=255).contains(&name.len())
        && name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

/// Empty, or `/segment` again and again, where no segment is empty, `.` or `..`.
fn is_path(path: &[u8]) -> bool {
    let mut segment: &[u8] = b"?";
    let mut from = path;
    while let [first, rest @ ..] = from {
        if *first == b'/' {
            if is_bad(segment) {
                return false;
            }
            segment = b"";
        } else if first.is_ascii_alphanumeric() || b".-_".contains(first) {
            segment = &path[path.len() - from.len() - segment.len()..=path.len() - from.len()];
        } else {
            return false;
        }
        from = rest;
    }
    !is_bad(segment)
}

fn is_bad(segment: &[u8]) -> bool {
    segment.is_empty() || segment == b"." || segment == b".."
}

fn is_workload(path: &str) -> bool {
    matches!(*path.split('/').collect::<Vec<_>>(), ["", "ns", _, "sa", _])
}
