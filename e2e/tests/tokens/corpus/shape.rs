//! What is no compact token, what is none in its place, and what is too much.

use http::header::AUTHORIZATION;
use serde_json::json;

use super::{Case, Expect, named};
use crate::{
    forger::{Forger, encoded},
    wire::bearer,
};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    [segments(forger), serialisations(forger), others(), schemes(forger), places(forger), sizes(forger)]
        .concat()
}

fn case(name: impl Into<String>, token: impl Into<String>) -> Case {
    Case::token("shape", name, token)
}

fn parts(forger: &Forger) -> [&str; 3] {
    forger.good.split('.').collect::<Vec<_>>().try_into().unwrap()
}

fn segments(forger: &Forger) -> Vec<Case> {
    let [header, claims, signature] = parts(forger);
    let good = &forger.good;
    let mut cases: Vec<_> = (1..=6).map(|dots| case(format!("{dots} dots"), ".".repeat(dots))).collect();
    cases.extend([
        case("header alone", header),
        case("header and claims", format!("{header}.{claims}")),
        case("a dot at the end", format!("{good}.")),
        case("a dot in front", format!(".{good}")),
        case("four parts", format!("{good}.{signature}")),
        case("five parts", format!("{good}.{claims}.{signature}")),
        case("six parts", format!("{good}.{good}")),
        case("two tokens", format!("{good}{good}")),
        case("two tokens and a comma", format!("{good},{good}")),
        case("two tokens and a space", format!("{good} {good}")),
        case("an equals sign after it", format!("{good}=")),
        case("equals signs in it", format!("{header}=.{claims}=.{signature}=")),
        case("two dots in the middle", format!("{header}..{claims}.{signature}")),
        case("a slash for a dot", good.replace('.', "/")),
        case("escaped dots", good.replace('.', "%2e")),
        case("in quotes", format!("\"{good}\"")),
        case("in angles", format!("<{good}>")),
        case("backwards", good.chars().rev().collect::<String>()),
        case("in upper case", good.to_uppercase()),
        case("encoded once more", encoded(good)),
        case("tilde after it, as SD-JWT", format!("{good}~")),
        case("disclosures after it, as SD-JWT", format!("{good}~WyJhIiwiYiIsImMiXQ~")),
        case("a fragment after it", format!("{good}#x")),
        case("a plus in it", format!("{header}+.{claims}.{signature}")),
    ]);
    cases
}

/// The other serialisations of JOSE, of the good token.
fn serialisations(forger: &Forger) -> Vec<Case> {
    let [header, claims, signature] = parts(forger);
    let flat = json!({"protected": header, "payload": claims, "signature": signature});
    let general = json!({"payload": claims, "signatures": [{"protected": header, "signature": signature}]});
    let unprotected = json!({"payload": claims, "header": {"alg": "EdDSA"}, "signature": signature});
    let both = json!({"payload": claims, "signatures": [
        {"protected": header, "signature": signature},
        {"protected": encoded(r#"{"alg":"none"}"#), "signature": ""}]});
    // Read as compact by one parser and as JSON by another.
    let polyglot = format!("{{\"payload\":\"{claims}\",\"x\":\".{claims}.\",\"signature\":\"{signature}\"}}");
    let encrypted = encoded(r#"{"alg":"dir","enc":"A128GCM"}"#);
    let nested = encoded(r#"{"alg":"dir","enc":"A128GCM","cty":"JWT"}"#);
    let none = encoded(r#"{"alg":"none"}"#);
    let detached = encoded(
        json!({"alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": forger.public.kid()}).to_string(),
    );
    vec![
        case("flattened JSON", flat.to_string()),
        case("general JSON", general.to_string()),
        case("unprotected header", unprotected.to_string()),
        case("two signatures", both.to_string()),
        case("a polyglot", polyglot),
        case("JSON in base64", encoded(flat.to_string())),
        case("encrypted", format!("{encrypted}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA")),
        case(
            "encrypted, a token inside",
            format!("{nested}..AAAAAAAAAAAAAAAA.{}.AAAA", encoded(&forger.good)),
        ),
        case(
            "encrypted with the public key",
            format!("{encrypted}.{}.AAAA.AAAA.AAAA", encoded(forger.public.x())),
        ),
        case("encrypted by name, three parts", format!("{encrypted}.{claims}.{signature}")),
        case("unsecured", format!("{none}.{claims}.")),
        case("unsecured around it", format!("{none}.{}.", encoded(&forger.good))),
        case("detached", format!("{header}..{signature}")),
        case("payload not encoded", format!("{detached}.{{}}.{signature}")),
        case(
            "a token in each part",
            [encoded(&forger.good), encoded(&forger.good), encoded(&forger.good)].join("."),
        ),
    ]
}

/// Other things that are shown as bearer tokens.
fn others() -> Vec<Case> {
    let texts = [
        "null",
        "undefined",
        "true",
        "false",
        "0",
        "-1",
        "NaN",
        "[object Object]",
        "None",
        "nil",
        "token",
        "Bearer",
        "admin",
        "test",
        "%00",
        "a",
        "{}",
        "[]",
        "{\"sub\":\"admin\"}",
        "${jndi:ldap://127.0.0.1/a}",
        "' OR 1=1 --",
        "../../etc/passwd",
        "<script>",
        "v4.public.eyJzdWIiOiJhIn0AAAA",
        "v4.local.AAAA",
        "v2.public.AAAA",
        "MDAxY2xvY2F0aW9uIGh0dHA6Ly9teWJhbmsvCg",
        "PHNhbWxwOlJlc3BvbnNlLz4",
        "ghp_0123456789abcdef",
        "AKIAIOSFODNN7",
        "00000000-0000-0000-0000-000000000000",
        "d41d8cd98f00b204e9800998ecf8427e",
    ];
    let forms = texts.map(|text| Case::token("other things", text, text));
    let refresh = format!("qr_{}_{}", "A".repeat(22), "B".repeat(60));
    [forms.to_vec(), vec![Case::token("other things", "a refresh token's form", refresh)]].concat()
}

/// The good token under another scheme.
fn schemes(forger: &Forger) -> Vec<Case> {
    let good = &forger.good;
    let before = [
        "",
        "Basic ",
        "Digest ",
        "Token ",
        "JWT ",
        "DPoP ",
        "PoP ",
        "MAC ",
        "Negotiate ",
        "OAuth ",
        "Bearer",
        "Bearer:",
        "Bearer: ",
        "Bearer=",
        "Bearer  ",
        "Bearer\t",
        "Bearer \t",
        "Bearer,",
        "Bearer, ",
        "Bearer Bearer ",
        "Bearer token=",
        "Bearer \"",
        "Bearers ",
        "XBearer ",
        "x Bearer ",
        "Bearer+",
        "Bearer%20",
        "Be arer ",
        "\u{a0}Bearer ",
        "Bearer\u{a0}",
        "Beare\u{280} ",
    ];
    let mut cases: Vec<_> = before
        .iter()
        .map(|text| Case::authorization(&format!("{text:?} before it"), format!("{text}{good}")))
        .collect();
    for after in
        [" x", ", x", ",Bearer x", "; charset=utf-8", "\t.", " realm=\"x\"", "\u{e9}", "\"", "\\", ";"]
    {
        cases.push(Case::authorization(&format!("{after:?} after it"), format!("Bearer {good}{after}")));
    }
    for value in ["", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Basic", "=", ",", "bearer"] {
        cases.push(Case::authorization(&format!("{value:?}"), value));
    }
    cases.push(Case::authorization("bytes that are no text", b"Bearer \xff\xfe\xfd".to_vec()));
    cases
}

/// The good token where none belongs, and two at once.
fn places(forger: &Forger) -> Vec<Case> {
    let good = &forger.good;
    let names = [
        "x-authorization",
        "proxy-authorization",
        "x-access-token",
        "x-auth-token",
        "x-forwarded-authorization",
        "x-forwarded-access-token",
        "x-original-authorization",
        "authentication",
        "token",
        "access_token",
        "x-jwt-assertion",
    ];
    let mut cases = vec![
        Case::headers("place", "nothing", vec![], Expect::Nobody),
        Case::headers(
            "place",
            "a cookie",
            vec![named("cookie", &format!("access_token={good}; token={good}"))],
            Expect::Nobody,
        ),
        Case::headers("two", "twice the same", [bearer(good), bearer(good)].concat(), Expect::Twice),
        Case::headers("two", "good and bad", [bearer(good), bearer("x")].concat(), Expect::Twice),
        Case::headers("two", "bad and good", [bearer("x"), bearer(good)].concat(), Expect::Twice),
        Case::headers(
            "two",
            "with a key",
            [bearer("x"), vec![named("x-api-key", "qp_x")]].concat(),
            Expect::Twice,
        ),
        Case::headers("key place", "a token as a key", vec![named("x-api-key", good)], Expect::Key),
        Case::headers(
            "key place",
            "a bearer as a key",
            vec![named("x-api-key", &format!("Bearer {good}"))],
            Expect::Key,
        ),
    ];
    for name in names {
        let shown = vec![named(name, &format!("Bearer {good}"))];
        cases.push(Case::headers("place", name, shown, Expect::Nobody));
    }
    cases
}

/// Up to 8 KiB a token is looked at, up to 16 KiB of headers are read.
fn sizes(forger: &Forger) -> Vec<Case> {
    let padded = |bytes: usize| forger.with_claims(&json!({ "x": "y".repeat(bytes) }));
    let large = |name: &str, value: String| {
        Case::headers("large", name, vec![(AUTHORIZATION, value.into())], Expect::Large)
    };
    vec![
        case("a good one of 9,000 bytes", padded(6_200)),
        case("a good one of 14,000 bytes", padded(10_000)),
        case("8,000 dots", ".".repeat(8_000)),
        case("14,000 dots", ".".repeat(14_000)),
        case("8,000 letters", "A".repeat(8_000)),
        case("4,000 open brackets as a header", format!("{}.e30.AA", encoded("[".repeat(4_000)))),
        large("a good one of 20,000 bytes", format!("Bearer {}", padded(14_000))),
        large("20,000 parts", format!("Bearer {}", "a.".repeat(10_000))),
        large("a scheme of 20,000 letters", "B".repeat(20_000)),
        large("a good one of 60,000 bytes", format!("Bearer {}", padded(44_000))),
    ]
}
