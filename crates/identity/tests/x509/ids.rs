//! The text rules of SPIFFE ids.

use mesh_identity::{SpiffeId, TrustDomain};

fn id(text: &str) -> Result<SpiffeId, String> {
    text.parse::<SpiffeId>().map_err(|error| error.to_string())
}

#[test]
fn a_workload_id_has_its_parts() {
    let domain: TrustDomain = "quipu.local".parse().unwrap();
    let gateway = SpiffeId::workload(&domain, "quipu", "gateway").unwrap();
    assert_eq!(gateway.as_str(), "spiffe://quipu.local/ns/quipu/sa/gateway");
    assert_eq!(gateway.trust_domain(), &domain);
    assert_eq!(gateway.namespace(), Some("quipu"));
    assert_eq!(gateway.service_account(), Some("gateway"));
    assert_eq!(gateway, id("spiffe://quipu.local/ns/quipu/sa/gateway").unwrap());
}

#[test]
fn legal_ids_are_kept_byte_for_byte() {
    let longest = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    assert_eq!(longest.len(), 2048);
    for text in [
        "spiffe://quipu.local",
        "spiffe://quipu.local/a",
        "spiffe://a_b-c.9/A/b.c/...",
        "spiffe://127.0.0.1/x",
        &format!("spiffe://{}/x", "d".repeat(255)),
        &longest,
    ] {
        assert_eq!(id(text).unwrap().as_str(), text);
    }
}

#[test]
fn only_the_exact_shape_has_a_service_account() {
    for text in [
        "spiffe://td",
        "spiffe://td/ns/quipu",
        "spiffe://td/ns/quipu/sa",
        "spiffe://td/ns/quipu/sa/gateway/extra",
        "spiffe://td/sa/gateway/ns/quipu",
        "spiffe://td/NS/quipu/sa/gateway",
    ] {
        assert_eq!(id(text).unwrap().service_account(), None, "{text}");
    }
}

#[test]
fn parts_of_a_workload_id_cannot_smuggle_segments() {
    let domain: TrustDomain = "quipu.local".parse().unwrap();
    for part in ["", ".", "..", "a/b", "a%2fb", "a b", "ä", "a?b", "a#b"] {
        assert!(SpiffeId::workload(&domain, part, "x").is_err(), "namespace {part:?}");
        assert!(SpiffeId::workload(&domain, "x", part).is_err(), "service account {part:?}");
    }
}

#[test]
fn illegal_ids_are_refused() {
    let too_long = format!("spiffe://td/{}", "a".repeat(2048 - 11));
    let long_domain = format!("spiffe://{}/x", "d".repeat(256));
    let table: &[(&str, &str)] = &[
        ("", "must begin"),
        ("spiffe", "must begin"),
        ("spiffe:/td/x", "must begin"),
        ("/ns/quipu/sa/gateway", "must begin"),
        ("https://td/x", "must begin"),
        ("SPIFFE://td/x", "must begin"),
        ("Spiffe://td/x", "must begin"),
        (" spiffe://td/x", "must begin"),
        ("spiffe2://td/x", "must begin"),
        ("spiffe://", "trust domain is empty"),
        ("spiffe:///x", "trust domain is empty"),
        ("spiffe://TD/x", "trust domain holds 'T'"),
        ("spiffe://td:443/x", "trust domain holds ':'"),
        ("spiffe://td:/x", "trust domain holds ':'"),
        ("spiffe://user@td/x", "trust domain holds '@'"),
        ("spiffe://t%64/x", "trust domain holds '%'"),
        ("spiffe://[::1]/x", "trust domain holds '['"),
        ("spiffe://tä/x", "trust domain holds 'ä'"),
        ("spiffe://td?x", "trust domain holds '?'"),
        ("spiffe://td#x", "trust domain holds '#'"),
        ("spiffe://td\\x", "trust domain holds '\\\\'"),
        ("spiffe://td /x", "trust domain holds ' '"),
        ("spiffe://td/", "ends with a slash"),
        ("spiffe://td/x/", "ends with a slash"),
        ("spiffe://td//x", "empty segment"),
        ("spiffe://td/x//y", "empty segment"),
        ("spiffe://td/.", "relative segment"),
        ("spiffe://td/./x", "relative segment"),
        ("spiffe://td/x/..", "relative segment"),
        ("spiffe://td/x/../y", "relative segment"),
        ("spiffe://td/x%2fy", "path holds '%'"),
        ("spiffe://td/%2e%2e/y", "path holds '%'"),
        ("spiffe://td/x?y", "path holds '?'"),
        ("spiffe://td/x#y", "path holds '#'"),
        ("spiffe://td/x y", "path holds ' '"),
        ("spiffe://td/x\n", "path holds '\\n'"),
        ("spiffe://td/x\0", "path holds '\\0'"),
        ("spiffe://td/x*", "path holds '*'"),
        ("spiffe://td/x:y", "path holds ':'"),
        ("spiffe://td/ü", "path holds 'ü'"),
        ("spiffe://td/~x", "path holds '~'"),
        (&too_long, "2049 bytes"),
        (&long_domain, "256 bytes"),
    ];
    for (text, reason) in table {
        let error = id(text).expect_err(text);
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn a_trust_domain_is_a_name_and_not_a_uri() {
    for text in ["", "spiffe://td", "td/x", "TD", "td:1", "a b"] {
        assert!(text.parse::<TrustDomain>().is_err(), "{text:?}");
    }
}
