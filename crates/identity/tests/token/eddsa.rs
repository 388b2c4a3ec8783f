//! Signatures at the edges of Ed25519 (RFC 8032 §5.1.7), made here from the definition.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mesh_identity::{Revocations, TokenError};

use crate::support::{Forger, Issuer, TestClock, b64, payload, verifier};

/// The order of the base point, 2^252 + 27742317777372353535851937790883648493, little endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The field's prime, 2^255 - 19, little endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    p
};

fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0;
    for i in 0..32 {
        let digit = u16::from(a[i]) + u16::from(b[i]) + carry;
        sum[i] = digit.to_le_bytes()[0];
        carry = digit >> 8;
    }
    sum
}

#[tokio::test]
async fn only_the_one_signature_of_the_key_is_taken() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    for n in 0..64 {
        let good = forger.with_claim("jti", Some(format!("token-{n}").into()));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let signature: [u8; 64] = URL_SAFE_NO_PAD.decode(signature).unwrap().try_into().unwrap();
        let r: [u8; 32] = signature[..32].try_into().unwrap();
        let s: [u8; 32] = signature[32..].try_into().unwrap();
        let zero = [0; 32];
        let one = add(zero, {
            let mut one = zero;
            one[0] = 1;
            one
        });
        let flip = |mut bytes: [u8; 32], byte: usize, bits: u8| {
            bytes[byte] ^= bits;
            bytes
        };
        let mut forged = vec![
            ("S + L, the same scalar again", r, add(s, L)),
            ("S + 2L", r, add(add(s, L), L)),
            ("S = 0", r, zero),
            ("S = 1", r, one),
            ("S = L", r, L),
            ("S = L + 1", r, add(L, one)),
            ("S = 2^256 - 1", r, [0xff; 32]),
            ("the top bits of S", r, flip(s, 31, 0xe0)),
            ("R with the other sign", flip(r, 31, 0x80), s),
            ("R + p, the same point unreduced", add(r, P), s),
            ("R = 0", zero, s),
            ("R is the identity", one, s),
            ("R is the identity, unreduced", add(one, P), s),
            ("R is the identity and S = 0", one, zero),
            ("R = p", P, s),
            ("R is all ones", [0xff; 32], s),
            ("R is the public key", *forger.key.public().x(), s),
            ("R and S swapped", s, r),
            ("S + 1", r, add(s, one)),
        ];
        let byte = n % 32;
        forged.push(("a bit of R", flip(r, byte, 1 << (n % 8)), s));
        forged.push(("a bit of S", r, flip(s, byte, 1 << (n % 8))));
        for (name, r, s) in forged {
            let token = format!("{signed}.{}", b64([r, s].concat()));
            assert_eq!(verifier.verify(&token).await, Err(TokenError::Invalid("signature")), "{name}");
        }
        assert!(verifier.verify(&good).await.is_ok());
    }
}

#[tokio::test]
async fn a_signature_of_another_message_form_is_refused() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let good = forger.with_payload(&payload().to_string());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    // Over the payload alone (as with `b64: false` and detached content), over swapped parts, over nothing.
    for wrong in [forger.segments("", claims), forger.segments(claims, header), forger.segments("", "")] {
        let (_, signature) = wrong.rsplit_once('.').unwrap();
        let token = format!("{signed}.{signature}");
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Invalid("signature")));
    }
}
