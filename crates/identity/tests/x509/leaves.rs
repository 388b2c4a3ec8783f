//! `verify_leaf` against sound, odd and damaged certificates.

use mesh_identity::{SvidError, Tls, verify_leaf};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::CertificateDer;

use crate::{
    forge::{Authority, sound},
    odd::{GOOD, odd_leaves, sound_leaves},
};

fn reason(der: &[u8]) -> String {
    format!("{:?}", verify_leaf(&CertificateDer::from(der)).expect_err("must be refused"))
}

/// Replaces bytes by as many others, `times` times from the start; every length in the DER stays right.
fn patch(der: &[u8], from: &[u8], to: &[u8], times: usize) -> Vec<u8> {
    let mut der = der.to_vec();
    for _ in 0..times {
        let at = der.windows(from.len()).position(|window| window == from).expect("the bytes are there");
        der.splice(at..at + from.len(), to.iter().copied());
    }
    der
}

#[test]
fn sound_leaves_name_their_workload() {
    let ca = Authority::root("ca");
    for (name, forged) in sound_leaves(&ca) {
        let peer = verify_leaf(forged.leaf()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(peer.id.as_str().starts_with("spiffe://quipu.local/"), "{name}");
        assert!(peer.not_after > std::time::SystemTime::now(), "{name}");
    }
}

#[test]
fn odd_leaves_are_refused_each_for_its_reason() {
    let ca = Authority::root("ca");
    let all = odd_leaves(&ca);
    assert!(all.len() >= 50, "{}", all.len());
    for odd in all {
        let reason = reason(odd.forged.leaf());
        assert!(reason.starts_with(&odd.reason), "{}: {reason}", odd.name);
    }
}

/// An RSA key of any size, which nobody has the private half of.
struct Rsa(Vec<u8>);

impl Rsa {
    /// A modulus of this many bytes; `top` is the first of them.
    fn new(bytes: u16, top: u8) -> Self {
        let length = |n: usize| [&[0x82][..], &u16::try_from(n).unwrap().to_be_bytes()].concat();
        let mut modulus = vec![0xA5; usize::from(bytes)];
        modulus[0] = top;
        if top >= 0x80 {
            modulus.insert(0, 0);
        }
        let integer = [&[2][..], &length(modulus.len()), &modulus].concat();
        let body = [&integer[..], &[2, 3, 1, 0, 1]].concat();
        Self([&[0x30][..], &length(body.len()), &body].concat())
    }
}

impl PublicKeyData for Rsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

#[test]
fn short_rsa_keys_are_refused() {
    let ca = Authority::root("ca");
    let leaf = |key: Rsa| ca.sign(&sound(GOOD), &key);
    assert!(verify_leaf(&leaf(Rsa::new(256, 0x80))).is_ok(), "2048 bits");
    assert!(reason(&leaf(Rsa::new(128, 0x80))).contains("RSA of 1024 bits"));
    assert!(reason(&leaf(Rsa::new(256, 0x7f))).contains("RSA of 2047 bits"));
}

#[test]
fn old_signature_algorithms_are_refused() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let der = sound(GOOD).self_signed(&key).unwrap().der().to_vec();
    assert!(verify_leaf(&der.clone().into()).is_ok(), "the control");
    let sha256 = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
    for (last, name) in [(5, "SHA-1"), (4, "MD5"), (2, "MD2"), (10, "PSS with unknown parameters")] {
        let mut old = sha256;
        old[8] = last;
        assert!(reason(&patch(&der, &sha256, &old, 2)).starts_with("WeakSignature"), "{name}");
    }
    let mut sha384 = sha256;
    sha384[8] = 12;
    assert!(reason(&patch(&der, &sha256, &sha384, 1)).contains("two signature algorithms"));
}

#[test]
fn unknown_curves_are_refused() {
    let ca = Authority::root("ca");
    let p256 = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    let p192 = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x01];
    let der = patch(ca.workload("gateway").leaf(), &p256, &p192, 1);
    assert!(reason(&der).contains("curve 1.2.840.10045.3.1.1"));
}

#[test]
fn damaged_certificates_are_refused() {
    let ca = Authority::root("ca");
    let forged = ca.workload("gateway");
    let der = forged.leaf().as_ref();
    assert!(reason(&[]).starts_with("Malformed"));
    assert!(reason(b"-----BEGIN CERTIFICATE-----").starts_with("Malformed"));
    assert!(reason(&[der, &[0]].concat()).contains("bytes follow"));
    assert!(reason(&patch(der, &[0xA0, 3, 2, 1, 2], &[0xA0, 3, 2, 1, 0], 1)).contains("version 3"));
    for length in 0..der.len() {
        assert!(reason(&der[..length]).starts_with("Malformed"), "cut after {length} bytes");
    }
}

#[test]
fn no_flipped_bit_makes_it_panic() {
    let ca = Authority::root("ca");
    let der = ca.workload("gateway").leaf().to_vec();
    for position in 0..der.len() {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[position] ^= 1 << bit;
            let _ = verify_leaf(&flipped.into());
        }
    }
}

#[test]
fn a_peer_needs_a_certificate() {
    assert_eq!(Tls::peer(None), Err(SvidError::Missing));
    assert_eq!(Tls::peer(Some(&[])), Err(SvidError::Missing));
    let forged = Authority::root("ca").workload("gateway");
    assert_eq!(Tls::peer(Some(&forged.chain)).unwrap().id.as_str(), GOOD);
}
