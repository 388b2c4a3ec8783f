//! Odd leaves, each signed by the right CA and wrong in one way, and unusual ones that are sound.

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose as Purpose, IsCa, KeyUsagePurpose as Usage,
    SanType,
};

use crate::forge::{Authority, Forged, extension, sound};

pub(crate) const GOOD: &str = mesh_testkit::CLAIMED;

/// A leaf that must be refused.
pub(crate) struct Odd {
    pub(crate) name: String,
    /// How the reason begins, as Debug prints it.
    pub(crate) reason: String,
    pub(crate) forged: Forged,
}

type Change = fn(&mut CertificateParams);

/// Everything that can be wrong with a certificate whose signature is right.
pub(crate) fn odd_leaves(ca: &Authority) -> Vec<Odd> {
    let table = mesh_testkit::odd_leaves();
    table
        .into_iter()
        .map(|odd| Odd { forged: ca.leaf(GOOD, |leaf| odd.spoil(leaf)), name: odd.name, reason: odd.reason })
        .collect()
}

/// Leaves that are unusual and sound: the controls.
pub(crate) fn sound_leaves(ca: &Authority) -> Vec<(&'static str, Forged)> {
    let longest = format!("spiffe://quipu.local/{}", "a".repeat(2048 - "spiffe://quipu.local/".len()));
    let mut all = vec![("2,048 bytes", ca.leaf(&longest, |_| ()))];
    for &(name, change) in SOUND {
        all.push((name, ca.leaf(GOOD, change)));
    }
    for (name, algorithm) in [
        ("P-384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("Ed25519", &rcgen::PKCS_ED25519),
        ("RSA 2048", &rcgen::PKCS_RSA_SHA256),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        all.push((name, Forged { chain: vec![ca.sign(&sound(GOOD), &key)], key }));
    }
    all
}

const SOUND: &[(&str, Change)] = &[
    ("plain", |_| ()),
    ("a DNS name beside", |leaf| {
        leaf.subject_alt_names.push(SanType::DnsName("gateway.quipu.svc".try_into().unwrap()));
    }),
    ("no extended key usage", |leaf| leaf.extended_key_usages.clear()),
    ("no basic constraints", |leaf| leaf.is_ca = IsCa::NoCa),
    ("keyEncipherment beside", |leaf| leaf.key_usages.push(Usage::KeyEncipherment)),
    ("codeSigning beside", |leaf| leaf.extended_key_usages.push(Purpose::CodeSigning)),
    ("no subject, name critical", |leaf| leaf.distinguished_name = DistinguishedName::new()),
    ("unknown extension, not critical", |leaf| {
        leaf.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 99999, 1], false, &[5, 0]));
    }),
];
