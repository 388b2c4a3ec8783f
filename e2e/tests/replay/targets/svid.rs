//! Certificates, whole or built around the input so that its lengths are right: what is accepted as an SVID keeps the
//! rules, by a second reading of the bytes.

use std::time::SystemTime;

use mesh_identity::{Peer, verify_leaf};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    extensions::ParsedExtension,
    prelude::{FromDer as _, X509Certificate},
};

const SEQUENCE: u8 = 0x30;
const ED25519: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
/// The URI among the kinds of a subject alternative name.
const URI: u8 = 0x86;

/// A certificate: the first byte says which part of a sound one the rest replaces.
pub(crate) fn svid(data: &[u8]) {
    let Some((part, rest)) = data.split_first() else { return };
    let der = match part % 4 {
        0 => rest.to_vec(),
        1 => certificate(&dates_and_key(), &extensions(&tlv(SEQUENCE, rest))),
        2 => certificate(&dates_and_key(), rest),
        _ => certificate(rest, &extensions(&tlv(SEQUENCE, &sound_name()))),
    };
    match verify_leaf(&CertificateDer::from(der.as_slice())) {
        Ok(peer) => check(&der, &peer),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What an accepted certificate must be.
fn check(der: &[u8], peer: &Peer) {
    assert!(peer.not_after >= SystemTime::now() && !peer.id.path().is_empty());
    for length in [0, der.len() / 2, der.len() - 1] {
        assert!(verify_leaf(&CertificateDer::from(&der[..length])).is_err(), "cut off");
    }
    assert!(verify_leaf(&CertificateDer::from([der, &[0]].concat())).is_err(), "a byte too many");

    let (_, certificate) = X509Certificate::from_der(der).expect("it was read before");
    assert_eq!(uris(&certificate), [peer.id.as_str().as_bytes()]);
    let mut signs_nothing_else = false;
    for extension in certificate.extensions() {
        let same = certificate.extensions().iter().filter(|other| other.oid == extension.oid).count();
        assert_eq!(same, 1, "an extension twice");
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => assert!(!constraints.ca),
            ParsedExtension::KeyUsage(usage) => {
                signs_nothing_else = usage.digital_signature()
                    && !usage.key_cert_sign()
                    && !usage.crl_sign()
                    && extension.critical;
            }
            ParsedExtension::ExtendedKeyUsage(usage) => assert!(usage.server_auth && usage.client_auth),
            ParsedExtension::SubjectAlternativeName(_) => {}
            _ => assert!(!extension.critical, "nobody understands {}", extension.oid),
        }
    }
    assert!(signs_nothing_else, "no key usage, or too much of it");
}

/// The URIs of the subject alternative name, cut out by hand.
fn uris<'a>(certificate: &X509Certificate<'a>) -> Vec<&'a [u8]> {
    let is_san = |oid: &str| oid == "2.5.29.17";
    let san = certificate.extensions().iter().find(|extension| is_san(&extension.oid.to_id_string()));
    let (tag, mut names, behind) = cut(san.expect("a name").value);
    assert!(tag == SEQUENCE && behind.is_empty());
    let mut uris = Vec::new();
    while !names.is_empty() {
        let (tag, name, rest) = cut(names);
        if tag == URI {
            uris.push(name);
        }
        names = rest;
    }
    uris
}

/// Tag and content of the first element, and what follows it.
fn cut(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (tag, length, rest) = match der {
        [tag, length, rest @ ..] if *length < 0x80 => (*tag, usize::from(*length), rest),
        [tag, 0x81, length, rest @ ..] if *length >= 0x80 => (*tag, usize::from(*length), rest),
        [tag, 0x82, high, low, rest @ ..] if *high > 0 => {
            (*tag, usize::from(*high) << 8 | usize::from(*low), rest)
        }
        other => panic!("not DER: {other:x?}"),
    };
    let (content, rest) = rest.split_at(length);
    (tag, content, rest)
}

/// An element with the shortest form of its length.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let bytes = content.len().to_be_bytes();
    let significant = &bytes[bytes.iter().position(|b| *b != 0).unwrap_or(7)..];
    let mut element = vec![tag];
    if content.len() >= 0x80 {
        element.push(0x80 | significant.len().to_le_bytes()[0]);
    }
    element.extend_from_slice(significant);
    element.extend_from_slice(content);
    element
}

/// A certificate of version 3 with these dates, subject and key, and these extensions. Its signature is nobody's.
fn certificate(dates_and_key: &[u8], extensions: &[u8]) -> Vec<u8> {
    let before = [&[0xa0, 3, 2, 1, 2, 2, 1, 1][..], &ED25519, &common_name("ca")].concat();
    let extensions = tlv(0xa3, &tlv(SEQUENCE, extensions));
    let signed = tlv(SEQUENCE, &[&before[..], dates_and_key, &extensions].concat());
    tlv(SEQUENCE, &[&signed[..], &ED25519, &tlv(3, &[0; 65])].concat())
}

/// Good from 2020 to the end of time.
fn dates_and_key() -> Vec<u8> {
    let dates = tlv(SEQUENCE, &[tlv(0x17, b"200101000000Z"), tlv(0x18, b"99991231235959Z")].concat());
    let key = tlv(SEQUENCE, &[&ED25519[..], &tlv(3, &[&[0][..], &[7; 32]].concat())].concat());
    [dates, common_name("workload"), key].concat()
}

fn common_name(name: &str) -> Vec<u8> {
    let pair = [&[6, 3, 0x55, 4, 3][..], &tlv(0x0c, name.as_bytes())].concat();
    tlv(SEQUENCE, &tlv(0x31, &tlv(SEQUENCE, &pair)))
}

fn sound_name() -> Vec<u8> {
    tlv(URI, b"spiffe://quipu.local/ns/quipu/sa/auth")
}

/// Those of a workload, with this alternative name.
fn extensions(names: &[u8]) -> Vec<u8> {
    let critical = [1, 1, 0xff];
    let usages = [&[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1][..], &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2]].concat();
    [
        extension(0x13, &critical, &tlv(SEQUENCE, &[])),
        extension(0x0f, &critical, &[3, 2, 7, 0x80]),
        extension(0x25, &[], &tlv(SEQUENCE, &usages)),
        extension(0x11, &[], names),
    ]
    .concat()
}

/// The extension 2.5.29.`last`.
fn extension(last: u8, critical: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&[6, 3, 0x55, 0x1d, last][..], critical, &tlv(4, value)].concat())
}
