//! Who is calling: workload identities over mTLS (SPIFFE X.509-SVIDs) and users' access tokens.
//!
//! Owns the parsing and verification of both, the live reload of certificates and roots, and what was revoked. Never
//! decides what a caller may do: that is `mesh-policy`.

mod ca;
mod principal;
mod revocation;
mod spiffe;
mod svid;
mod tls;
pub mod token;

pub use ca::{CaError, DevCa, Issued};
pub use principal::{Principal, User};
pub use revocation::{
    Revocation, RevocationEvent, RevocationSource, Revocations, RevokedSubject, follow_revocations,
};
pub use spiffe::{SpiffeError, SpiffeId, TrustDomain};
pub use svid::{Peer, SvidError, verify_leaf};
pub use tls::{Material, Tls, TlsError};
pub use token::{
    Claims, Clock, Jwks, KeyError, KeySource, Profile, PublicKey, Scopes, SigningKey, TokenError,
    TokenVerifier,
};
