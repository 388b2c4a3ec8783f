//! Signatures that do not hold, under a header and claims that are good.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mesh_identity::SigningKey;
use serde_json::json;

use super::Case;
use crate::forger::{Forger, decoded, encoded, pair};

/// The order of the group, little endian: added to S it gives the same signature to a verifier that does not look.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    [flips(forger), lengths(forger), foreign(forger), algebra(forger), other_kinds(forger), texts(forger)]
        .concat()
}

fn parts(forger: &Forger) -> [&str; 3] {
    forger.good.split('.').collect::<Vec<_>>().try_into().unwrap()
}

fn with(forger: &Forger, signature: impl AsRef<[u8]>) -> String {
    let [header, claims, _] = parts(forger);
    format!("{header}.{claims}.{}", encoded(signature))
}

fn case(name: impl Into<String>, token: String) -> Case {
    Case::token("signature", name, token)
}

/// One bit of each part, at 16 places.
fn flips(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, part) in ["header", "claims", "signature"].into_iter().enumerate() {
        for place in 0..16_usize {
            let mut pieces = parts(forger).map(decoded);
            let length = pieces[at].len();
            pieces[at][place * length / 16] ^= 1 << (place % 7);
            let token = pieces.map(encoded).join(".");
            cases.push(case(
                format!("bit {} of the {part} flipped", place * length / 16 * 8 + place % 7),
                token,
            ));
        }
    }
    cases
}

fn lengths(forger: &Forger) -> Vec<Case> {
    let [header, claims, signature] = parts(forger);
    let good = decoded(signature);
    let mut cases: Vec<_> = [0, 1, 31, 32, 63]
        .map(|length| case(format!("{length} bytes of it"), with(forger, &good[..length])))
        .into();
    for more in [1, 32, 64] {
        let longer = [good.as_slice(), &vec![0; more]].concat();
        cases.push(case(format!("{more} bytes more"), with(forger, longer)));
    }
    cases.push(case("twice", with(forger, [good.as_slice(), &good].concat())));
    cases.push(case("stripped with its dot", format!("{header}.{claims}")));
    // Signed first, cut or changed afterwards.
    cases
        .push(case("claims cut afterwards", format!("{header}.{}.{signature}", &claims[..claims.len() - 4])));
    cases.push(case("claims gone afterwards", format!("{header}..{signature}")));
    cases.push(case("header gone afterwards", format!(".{claims}.{signature}")));
    cases
}

fn foreign(forger: &Forger) -> Vec<Case> {
    let [header, claims, signature] = parts(forger);
    let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap();
    let (own, stranger) = (SigningKey::from_pkcs8_pem(&pem).unwrap(), pair(&pem));
    let signed = |text: &str| stranger.sign(text.as_bytes()).as_ref().to_vec();
    let own_header = json!({"alg": "EdDSA", "kid": own.kid(), "typ": "at+jwt"}).to_string();
    let under_own = format!("{}.{claims}", encoded(own_header));
    let admin = forger.with_claims(&json!({"roles": ["admin"], "scope": "users:admin", "sub": "admin"}));
    let admin: Vec<_> = admin.split('.').collect();
    vec![
        case("a stranger's, by the good name", with(forger, signed(&format!("{header}.{claims}")))),
        case("a stranger's, by its own name", format!("{under_own}.{}", encoded(signed(&under_own)))),
        case("that of other claims", format!("{header}.{claims}.{}", admin[2])),
        case("claims of an administrator under it", format!("{header}.{}.{signature}", admin[1])),
        case("over the header alone", with(forger, forger.signature(header))),
        case("over the claims alone", with(forger, forger.signature(claims))),
        case(
            "over the decoded text",
            with(forger, forger.signature([decoded(header), decoded(claims)].concat())),
        ),
        case("over the parts in turn", with(forger, forger.signature(format!("{claims}.{header}")))),
        case("over another dot", with(forger, forger.signature(format!("{header}{claims}")))),
        case("over nothing", with(forger, forger.signature(""))),
        case("parts in turn", format!("{claims}.{header}.{signature}")),
        case("signature in front", format!("{signature}.{header}.{claims}")),
    ]
}

/// Values for which a careless verifier's equation holds whatever was signed.
fn algebra(forger: &Forger) -> Vec<Case> {
    let good = decoded(parts(forger)[2]);
    let (r, s) = good.split_at(32);
    let mut identity = [0; 32];
    identity[0] = 1;
    let minus_one: [u8; 32] = {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (0xec, 0x7f);
        y
    };
    let order_8 = decoded("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG0T_AU");
    let mut cases = Vec::new();
    for (name, point) in [
        ("0", [0; 32].to_vec()),
        ("the identity", identity.to_vec()),
        ("-1", minus_one.to_vec()),
        ("of order 8", order_8),
        ("all ones", vec![0xff; 32]),
    ] {
        for (value, scalar) in
            [("0", [0; 32]), ("1", identity), ("the order", ORDER), ("all ones", [0xff; 32])]
        {
            cases.push(case(
                format!("R {name}, S {value}"),
                with(forger, [point.as_slice(), &scalar].concat()),
            ));
        }
        cases.push(case(format!("R {name}, S good"), with(forger, [point.as_slice(), s].concat())));
    }
    let mut scalar = s.to_vec();
    for times in 1..=4 {
        scalar = plus_order(&scalar);
        cases.push(case(
            format!("S + {times} times the order"),
            with(forger, [r, scalar.as_slice()].concat()),
        ));
    }
    for bit in [0x20, 0x40, 0x80] {
        let mut high = good.clone();
        high[63] |= bit;
        cases.push(case(format!("S with bit {bit:#x} of its end"), with(forger, high)));
    }
    cases.push(case("halves in turn", with(forger, [s, r].concat())));
    cases.push(case("big endian", with(forger, good.iter().rev().copied().collect::<Vec<_>>())));
    cases
}

fn plus_order(scalar: &[u8]) -> Vec<u8> {
    let mut carry = 0_u16;
    let mut sum = Vec::new();
    for (a, b) in scalar.iter().zip(ORDER) {
        carry += u16::from(*a) + u16::from(b);
        sum.push(carry.to_le_bytes()[0]);
        carry >>= 8;
    }
    sum
}

/// Signatures of other algorithms, psychic ones among them (CVE-2022-21449: r = s = 0).
fn other_kinds(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    for alg in ["EdDSA", "ES256"] {
        let header = encoded(json!({"alg": alg, "kid": forger.public.kid(), "typ": "at+jwt"}).to_string());
        let signed = format!("{header}.{}", parts(forger)[1]);
        for (form, fixed) in [("r ‖ s", true), ("DER", false)] {
            let how = if fixed { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P256_SHA256_ASN1_SIGNING };
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &SystemRandom::new()).unwrap();
            let key = EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref()).unwrap();
            let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            let token = format!("{signed}.{}", encoded(signature.as_ref()));
            cases.push(case(format!("ECDSA as {form} under {alg}"), token));
        }
        for (name, psychic) in [
            ("r = s = 0", vec![0; 64]),
            ("r = s = 0 in DER", vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
            ("r = s = 1 in DER", vec![0x30, 6, 2, 1, 1, 2, 1, 1]),
            ("an empty sequence", vec![0x30, 0]),
            ("r and s without bytes", vec![0x30, 4, 2, 0, 2, 0]),
        ] {
            cases.push(case(format!("{name} under {alg}"), format!("{signed}.{}", encoded(psychic))));
        }
    }
    cases
}

/// The good signature in other spellings.
fn texts(forger: &Forger) -> Vec<Case> {
    let [header, claims, signature] = parts(forger);
    let good = decoded(signature);
    let hex: String = good.iter().map(|byte| format!("{byte:02x}")).collect();
    let last = signature.chars().last().unwrap();
    // 64 bytes leave four bits of the last character unused.
    let other = if last == 'A' { 'B' } else { char::from(last as u8 + 1) };
    let spelled = [
        ("standard alphabet", format!("{}+/", &STANDARD.encode(&good)[..84])),
        ("padded", STANDARD.encode(&good).replace('+', "-").replace('/', "_")),
        ("padded with one sign", format!("{signature}=")),
        ("bits after its end", format!("{}{other}", &signature[..signature.len() - 1])),
        ("one character more", format!("{signature}A")),
        ("one character less", signature[..signature.len() - 1].to_owned()),
        ("hexadecimal", hex),
        ("other case", signature.chars().map(flip_case).collect()),
        ("a space in it", format!("{} {}", &signature[..40], &signature[40..])),
        ("percent-encoded", format!("%{:02X}{}", signature.as_bytes()[0], &signature[1..])),
        ("a tilde in it", format!("~{}", &signature[1..])),
    ];
    spelled.map(|(name, text)| case(name, format!("{header}.{claims}.{text}"))).into()
}

fn flip_case(letter: char) -> char {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}
