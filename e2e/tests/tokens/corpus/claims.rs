//! Claims that the issuer never makes, each under a signature that holds.

use std::io::Write as _;

use serde_json::{Value, json};

use super::Case;
use crate::forger::{Forger, encoded};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    [times(forger), parties(forger), ids(forger), grants(forger), twice(forger), forms(forger)].concat()
}

/// A case for each JSON text of a claim.
fn raw(forger: &Forger, claim: &'static str, texts: &[String]) -> Vec<Case> {
    let case =
        |text: &String| Case::token(claim, format!("{claim} {text:.60}"), forger.with_raw_claim(claim, text));
    let mut cases: Vec<_> = texts.iter().map(case).collect();
    cases.push(Case::token(claim, format!("{claim} missing"), forger.with_claims(&json!({ claim: null }))));
    cases
}

/// What is no count of seconds: what other languages' parsers take for one.
fn no_seconds(good: u64) -> Vec<String> {
    let odd = [
        "null",
        "true",
        "\"\"",
        "[]",
        "{}",
        "-1",
        "1e300",
        "1e999",
        "9223372036854775808",
        "18446744073709551616",
        "0x7fffffff",
        "Infinity",
        "\"Infinity\"",
        "NaN",
        "\"NaN\"",
        "\"never\"",
    ];
    let written = [
        format!("\"{good}\""),
        format!("{good}.0"),
        format!("{good}.5"),
        format!("-{good}"),
        format!("0{good}"),
        format!("+{good}"),
        format!("[{good}]"),
        format!("{{\"$date\":{good}}}"),
        format!("{good}000"),
    ];
    odd.into_iter().map(str::to_owned).chain(written).collect()
}

fn times(forger: &Forger) -> Vec<Case> {
    let now = forger.iat();
    let mut cases = Vec::new();
    for (claim, good) in [("exp", now + 600), ("nbf", now), ("iat", now)] {
        cases.extend(raw(forger, claim, &no_seconds(good)));
    }
    let (year, hour) = (31_536_000, 3_600);
    let set = [
        ("exp", "exp is 0", json!({"exp": 0})),
        (
            "exp",
            "ended an hour ago",
            json!({"exp": now - hour, "iat": now - 2 * hour, "nbf": now - 2 * hour}),
        ),
        ("exp", "ends as it begins", json!({"exp": now, "iat": now, "nbf": now})),
        ("exp", "ended a second ago", json!({"exp": now - 1, "iat": now - 60, "nbf": now - 60})),
        ("exp", "lives a year", json!({"exp": now + year})),
        ("exp", "lives 100 years", json!({"exp": now + 100 * year})),
        ("exp", "lives an hour and a second", json!({"exp": now + hour + 1})),
        ("nbf", "not yet good", json!({"nbf": now + hour, "exp": now + 2 * hour, "iat": now + hour})),
        ("nbf", "good in five minutes", json!({"nbf": now + 300})),
        ("nbf", "good after its end", json!({"nbf": now + 601, "exp": now + 600})),
        ("iat", "issued in an hour", json!({"iat": now + hour, "exp": now + 2 * hour})),
        ("iat", "issued in five minutes", json!({"iat": now + 300})),
        ("iat", "issued in 1970", json!({"iat": 0})),
        ("iat", "issued after its end", json!({"iat": now + 601, "exp": now + 600})),
    ];
    cases.extend(set.map(|(class, name, set)| Case::token(class, name, forger.with_claims(&set))));
    cases
}

/// Texts that are nearly `good`, and other types.
fn nearly(good: &str) -> Vec<String> {
    let texts = [
        String::new(),
        " ".into(),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}/"),
        format!("{good}\u{0}"),
        format!("{good}\n"),
        good.to_uppercase(),
        good[1..].to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        format!("{good},other"),
        format!("{good} other"),
        "*".into(),
        ".*".into(),
        "other".into(),
        good.replacen('u', "\u{443}", 1),
        format!("{good}\u{200b}"),
        good.replacen('u', "%75", 1),
    ];
    let types = [
        "null".to_owned(),
        "0".into(),
        "true".into(),
        "[]".into(),
        "{}".into(),
        format!("[\"{good}\"]"),
        format!("[[\"{good}\"]]"),
        format!("[\"{good}\",\"other\"]"),
        format!("[\"other\",\"{good}\"]"),
        format!("{{\"{good}\":true}}"),
        format!("{{\"value\":\"{good}\"}}"),
    ];
    texts.into_iter().map(|text| Value::String(text).to_string()).chain(types).collect()
}

fn parties(forger: &Forger) -> Vec<Case> {
    let mut cases = raw(forger, "aud", &nearly("quipu"));
    let iss = "https://auth.quipu.local";
    cases.extend(raw(forger, "iss", &nearly(iss)));
    for other in [
        "http://auth.quipu.local",
        "https://auth.quipu.local:443",
        "https://auth.quipu.local@evil.example",
        "https://auth.quipu.local.evil.example",
        "https://evil.example/auth.quipu.local",
        "//auth.quipu.local",
        "auth.quipu.local",
        "https://auth.quipu.local/tenant",
        "https://auth.quipu.local?",
        "https://auth.quipu.local#",
    ] {
        cases.push(Case::token("iss", format!("iss {other}"), forger.with_claims(&json!({ "iss": other }))));
    }
    cases
}

fn ids(forger: &Forger) -> Vec<Case> {
    let long = "x".repeat(129);
    let texts = ["", " ", "a b", "a\nb", "a\u{0}", "é", "\u{202e}x", long.as_str()]
        .map(|text| json!(text).to_string());
    let types = ["null", "0", "true", "[]", "[\"a\"]", "{}", "{\"id\":\"a\"}"].map(str::to_owned);
    let all: Vec<_> = texts.into_iter().chain(types).collect();
    ["sub", "sid", "jti"].into_iter().flat_map(|claim| raw(forger, claim, &all)).collect()
}

fn grants(forger: &Forger) -> Vec<Case> {
    let many = |count: usize| (0..count).map(|i| format!("s{i}")).collect::<Vec<_>>();
    let word = "x".repeat(65);
    let scopes = [
        "null".to_owned(),
        "0".into(),
        "{}".into(),
        "[\"profile:read\"]".into(),
        "[\"*\"]".into(),
        json!("profile:read  users:admin").to_string(),
        json!(" profile:read").to_string(),
        json!("profile:read ").to_string(),
        json!("profile:read\tusers:admin").to_string(),
        json!("profile:read profile:read").to_string(),
        json!("profile\"read").to_string(),
        json!("é").to_string(),
        json!(word).to_string(),
        json!(many(65).join(" ")).to_string(),
    ];
    let roles = [
        "null".to_owned(),
        "\"admin\"".into(),
        "0".into(),
        "{\"admin\":true}".into(),
        "[1]".into(),
        "[null]".into(),
        "[[\"admin\"]]".into(),
        "[\"user\",\"user\"]".into(),
        "[\"\"]".into(),
        "[\"a b\"]".into(),
        "[{\"role\":\"admin\"}]".into(),
        json!(many(33)).to_string(),
        json!([word]).to_string(),
    ];
    let clients =
        ["null".to_owned(), "0".into(), "\"\"".into(), "{}".into(), json!("x".repeat(129)).to_string()];
    let mut clients = raw(forger, "client_id", &clients);
    // It may be missing.
    clients.pop();
    [raw(forger, "scope", &scopes), raw(forger, "roles", &roles), clients].concat()
}

fn twice(forger: &Forger) -> Vec<Case> {
    let good = forger.payload();
    let inside = &good[1..good.len() - 1];
    let more = [
        "\"sub\":\"admin\"",
        "\"exp\":9999999999",
        "\"aud\":\"other\"",
        "\"iss\":\"x\"",
        "\"roles\":[\"admin\"]",
        "\"scope\":\"users:admin\"",
        "\"\\u0073ub\":\"admin\"",
        "\"r\\u006fles\":[\"admin\"]",
        "\"x\":{\"a\":1,\"a\":2}",
        "\"x\":[{\"a\":1,\"\\u0061\":2}]",
    ];
    let mut cases = Vec::new();
    for member in more {
        let after = forger.with_payload(format!("{{{inside},{member}}}"));
        let before = forger.with_payload(format!("{{{member},{inside}}}"));
        cases.push(Case::token("twice", format!("{member} at the end"), after));
        cases.push(Case::token("twice", format!("{member} at the front"), before));
    }
    cases
}

fn forms(forger: &Forger) -> Vec<Case> {
    let good = forger.payload();
    let inside = &good[1..good.len() - 1];
    let deep = |depth| format!("{{{inside},\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let mut bomb = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(format!("{{{inside},\"x\":\"{}\"}}", " ".repeat(4_000_000)).as_bytes()).unwrap();
    let bomb = bomb.finish().unwrap();
    let bomb = &bomb[..bomb.len().min(4_500)];
    let texts: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("{}", "{}".into()),
        ("an array", format!("[{good}]").into()),
        ("a string", Value::String(good.clone()).to_string().into()),
        ("null", "null".into()),
        ("a nested token", forger.good.clone().into()),
        ("form-encoded", "sub=admin&exp=9999999999".into()),
        ("no end", good[..good.len() - 1].into()),
        ("cut in the middle", good[..good.len() / 2].into()),
        ("something after it", format!("{good}x").into()),
        ("two objects", format!("{good}{good}").into()),
        ("byte order mark", format!("\u{feff}{good}").into()),
        ("a comment", format!("{{/**/{inside}}}").into()),
        ("single quotes", good.replace('"', "'").into()),
        ("nested deeper than allowed", deep(8).into()),
        ("nested 1,500 deep", deep(1_500).into()),
        ("half a surrogate", format!("{{{inside},\"x\":\"\\udfff\"}}").into()),
        ("no UTF-8", [b"{\"x\":\"\xc0\xae\",", inside.as_bytes(), b"}"].concat()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("CBOR, as CWT has it", vec![0xa1, 0x02, 0x65, b'a', b'd', b'm', b'i', b'n']),
        ("a bomb", bomb.to_vec()),
        ("encoded twice", encoded(&good).into()),
        ("wide letters", good.replace("\"sub\"", "\"\u{ff53}ub\"").into()),
        ("upper case", good.replace("\"sub\"", "\"SUB\"").into()),
        ("a number of 400 digits", format!("{{{inside},\"x\":1e{}}}", "9".repeat(400)).into()),
    ];
    let mut cases: Vec<_> = texts
        .into_iter()
        .map(|(name, text)| Case::token("claims form", name, forger.with_payload(text)))
        .collect();
    // A compressed payload under the header that says so.
    let header = forger.header_text();
    let zipped = format!("{},\"zip\":\"DEF\"}}", &header[..header.len() - 1]);
    cases.push(Case::token("claims form", "a bomb that the header names", forger.sign(zipped, bomb)));
    cases
}
