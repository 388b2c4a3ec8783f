//! The floor for algorithms and keys: a list of what is accepted, so that what is unknown is refused.

use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
        OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, OID_SIG_ED25519,
    },
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

use super::SvidError;

/// The smallest RSA modulus in bits (NIST SP 800-57, CA/Browser Forum).
const MIN_RSA_BITS: usize = 2048;

/// Refuses a certificate whose signature or key is weak or unknown.
pub(super) fn check_strength(certificate: &X509Certificate<'_>) -> Result<(), SvidError> {
    let accepted = [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ECDSA_WITH_SHA512,
        OID_SIG_ED25519,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
    ];
    let algorithm = &certificate.signature_algorithm.algorithm;
    if !accepted.contains(algorithm) {
        return Err(SvidError::WeakSignature(algorithm.to_id_string()));
    }
    if certificate.tbs_certificate.signature.algorithm != *algorithm {
        return Err(SvidError::Malformed("it names two signature algorithms"));
    }
    check_key(certificate.public_key())
}

fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), SvidError> {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return Ok(());
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve) => Ok(()),
            Some(curve) => Err(SvidError::WeakKey(format!("curve {curve}"))),
            None => Err(SvidError::WeakKey("no named curve".into())),
        };
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(rsa)) = key.parsed() else {
            return Err(SvidError::Malformed("the RSA key cannot be parsed"));
        };
        let bits = bit_length(rsa.modulus);
        return if bits < MIN_RSA_BITS {
            Err(SvidError::WeakKey(format!("RSA of {bits} bits; at least {MIN_RSA_BITS} are required")))
        } else {
            Ok(())
        };
    }
    Err(SvidError::WeakKey(format!("algorithm {algorithm}")))
}

/// The leading zeros of a DER integer do not make a key longer.
fn bit_length(big_endian: &[u8]) -> usize {
    let zeros = big_endian.iter().take_while(|&&byte| byte == 0).count();
    let significant = big_endian.get(zeros..).unwrap_or_default();
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}
