//! Headers that the issuer never writes, each under a signature that holds.

use serde_json::{Value, json};

use super::Case;
use crate::forger::{Forger, encoded};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    [algorithms(forger), types(forger), members(forger), kids(forger), twice(forger), forms(forger)].concat()
}

const ALGORITHMS: &[&str] = &[
    "none",
    "None",
    "NONE",
    "nOnE",
    "none ",
    " none",
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES256K",
    "ES384",
    "ES512",
    "Ed25519",
    "Ed448",
    "Ed25519ph",
    "eddsa",
    "EDDSA",
    "EdDSA ",
    "EdDSA\u{0}",
    "EdDSA\n",
    "\u{ff25}dDSA",
    "EdDSA,none",
    "dir",
    "A128KW",
    "RSA-OAEP",
    "ECDH-ES",
    "PBES2-HS256+A128KW",
    "HS256/64",
    "ML-DSA-44",
    "unknown",
    "",
];

fn algorithms(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    for alg in ALGORITHMS {
        let token = forger.with_raw_header("alg", &json!(alg).to_string());
        cases.push(Case::token("alg", format!("alg {alg:?}, the key's own signature"), &token));
        if alg.trim().eq_ignore_ascii_case("none") {
            let (signed, _) = token.rsplit_once('.').unwrap();
            cases.push(Case::token("alg", format!("alg {alg:?}, empty signature"), format!("{signed}.")));
            cases.push(Case::token("alg", format!("alg {alg:?}, no signature"), signed));
        }
    }
    for value in ["null", "1", "true", "[\"EdDSA\"]", "{\"alg\":\"EdDSA\"}", "[]"] {
        cases.push(Case::token("alg", format!("alg {value}"), forger.with_raw_header("alg", value)));
    }
    cases.push(Case::token("alg", "alg missing", forger.with_header(&json!({ "alg": null }))));
    cases.push(Case::token("alg", "Alg", forger.with_header(&json!({ "alg": null, "Alg": "EdDSA" }))));
    cases
}

/// RFC 8725 §3.11: a token for one purpose is none for another.
fn types(forger: &Forger) -> Vec<Case> {
    let types = [
        "JWT",
        "jwt",
        "AT+JWT",
        "at+JWT",
        "application/at+jwt",
        "at+jwt ",
        "at",
        "refresh+jwt",
        "rt+jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "kb+jwt",
        "token-introspection+jwt",
        "entity-statement+jwt",
        "JOSE",
        "",
    ];
    let mut cases: Vec<_> = types
        .iter()
        .map(|typ| Case::token("typ", format!("typ {typ:?}"), forger.with_header(&json!({ "typ": typ }))))
        .collect();
    for value in ["null", "1", "[\"at+jwt\"]", "{}"] {
        cases.push(Case::token("typ", format!("typ {value}"), forger.with_raw_header("typ", value)));
    }
    cases.push(Case::token("typ", "typ missing", forger.with_header(&json!({ "typ": null }))));
    cases
}

/// Members that change the meaning of a token for who heeds them, and so must not be passed over by who does not.
fn members(forger: &Forger) -> Vec<Case> {
    let all = [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["unknown"], "unknown": true}),
        json!({"crit": "exp"}),
        json!({"crit": ["crit"]}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"zip": "GZ"}),
        json!({"cty": "JWT"}),
        json!({"cty": "application/json"}),
        json!({"enc": "A128GCM"}),
        json!({"enc": "none"}),
        json!({"p2s": "AAAA", "p2c": 2_147_483_647}),
        json!({"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}),
        json!({"iv": "AA", "tag": "AA"}),
        json!({"apu": "AA", "apv": "AA"}),
        json!({"x5t": "AA"}),
        json!({"x5t#S256": "AA"}),
        json!({"ppt": "shaken"}),
        json!({"svt": ["x"]}),
        json!({"nonce": "x"}),
        json!({"url": "http://127.0.0.1/"}),
        json!({"iss": "https://auth.quipu.local", "aud": "quipu"}),
        json!({"sub": "admin"}),
        json!({"kty": "OKP", "crv": "Ed25519"}),
        json!({"k": "AA"}),
        json!({"__proto__": {"alg": "none"}}),
        json!({"constructor": {"prototype": {"isAdmin": true}}}),
        json!({"ALG": "none"}),
        json!({"": ""}),
        json!({"x": "y".repeat(2_000)}),
    ];
    let case = |set: &Value| Case::token("member", format!("with {set:.60}"), forger.with_header(set));
    all.iter().map(case).collect()
}

/// A `kid` is looked up: in a list of keys, and never as a path, a query, a command, a template or an address.
fn kids(forger: &Forger) -> Vec<Case> {
    let own = forger.public.kid();
    let texts = [
        String::new(),
        " ".into(),
        "0".into(),
        "a".repeat(42),
        "a".repeat(43),
        "a".repeat(44),
        "A".repeat(5_000),
        own[1..].to_owned(),
        format!("{own} "),
        format!(" {own}"),
        format!("{own}\u{0}"),
        format!("{own}\n"),
        format!("{own}.pem"),
        own.to_uppercase(),
        own.to_lowercase(),
        format!("{own}{own}"),
        "../../../../dev/null".into(),
        "/dev/null".into(),
        "/proc/sys/kernel/randomize_va_space".into(),
        "..%2f..%2f..%2fdev%2fnull".into(),
        "..\\..\\windows\\win.ini".into(),
        "file:///etc/passwd".into(),
        "keys/../../etc/hostname".into(),
        "' OR '1'='1".into(),
        "' UNION SELECT 'c2VjcmV0' -- ".into(),
        "1; DROP TABLE users; --".into(),
        "\" OR \"\"=\"".into(),
        "$(sleep 5)".into(),
        "`sleep 5`".into(),
        "| sleep 5".into(),
        "; sleep 5 #".into(),
        "x\nsleep 5".into(),
        "*)(uid=*))(|(uid=*".into(),
        "{{7*7}}".into(),
        "${7*7}".into(),
        "#{7*7}".into(),
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>".into(),
        "%00".into(),
        "%n%n%n%s".into(),
        "\u{feff}".into(),
        "\u{202e}".into(),
        "キー".into(),
        "__proto__".into(),
    ];
    let mut cases: Vec<_> = texts
        .iter()
        .map(|kid| Case::token("kid", format!("kid {kid:.50?}"), forger.with_header(&json!({ "kid": kid }))))
        .collect();
    for value in ["null", "0", "true", "[]", "{}", "-1", "1e300"] {
        cases.push(Case::token("kid", format!("kid {value}"), forger.with_raw_header("kid", value)));
    }
    let array = json!([own]).to_string();
    cases.push(Case::token("kid", "kid in an array", forger.with_raw_header("kid", &array)));
    cases.push(Case::token("kid", "kid missing", forger.with_header(&json!({ "kid": null }))));
    cases
}

/// The same member twice has two readings (RFC 8725 §2.4); also when one of them is spelled with escapes.
fn twice(forger: &Forger) -> Vec<Case> {
    let kid = forger.public.kid();
    let headers = [
        format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"none","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","\u0061lg":"none","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"\u0061lg":"none","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"x","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt","x":{{"a":1,"a":2}}}}"#),
    ];
    let payload = forger.payload();
    headers.iter().map(|h| Case::token("twice", h.replace(kid, "…"), forger.sign(h, &payload))).collect()
}

/// What is not one strict JSON object.
fn forms(forger: &Forger) -> Vec<Case> {
    let good = forger.header_text();
    let inside = &good[1..good.len() - 1];
    let deep = format!("{{{inside},\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("{}", "{}".into()),
        ("an array", format!("[{good}]").into()),
        ("a string", Value::String(good.clone()).to_string().into()),
        ("a number", "1".into()),
        ("null", "null".into()),
        ("byte order mark", format!("\u{feff}{good}").into()),
        ("something after it", format!("{good}x").into()),
        ("two objects", format!("{good}{good}").into()),
        ("a comment", format!("{{/**/{inside}}}").into()),
        ("a comma at the end", format!("{{{inside},}}").into()),
        ("single quotes", good.replace('"', "'").into()),
        ("no end", good[..good.len() - 1].into()),
        ("nested deep", deep.into()),
        ("NaN", format!("{{{inside},\"x\":NaN}}").into()),
        ("half a surrogate", format!("{{{inside},\"x\":\"\\ud800\"}}").into()),
        ("no UTF-8", [b"{\"x\":\"\xff\",", inside.as_bytes(), b"}"].concat()),
        ("NUL after it", format!("{good}\0").into()),
        ("UTF-16", wide),
        ("wide letters", good.replace("alg", "\u{ff41}lg").into()),
        ("encoded twice", encoded(&good).into()),
    ];
    let payload = forger.payload();
    texts
        .into_iter()
        .map(|(name, text)| Case::token("header form", name, forger.sign(text, &payload)))
        .collect()
}
