//! API keys that are none: every part of a good one changed.

use super::{Case, Expect};
use crate::wire::{api_key, bearer};

/// Bad keys made from a good one; none of them has a checksum that fits.
pub(crate) fn malformed(good: &str) -> Vec<String> {
    let [_, id, secret, sum] = good.split('_').collect::<Vec<_>>().try_into().unwrap();
    let mut keys = vec![
        "qp_".to_owned(),
        "qp__".into(),
        "qp___".into(),
        "qp_a_b_c".into(),
        "qp_null".into(),
        format!("qp_{id}"),
        format!("qp_{id}_{secret}"),
        format!("qp_{id}_{secret}_"),
        format!("qp_{id}__{sum}"),
        format!("qp__{secret}_{sum}"),
        format!("qp_{secret}_{id}_{sum}"),
        format!("qp_{id}_{secret}_{sum}0"),
        format!("qp_{id}_{secret}0_{sum}"),
        format!("qp_{id}0_{secret}_{sum}"),
        format!("qp_{id}_{secret}_{sum}_"),
        format!("qp_qp_{id}_{secret}_{sum}"),
        format!("qp_{id}_{secret}_{secret}_{sum}"),
        good.replace('_', "-"),
        format!("qp_{}", good[3..].to_uppercase()),
        format!("qp_{}", good[3..].to_lowercase()),
        format!("{good}{good}"),
        format!("qp_{id}_{secret}_{}", "0".repeat(sum.len())),
        format!("qp_{id}.{secret}.{sum}"),
        format!("qp_{}_{secret}_{sum}", "x".repeat(100)),
        format!("qp_{id}_{}_{sum}", "x".repeat(100)),
        format!("qp_{}", "x".repeat(300)),
        format!("qp_{id}_{}_{sum}", &secret[1..]),
        format!("qp_{}_{secret}_{sum}", &id[1..]),
        format!("qp_{id}_{secret}_{}", &sum[1..]),
    ];
    for at in 3..good.len() {
        let mut changed = good.as_bytes().to_vec();
        if changed[at] != b'_' {
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            keys.push(String::from_utf8(changed).unwrap());
        }
    }
    keys
}

/// The bad keys as they are shown: in either header, and in ways that are none.
pub(crate) fn cases(good: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, key) in malformed(good).into_iter().enumerate() {
        let shown = if at % 2 == 0 { api_key(&key) } else { bearer(&key) };
        let expect = if at % 2 == 0 || key.starts_with("qp_") { Expect::Key } else { Expect::Token };
        cases.push(Case::headers("key", &format!("key {at}, changed"), shown, expect));
    }
    for (name, key) in [
        ("another prefix", good.replacen("qp_", "sk_", 1)),
        ("no prefix", good[3..].to_owned()),
        ("upper-case prefix", good.replacen("qp_", "QP_", 1)),
        ("in quotes", format!("\"{good}\"")),
        ("percent-encoded", good.replace('_', "%5f")),
        ("wide digits", good.replacen(|c: char| c.is_ascii_digit(), "\u{ff11}", 1)),
        ("Arabic digits", good.replacen(|c: char| c.is_ascii_digit(), "\u{661}", 1)),
        ("something after it", format!("{good},x")),
        ("empty", String::new()),
    ] {
        cases.push(Case::headers("key", name, api_key(&key), Expect::Key));
    }
    cases
}
