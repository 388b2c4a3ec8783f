//! The table of odd leaves: each is signed by the right CA and wrong in one way.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose as Purpose,
    GeneralSubtree, IsCa, KeyUsagePurpose as Usage, NameConstraints, SanType,
};

use crate::forge::{Authority, Forged, extension, raw_uri, sound, uri, valid};

pub(crate) const GOOD: &str = "spiffe://quipu.local/ns/quipu/sa/gateway";

/// A leaf that must be refused.
pub(crate) struct Odd {
    pub(crate) name: &'static str,
    /// How the reason begins, as Debug prints it.
    pub(crate) reason: &'static str,
    pub(crate) forged: Forged,
}

type Change = fn(&mut CertificateParams);

/// Everything that can be wrong with a certificate whose signature is right.
pub(crate) fn odd_leaves(ca: &Authority) -> Vec<Odd> {
    let names = NAMES.iter().map(|&(name, reason, text)| Odd { name, reason, forged: ca.leaf(text, |_| ()) });
    let changes =
        CHANGES.iter().map(|&(name, reason, change)| Odd { name, reason, forged: ca.leaf(GOOD, change) });
    let long = |name, reason, text: String| Odd { name, reason, forged: ca.leaf(&text, |_| ()) };
    let mut all: Vec<_> = names.chain(changes).collect();
    let path = "a".repeat(2049 - "spiffe://quipu.local/".len());
    all.push(long("2,049 bytes", "Id(TooLong(2049))", format!("spiffe://quipu.local/{path}")));
    all.push(long(
        "long trust domain",
        "Id(TrustDomainTooLong(256))",
        format!("spiffe://{}/x", "d".repeat(256)),
    ));
    all
}

const NAMES: &[(&str, &str, &str)] = &[
    ("https", "Id(Scheme)", "https://quipu.local/ns/quipu/sa/gateway"),
    ("upper case scheme", "Id(Scheme)", "SPIFFE://quipu.local/ns/quipu/sa/gateway"),
    ("no scheme", "Id(Scheme)", "quipu.local/ns/quipu/sa/gateway"),
    ("upper case trust domain", "Id(TrustDomainCharacter('Q'))", "spiffe://Quipu.local/ns/quipu/sa/gateway"),
    ("no trust domain", "Id(EmptyTrustDomain)", "spiffe:///ns/quipu/sa/gateway"),
    ("port", "Id(TrustDomainCharacter(':'))", "spiffe://quipu.local:443/ns/quipu/sa/gateway"),
    ("user", "Id(TrustDomainCharacter('@'))", "spiffe://root@quipu.local/ns/quipu/sa/gateway"),
    ("root path", "RootPath", "spiffe://quipu.local"),
    ("root path with slash", "Id(EmptySegment)", "spiffe://quipu.local/"),
    ("trailing slash", "Id(EmptySegment)", "spiffe://quipu.local/ns/quipu/sa/gateway/"),
    ("double slash", "Id(EmptySegment)", "spiffe://quipu.local/ns//quipu/sa/gateway"),
    ("parent segment", "Id(RelativeSegment)", "spiffe://quipu.local/ns/quipu/sa/auth/../gateway"),
    ("own segment", "Id(RelativeSegment)", "spiffe://quipu.local/./ns/quipu/sa/gateway"),
    ("escaped slash", "Id(PathCharacter('%'))", "spiffe://quipu.local/ns/quipu/sa%2fgateway"),
    ("query", "Id(PathCharacter('?'))", "spiffe://quipu.local/ns/quipu/sa/gateway?x"),
    ("fragment", "Id(PathCharacter('#'))", "spiffe://quipu.local/ns/quipu/sa/gateway#x"),
    ("space", "Id(PathCharacter(' '))", "spiffe://quipu.local/ns/quipu/sa/gateway "),
    ("line feed", "Id(PathCharacter('\\n'))", "spiffe://quipu.local/ns/quipu/sa/gateway\n"),
    ("NUL", "Id(PathCharacter('\\0'))", "spiffe://quipu.local/ns/quipu/sa/gateway\0.evil"),
];

const CHANGES: &[(&str, &str, Change)] = &[
    ("no names", "UriCount(0)", |leaf| leaf.subject_alt_names.clear()),
    ("DNS name only", "UriCount(0)", |leaf| {
        leaf.subject_alt_names = vec![SanType::DnsName("gateway".try_into().unwrap())];
    }),
    ("e-mail only", "UriCount(0)", |leaf| {
        leaf.subject_alt_names = vec![SanType::Rfc822Name("gateway@quipu.local".try_into().unwrap())];
    }),
    ("address only", "UriCount(0)", |leaf| {
        leaf.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    }),
    ("the id as DNS name", "UriCount(0)", |leaf| {
        leaf.subject_alt_names = vec![SanType::DnsName(GOOD.try_into().unwrap())];
    }),
    ("two ids", "UriCount(2)", |leaf| {
        leaf.subject_alt_names.push(uri("spiffe://quipu.local/ns/quipu/sa/auth"));
    }),
    ("the same id twice", "UriCount(2)", |leaf| leaf.subject_alt_names.push(uri(GOOD))),
    ("another URI beside", "UriCount(2)", |leaf| leaf.subject_alt_names.push(uri("https://quipu.local/"))),
    ("Unicode in the id", "Id(PathCharacter('ä'))", |leaf| {
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(raw_uri("spiffe://quipu.local/ns/quipu/sa/gätewäy".as_bytes()));
    }),
    ("broken UTF-8 in the id", "Malformed", |leaf| {
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(raw_uri(b"spiffe://quipu.local/ns/quipu/sa/gateway\xff"));
    }),
    ("name extension twice", "Malformed", |leaf| leaf.custom_extensions.push(raw_uri(GOOD.as_bytes()))),
    ("key usage twice", "Malformed", |leaf| {
        leaf.custom_extensions.push(extension(&[2, 5, 29, 15], true, &[3, 2, 7, 0x80]));
    }),
    ("malformed name extension", "Malformed", |leaf| {
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(extension(&[2, 5, 29, 17], false, &[0x30, 9, 0x86, 1]));
    }),
    ("malformed basic constraints", "Malformed", |leaf| {
        leaf.is_ca = IsCa::NoCa;
        leaf.custom_extensions.push(extension(&[2, 5, 29, 19], true, &[4, 1, 0]));
    }),
    ("no subject, name not critical", "NameNotCritical", |leaf| {
        leaf.distinguished_name = DistinguishedName::new();
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(raw_uri(GOOD.as_bytes()));
    }),
    ("CA", "IsCa", |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ("keyCertSign", "SigningUsage", |leaf| leaf.key_usages.push(Usage::KeyCertSign)),
    ("cRLSign", "SigningUsage", |leaf| leaf.key_usages.push(Usage::CrlSign)),
    ("no key usage", "KeyUsageMissing", |leaf| leaf.key_usages.clear()),
    ("key usage not critical", "KeyUsageMissing", |leaf| {
        leaf.key_usages.clear();
        leaf.custom_extensions.push(extension(&[2, 5, 29, 15], false, &[3, 2, 7, 0x80]));
    }),
    ("no digitalSignature", "NoDigitalSignature", |leaf| leaf.key_usages = vec![Usage::KeyEncipherment]),
    ("serverAuth only", "ExtendedKeyUsage", |leaf| leaf.extended_key_usages = vec![Purpose::ServerAuth]),
    ("clientAuth only", "ExtendedKeyUsage", |leaf| leaf.extended_key_usages = vec![Purpose::ClientAuth]),
    ("codeSigning only", "ExtendedKeyUsage", |leaf| leaf.extended_key_usages = vec![Purpose::CodeSigning]),
    ("any purpose", "ExtendedKeyUsage", |leaf| leaf.extended_key_usages = vec![Purpose::Any]),
    ("expired", "Expired", |leaf| set_validity(leaf, -7200, -3600)),
    ("expired a moment ago", "Expired", |leaf| set_validity(leaf, -7200, -2)),
    ("not yet valid", "NotYetValid", |leaf| set_validity(leaf, 3600, 7200)),
    ("ended before it began", "Expired", |leaf| set_validity(leaf, -3600, -7200)),
    ("name constraints", "NameConstraints", |leaf| {
        leaf.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("quipu.local".into())],
            excluded_subtrees: vec![],
        });
    }),
    ("unknown critical extension", "UnknownCritical(\"1.3.6.1.4.1.99999.1\")", |leaf| {
        leaf.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 99999, 1], true, &[5, 0]));
    }),
    ("critical policy constraints", "UnknownCritical(\"2.5.29.36\")", |leaf| {
        leaf.custom_extensions.push(extension(&[2, 5, 29, 36], true, &[0x30, 3, 0x80, 1, 0]));
    }),
];

fn set_validity(leaf: &mut CertificateParams, from: i64, to: i64) {
    let dates = valid(from, to);
    leaf.not_before = dates.not_before;
    leaf.not_after = dates.not_after;
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
