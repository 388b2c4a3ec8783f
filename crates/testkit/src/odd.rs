//! The table of odd leaves: each is sound but for one thing, and must be refused for it by the workload's own check.
#![expect(clippy::unwrap_used, reason = "the table is constant, and its texts fit where they are put")]

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName,
    ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, IsCa, KeyUsagePurpose as Usage, NameConstraints,
    SanType,
};

/// The identity that the odd leaves claim, in one way or another.
pub const CLAIMED: &str = "spiffe://quipu.local/ns/quipu/sa/gateway";

/// A leaf that must be refused.
pub struct Odd {
    /// What is wrong, in words.
    pub name: String,
    /// How the reason begins, as Debug prints it.
    pub reason: String,
    change: Box<dyn Fn(&mut CertificateParams) + Send + Sync>,
}

impl Odd {
    /// Spoils the parameters of a sound leaf for [`CLAIMED`].
    pub fn spoil(&self, leaf: &mut CertificateParams) {
        (self.change)(leaf);
    }

    fn named(name: &str, reason: &str, text: String) -> Self {
        let change = Box::new(move |leaf: &mut CertificateParams| leaf.subject_alt_names = vec![uri(&text)]);
        Self { name: name.to_owned(), reason: reason.to_owned(), change }
    }
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Odd").field("name", &self.name).field("reason", &self.reason).finish_non_exhaustive()
    }
}

type Change = fn(&mut CertificateParams);

/// Everything that can be wrong with a certificate whose signature is right.
#[must_use]
pub fn odd_leaves() -> Vec<Odd> {
    let names = NAMES.iter().map(|(name, reason, text)| Odd::named(name, reason, (*text).to_owned()));
    let changes = CHANGES.iter().map(|&(name, reason, change)| Odd {
        name: name.to_owned(),
        reason: reason.to_owned(),
        change: Box::new(change),
    });
    let path = "a".repeat(2049 - "spiffe://quipu.local/".len());
    let domain = "d".repeat(256);
    let long = [
        Odd::named("2,049 bytes", "Id(TooLong(2049))", format!("spiffe://quipu.local/{path}")),
        Odd::named("long trust domain", "Id(TrustDomainTooLong(256))", format!("spiffe://{domain}/x")),
    ];
    names.chain(changes).chain(long).collect()
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
        leaf.subject_alt_names = vec![SanType::DnsName(CLAIMED.try_into().unwrap())];
    }),
    ("two ids", "UriCount(2)", |leaf| {
        leaf.subject_alt_names.push(uri("spiffe://quipu.local/ns/quipu/sa/auth"));
    }),
    ("the same id twice", "UriCount(2)", |leaf| leaf.subject_alt_names.push(uri(CLAIMED))),
    ("another URI beside", "UriCount(2)", |leaf| leaf.subject_alt_names.push(uri("https://quipu.local/"))),
    ("Unicode in the id", "Id(PathCharacter('ä'))", |leaf| {
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(raw_uri("spiffe://quipu.local/ns/quipu/sa/gätewäy".as_bytes()));
    }),
    ("broken UTF-8 in the id", "Malformed", |leaf| {
        leaf.subject_alt_names.clear();
        leaf.custom_extensions.push(raw_uri(b"spiffe://quipu.local/ns/quipu/sa/gateway\xff"));
    }),
    ("name extension twice", "Malformed", |leaf| leaf.custom_extensions.push(raw_uri(CLAIMED.as_bytes()))),
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
        leaf.custom_extensions.push(raw_uri(CLAIMED.as_bytes()));
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
    let at = |offset: i64| {
        let (now, distance) = (SystemTime::now(), Duration::from_secs(offset.unsigned_abs()));
        if offset < 0 { now - distance } else { now + distance }
    };
    leaf.not_before = at(from).into();
    leaf.not_after = at(to).into();
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// An extension in raw DER.
fn extension(oid: &[u64], critical: bool, der: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, der.to_vec());
    extension.set_criticality(critical);
    extension
}

/// A subject alternative name with one URI of any bytes (fewer than 120).
fn raw_uri(bytes: &[u8]) -> CustomExtension {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let name = [&[0x86, length(bytes)], bytes].concat();
    extension(&[2, 5, 29, 17], false, &[&[0x30, length(&name)], name.as_slice()].concat())
}
