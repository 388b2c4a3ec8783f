//! Tokens that must not be believed, each beside a good one that must, so that no test passes because everything is
//! refused.

use mesh_identity::{Jwks, Revocations, TokenError, TokenVerifier};
use serde_json::{Value, json};

use crate::support::{Forger, Issuer, NOW, TestClock, b64, payload, verifier};

/// Name, token, reason in the log.
type Row = (String, String, &'static str);

/// Every row is refused for its reason; between any two, a good token is believed.
async fn refuse(forger: &Forger, rows: Vec<Row>) {
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let good = forger.with_payload(&payload().to_string());
    let outside = outward(TokenError::Revoked);
    for (name, token, reason) in rows {
        assert_eq!(verifier.verify(&good).await.unwrap().sub, "user-1");
        let error = verifier.verify(&token).await.expect_err(&name);
        assert_eq!(error, TokenError::Invalid(reason), "{name}");
        assert_eq!(outward(error), outside, "{name}");
    }
}

/// All that a caller sees of an error.
fn outward(error: TokenError) -> (i32, String, Vec<u8>) {
    let status = mesh_error::Error::from(error).into_status();
    (status.code().into(), status.message().to_owned(), status.details().to_vec())
}

fn row(name: impl Into<String>, token: String, reason: &'static str) -> Row {
    (name.into(), token, reason)
}

#[tokio::test]
async fn what_is_not_three_segments_in_one_spelling() {
    let forger = Forger::new();
    let good = forger.with_payload(&payload().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let rows = [
        ("empty", String::new(), "segments"),
        ("spaces", "   ".to_owned(), "segments"),
        ("one segment", h.to_owned(), "segments"),
        ("two segments", format!("{h}.{p}"), "segments"),
        ("four segments", format!("{good}.{s}"), "segments"),
        ("five segments, as a JWE", format!("{h}.{p}.{s}.{p}.{s}"), "segments"),
        ("only dots", "..".to_owned(), "header_malformed"),
        ("no header", format!(".{p}.{s}"), "header_malformed"),
        ("no payload", format!("{h}..{s}"), "signature"),
        ("no signature", format!("{h}.{p}."), "signature_form"),
        ("a dot too many at the end", format!("{good}."), "segments"),
        ("a dot too many in front", format!(".{good}"), "segments"),
        ("the scheme left on", format!("Bearer {good}"), "header_encoding"),
        ("a space in front", format!(" {good}"), "header_encoding"),
        ("a newline at the end", format!("{good}\n"), "signature_form"),
        ("a space inside", format!("{h}. {p}.{s}"), "signature"),
        ("a NUL", format!("{h}\0.{p}.{s}"), "header_encoding"),
        ("not ASCII", format!("{h}é.{p}.{s}"), "header_encoding"),
        ("padded signature", format!("{h}.{p}.{s}=="), "signature_form"),
        ("JSON serialisation", json!({"protected": h, "payload": p, "signature": s}).to_string(), "segments"),
        ("a percent escape", good.replace('.', "%2E"), "segments"),
        ("one byte too long", format!("{good}{}", "A".repeat(8 * 1024 + 1 - good.len())), "too_long"),
        ("a mebibyte", "A".repeat(1 << 20), "too_long"),
        ("a mebibyte of dots", ".".repeat(1 << 20), "too_long"),
        ("an API key", "qp_abc_def_123".to_owned(), "segments"),
    ];
    refuse(&forger, rows.into_iter().map(|(name, token, reason)| row(name, token, reason)).collect()).await;
}

#[tokio::test]
async fn segments_that_are_signed_but_not_canonical() {
    let forger = Forger::new();
    let header = b64(forger.header().to_string());
    let claims = payload().to_string();
    // As long as the encoding of a number of bytes that is not a multiple of three, so that bits are left over.
    let odd = format!("{claims}{}", " ".repeat((4 - claims.len() % 3) % 3 + 1));
    let loose = {
        let text = b64(if odd.len().is_multiple_of(3) { format!("{odd} ") } else { odd.clone() });
        let last = text.chars().last().unwrap();
        let next = char::from(last as u8 + 1);
        format!("{}{next}", &text[..text.len() - 1])
    };
    let rows = vec![
        row("padded payload", forger.segments(&header, &format!("{}=", b64(&claims))), "claims_encoding"),
        row("bits after the end", forger.segments(&header, &loose), "claims_encoding"),
        row("plain JSON as payload", forger.segments(&header, "{}"), "claims_encoding"),
        row(
            "line feed in the payload",
            forger.segments(&header, &format!("{}\n", b64(&claims))),
            "claims_encoding",
        ),
        row("padded header", forger.segments(&format!("{header}="), &b64(&claims)), "header_encoding"),
        row("standard alphabet", forger.segments(&header, "+/+/"), "claims_encoding"),
        row("one character", forger.segments(&header, "e"), "claims_encoding"),
        row("empty payload", forger.segments(&header, ""), "claims_malformed"),
    ];
    refuse(&forger, rows).await;
}

#[tokio::test]
async fn headers_that_ask_for_another_reading() {
    let forger = Forger::new();
    let own = Forger::new();
    let mut rows = Vec::new();
    for alg in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!("NONE"),
        json!(""),
        json!("HS256"),
        json!("HS512"),
        json!("RS256"),
        json!("PS256"),
        json!("ES256"),
        json!("ES256K"),
        json!("eddsa"),
        json!("EDDSA"),
        json!("Ed25519"),
        json!("Ed448"),
        json!(" EdDSA"),
        json!("EdDSA\0"),
        json!(["EdDSA"]),
        json!(null),
        json!(1),
        json!({"EdDSA": 1}),
    ] {
        rows.push(header(&forger, "alg", Some(alg), "alg"));
    }
    rows.push(header(&forger, "alg", None, "alg"));
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("AT+JWT"),
        json!("application/at+jwt"),
        json!("refresh+jwt"),
        json!("id+jwt"),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!(""),
        json!("at+jwt "),
        json!(["at+jwt"]),
        json!(null),
        json!(7),
    ] {
        rows.push(header(&forger, "typ", Some(typ), "typ"));
    }
    rows.push(header(&forger, "typ", None, "typ"));
    for kid in [
        json!(""),
        json!("key-1"),
        json!("../../../../dev/null"),
        json!("' OR 1=1 --"),
        json!("a".repeat(4_000)),
        json!("\0".repeat(43)),
        json!("é".repeat(43)),
        json!("+".repeat(43)),
        json!(null),
        json!(1),
        json!([forger.key.kid()]),
    ] {
        rows.push(header(&forger, "kid", Some(kid), "kid_form"));
    }
    rows.push(header(&forger, "kid", None, "kid_form"));
    rows.push(header(&forger, "kid", Some(json!(own.key.kid())), "unknown_kid"));
    rows.push(header(&forger, "kid", Some(json!(forger.key.kid().to_lowercase())), "unknown_kid"));
    let jwk: Value =
        serde_json::from_str(&Jwks::new(vec![own.key.public().clone()]).unwrap().to_json()).unwrap();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("jwk", jwk["keys"][0].clone()),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("enc", json!("A256GCM")),
        ("exp", json!(NOW + 600)),
        ("Alg", json!("none")),
        ("", json!(1)),
        ("__proto__", json!({})),
    ] {
        rows.push(header(&forger, name, Some(value), "header_member"));
    }
    refuse(&forger, rows).await;
}

/// Good but for one member of the header.
fn header(forger: &Forger, name: &str, value: Option<Value>, reason: &'static str) -> Row {
    let mut header = forger.header();
    let label = format!("header {name}: {value:?}");
    match value {
        Some(value) => header[name] = value,
        None => drop(header.as_object_mut().unwrap().remove(name)),
    }
    (label, forger.with_header(&header), reason)
}

#[tokio::test]
async fn headers_that_are_not_one_object() {
    let forger = Forger::new();
    let header = forger.header().to_string();
    let claims = payload().to_string();
    let rows = [
        ("array", "[]".to_owned(), "header_not_an_object"),
        ("string", "\"EdDSA\"".to_owned(), "header_not_an_object"),
        ("null", "null".to_owned(), "header_not_an_object"),
        ("empty object", "{}".to_owned(), "alg"),
        ("not JSON", "alg=EdDSA".to_owned(), "header_malformed"),
        ("cut", header[..header.len() - 1].to_owned(), "header_malformed"),
        ("something after it", format!("{header}{{}}"), "header_malformed"),
        ("BOM", format!("\u{feff}{header}"), "header_malformed"),
        ("alg twice, the good one last", header.replacen('{', "{\"alg\":\"none\",", 1), "header_duplicate"),
        ("alg twice, the good one first", header.replacen('}', ",\"alg\":\"none\"}", 1), "header_duplicate"),
        ("alg twice, once escaped", header.replacen('{', "{\"\\u0061lg\":\"none\",", 1), "header_duplicate"),
        (
            "kid twice, the same",
            header.replacen('}', &format!(",\"kid\":\"{}\"}}", forger.key.kid()), 1),
            "header_duplicate",
        ),
        (
            "deep",
            header.replacen('}', &format!(",\"x\":{}{}}}", "[".repeat(500), "]".repeat(500)), 1),
            "header_deep",
        ),
        ("trailing comma", header.replacen('}', ",}", 1), "header_malformed"),
        ("single quotes", header.replace('"', "'"), "header_malformed"),
    ];
    let rows =
        rows.into_iter().map(|(name, header, reason)| row(name, forger.text(&header, &claims), reason));
    refuse(&forger, rows.collect()).await;
}

#[tokio::test]
async fn claims_of_the_wrong_type_or_out_of_bounds() {
    let forger = Forger::new();
    let mut rows = Vec::new();
    let mut bad = |name: &str, reason: &'static str, values: Vec<Value>| {
        for value in values.into_iter().map(Some).chain([None]) {
            let label = format!("{name}: {value:?}");
            rows.push((label.chars().take(80).collect(), forger.with_claim(name, value), reason));
        }
    };
    bad(
        "iss",
        "claim_iss",
        vec![json!(null), json!(1), json!(["https://auth.quipu.local"]), json!({"a": 1})],
    );
    bad(
        "aud",
        "claim_aud",
        vec![json!(null), json!(123), json!(["quipu"]), json!(["quipu", "x"]), json!({}), json!(true)],
    );
    for (name, reason) in [("sub", "claim_sub"), ("sid", "claim_sid"), ("jti", "claim_jti")] {
        let long = "x".repeat(129);
        let values = [
            json!(""),
            json!(" "),
            json!("a b"),
            json!("a\nb"),
            json!("a\0"),
            json!("é"),
            json!(long),
            json!(1),
            json!(null),
            json!(["a"]),
            json!({}),
        ];
        bad(name, reason, values.to_vec());
    }
    for (name, reason) in [("exp", "claim_exp"), ("iat", "claim_iat"), ("nbf", "claim_nbf")] {
        let text = (NOW + 600).to_string();
        #[expect(clippy::cast_precision_loss, reason = "a round number")]
        let float = (NOW + 600) as f64;
        let values = [
            json!(text),
            json!(float),
            json!(-1),
            json!(1e300),
            json!(null),
            json!(true),
            json!([NOW]),
            json!({}),
            json!("2027-01-15T08:10:00Z"),
        ];
        bad(name, reason, values.to_vec());
    }
    let many = (0..65).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
    bad(
        "scope",
        "claim_scope",
        vec![
            json!(["profile:read"]),
            json!("a  b"),
            json!(" a"),
            json!("a "),
            json!("a a"),
            json!("a\tb"),
            json!("a\"b"),
            json!(many),
            json!(1),
            json!(null),
        ],
    );
    let many: Vec<_> = (0..33).map(|i| format!("r{i}")).collect();
    bad(
        "roles",
        "claim_roles",
        vec![
            json!("admin"),
            json!([1]),
            json!(["user", null]),
            json!([["user"]]),
            json!([""]),
            json!(["a b"]),
            json!(["user", "user"]),
            json!(many),
            json!({"user": true}),
            json!(null),
        ],
    );
    rows.push(row("client_id: empty", forger.with_claim("client_id", Some(json!(""))), "claim_client_id"));
    rows.push(row("client_id: null", forger.with_claim("client_id", Some(json!(null))), "claim_client_id"));
    refuse(&forger, rows).await;
}

#[tokio::test]
async fn claims_that_are_for_others_or_for_another_time() {
    let forger = Forger::new();
    let one = |name: &str, value: Value, reason| {
        (format!("{name}: {value}"), forger.with_claim(name, Some(value)), reason)
    };
    let mut rows = Vec::new();
    for iss in [
        "",
        "https://auth.quipu.local/",
        "https://AUTH.quipu.local",
        "http://auth.quipu.local",
        "https://evil.example",
        "https://auth.quipu.local.evil.example",
        " https://auth.quipu.local",
    ] {
        rows.push(one("iss", json!(iss), "wrong_issuer"));
    }
    for aud in ["", "Quipu", "quipu ", "quipu2", "other", "quipu,other", "*"] {
        rows.push(one("aud", json!(aud), "wrong_audience"));
    }
    let year = 365 * 24 * 3600;
    let mut times = |name: &str, iat: u64, nbf: u64, exp: u64, reason| {
        let mut claims = payload();
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(iat), json!(nbf), json!(exp));
        rows.push(row(name, forger.with_payload(&claims.to_string()), reason));
    };
    times("expires now", NOW - 600, NOW - 600, NOW, "expired");
    times("expired a second ago", NOW - 600, NOW - 600, NOW - 1, "expired");
    times("expired a year ago", NOW - year - 600, NOW - year, NOW - year, "times_reversed");
    times("expired in 1970", 0, 0, 600, "expired");
    times("never lived", NOW, NOW, NOW, "times_reversed");
    times("ends as it is issued", NOW + 1, NOW, NOW + 1, "times_reversed");
    times("ends before it begins", NOW, NOW, NOW - 1, "times_reversed");
    times("ends before it may be used", NOW, NOW + 5, NOW + 5, "times_reversed");
    times("lives a second too long", NOW, NOW, NOW + 3601, "lives_too_long");
    times("lives a century", NOW, NOW, NOW + 100 * year, "lives_too_long");
    times("lives for ever", NOW, NOW, u64::MAX, "lives_too_long");
    times("from the beginning of time", 0, 0, NOW + 600, "lives_too_long");
    times("not yet", NOW, NOW + 6, NOW + 600, "not_yet_valid");
    times("issued in the future", NOW + 6, NOW, NOW + 600, "issued_in_future");
    times("all in the future", NOW + year, NOW + year, NOW + year + 600, "not_yet_valid");
    times("milliseconds", NOW * 1000, NOW * 1000, (NOW + 600) * 1000, "lives_too_long");
    times("the end of numbers", u64::MAX - 1, u64::MAX - 1, u64::MAX, "not_yet_valid");
    refuse(&forger, rows).await;
}

#[tokio::test]
async fn payloads_that_have_two_readings_or_none() {
    let forger = Forger::new();
    let good = payload().to_string();
    let rows = [
        ("empty object", "{}".to_owned(), "claim_iss"),
        ("array", format!("[{good}]"), "claims_not_an_object"),
        ("a nested token", json!(forger.with_payload(&good)).to_string(), "claims_not_an_object"),
        ("cut", good[..good.len() - 1].to_owned(), "claims_malformed"),
        ("something after it", format!("{good}0"), "claims_malformed"),
        ("BOM", format!("\u{feff}{good}"), "claims_malformed"),
        ("sub twice", good.replacen('{', "{\"sub\":\"admin\",", 1), "claims_duplicate"),
        ("sub twice, once escaped", good.replacen('}', ",\"s\\u0075b\":\"admin\"}", 1), "claims_duplicate"),
        (
            "exp twice, the same",
            good.replacen('}', &format!(",\"exp\":{}}}", NOW + 600), 1),
            "claims_duplicate",
        ),
        ("roles twice", good.replacen('}', ",\"roles\":[\"admin\"]}", 1), "claims_duplicate"),
        (
            "duplicate in an unknown claim",
            good.replacen('}', ",\"x\":[{\"a\":1,\"a\":1}]}", 1),
            "claims_duplicate",
        ),
        (
            "deep unknown claim",
            good.replacen('}', &format!(",\"x\":{}{}}}", "[".repeat(99), "]".repeat(99)), 1),
            "claims_deep",
        ),
        ("lone surrogate", good.replacen("user-1", "\\ud800", 1), "claims_malformed"),
        ("hexadecimal number", good.replacen(&NOW.to_string(), "0x6b49d200", 1), "claims_malformed"),
        ("leading zero", good.replacen(&NOW.to_string(), &format!("0{NOW}"), 1), "claims_malformed"),
        ("exponent", good.replacen(&format!("{}", NOW + 600), "1.8000006e9", 1), "claim_exp"),
        ("NaN", good.replacen(&NOW.to_string(), "NaN", 1), "claims_malformed"),
        ("a number that no one can hold", good.replacen(&NOW.to_string(), "1e999", 1), "claims_malformed"),
        ("comment", good.replacen('{', "{/**/", 1), "claims_malformed"),
    ];
    refuse(&forger, rows.into_iter().map(|(n, p, reason)| row(n, forger.with_payload(&p), reason)).collect())
        .await;
}

#[tokio::test]
async fn signatures_that_do_not_cover_the_token() {
    let forger = Forger::new();
    let stranger = Forger::new();
    let good = forger.with_payload(&payload().to_string());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = forger.with_claim("sub", Some(json!("admin")));
    let (other_signed, other_signature) = other.rsplit_once('.').unwrap();
    let by_stranger = stranger.segments(signed.split_once('.').unwrap().0, signed.split_once('.').unwrap().1);
    let rows = vec![
        row("another token's signature", format!("{signed}.{other_signature}"), "signature"),
        row("another token's payload", format!("{other_signed}.{signature}"), "signature"),
        row("a stranger's signature under our kid", by_stranger, "signature"),
        row("zeros", format!("{signed}.{}", b64([0; 64])), "signature"),
        row("63 bytes", format!("{signed}.{}", b64([1; 63])), "signature_form"),
        row("65 bytes", format!("{signed}.{}", b64([1; 65])), "signature_form"),
        row("32 bytes, as HS256", format!("{signed}.{}", b64([1; 32])), "signature_form"),
        row(
            "DER, as ES256",
            format!("{signed}.{}", b64([&[0x30, 0x44, 2, 0x20][..], &[1; 66]].concat())),
            "signature_form",
        ),
        row("the signature twice", format!("{signed}.{signature}{signature}"), "signature_form"),
    ];
    refuse(&forger, rows).await;
}

#[tokio::test]
async fn no_single_character_can_be_changed_left_out_or_put_in() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let good = forger.with_payload(&payload().to_string());
    for i in 0..good.len() {
        for c in ['A', 'B', 'x', '_', '.', '='] {
            let (before, after) = (&good[..i], &good[i + 1..]);
            for bad in [
                format!("{before}{c}{after}"),
                format!("{before}{c}{}", &good[i..]),
                format!("{before}{after}"),
            ] {
                if bad != good {
                    assert!(matches!(verifier.verify(&bad).await, Err(TokenError::Invalid(_))), "{i} {c}");
                }
            }
        }
    }
    assert!(verifier.verify(&good).await.is_ok());
}

#[tokio::test]
async fn errors_say_nothing_of_the_token() {
    let forger = Forger::new();
    let issuer = Issuer::of(&[&forger.key]);
    let verifier: TokenVerifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let error = verifier.verify("a.b.c").await.unwrap_err();
    let outside = mesh_error::Error::from(error);
    assert_eq!((outside.reason(), outside.message()), ("INVALID_TOKEN", "the access token is not valid"));
    assert_eq!(outside.kind(), mesh_error::Kind::Unauthenticated);
    let unavailable = mesh_error::Error::from(TokenError::Unavailable);
    assert_eq!(unavailable.kind(), mesh_error::Kind::Unavailable);
    assert!(unavailable.retry_after().is_some());
    // A token that cannot be read costs the issuer nothing.
    assert_eq!(issuer.fetches(), 0);
}
