//! SPIFFE ids and trust domains.
//!
//! Owns the text rules of the SPIFFE-ID specification (section 2), all of them, without normalisation: two ids are the
//! same identity if and only if their bytes are equal. Never looks at certificates.

use std::{fmt, str::FromStr, sync::Arc};

const SCHEME: &str = "spiffe://";

/// The longest id that an implementation must accept and may generate (SPIFFE-ID 2.3).
const MAX_ID_BYTES: usize = 2048;

/// The longest host of a URI, thus the longest trust domain name (SPIFFE-ID 2.3).
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// Why a text is no SPIFFE id, or no trust domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// The id has this many bytes.
    #[error("the id has {0} bytes; at most {MAX_ID_BYTES} are allowed")]
    TooLong(usize),
    /// Another scheme, or upper case.
    #[error("the id must begin with `{SCHEME}`")]
    Scheme,
    /// There is nothing between the scheme and the path.
    #[error("the trust domain is empty")]
    EmptyTrustDomain,
    /// The trust domain has this many bytes.
    #[error("the trust domain has {0} bytes; at most {MAX_TRUST_DOMAIN_BYTES} are allowed")]
    TrustDomainTooLong(usize),
    /// Also what a port, user information, a percent sign, a query or a fragment yields.
    #[error("the trust domain holds {0:?}; only a-z 0-9 . - _ are allowed")]
    TrustDomainCharacter(char),
    /// Two slashes in a row, or a slash at the end.
    #[error("the path has an empty segment or ends with a slash")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the path has a relative segment (`.` or `..`)")]
    RelativeSegment,
    /// Also what a percent sign, a query or a fragment yields.
    #[error("the path holds {0:?}; only a-z A-Z 0-9 . - _ are allowed in a segment")]
    PathCharacter(char),
}

/// The name of a trust domain: who shares one set of root certificates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name as text, without a scheme.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeError;

    fn from_str(name: &str) -> Result<Self, SpiffeError> {
        if name.is_empty() {
            return Err(SpiffeError::EmptyTrustDomain);
        }
        if name.len() > MAX_TRUST_DOMAIN_BYTES {
            return Err(SpiffeError::TrustDomainTooLong(name.len()));
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        match name.chars().find(|&c| !legal(c)) {
            Some(c) => Err(SpiffeError::TrustDomainCharacter(c)),
            None => Ok(Self(name.into())),
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

/// A SPIFFE id: `spiffe://<trust domain><path>`, where the path may be empty (then it names the trust domain itself).
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    uri: Arc<str>,
    trust_domain: TrustDomain,
}

impl SpiffeId {
    /// The id of a workload by this project's convention: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    ///
    /// # Errors
    /// When a part is not one legal path segment, or the id becomes too long.
    pub fn workload(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeError> {
        check_segment(namespace)?;
        check_segment(service_account)?;
        format!("{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}").parse()
    }

    /// The whole id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain that the id belongs to.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path with its leading slash; empty when the id names the trust domain itself.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.get(SCHEME.len() + self.trust_domain.0.len()..).unwrap_or_default()
    }

    /// The namespace, when the id has exactly the shape of [`SpiffeId::workload`].
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.workload_parts().map(|(namespace, _)| namespace)
    }

    /// The service account, when the id has exactly the shape of [`SpiffeId::workload`].
    #[must_use]
    pub fn service_account(&self) -> Option<&str> {
        self.workload_parts().map(|(_, service_account)| service_account)
    }

    fn workload_parts(&self) -> Option<(&str, &str)> {
        let (namespace, rest) = self.path().strip_prefix("/ns/")?.split_once('/')?;
        let service_account = rest.strip_prefix("sa/")?;
        (!service_account.contains('/')).then_some((namespace, service_account))
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeError;

    fn from_str(uri: &str) -> Result<Self, SpiffeError> {
        if uri.len() > MAX_ID_BYTES {
            return Err(SpiffeError::TooLong(uri.len()));
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (name, path) = match rest.split_once('/') {
            Some((name, path)) => (name, Some(path)),
            None => (rest, None),
        };
        let trust_domain = name.parse()?;
        path.map_or(Ok(()), |path| path.split('/').try_for_each(check_segment))?;
        Ok(Self { uri: uri.into(), trust_domain })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.uri)
    }
}

fn check_segment(segment: &str) -> Result<(), SpiffeError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match segment {
        "" => Err(SpiffeError::EmptySegment),
        "." | ".." => Err(SpiffeError::RelativeSegment),
        _ => segment.chars().find(|&c| !legal(c)).map_or(Ok(()), |c| Err(SpiffeError::PathCharacter(c))),
    }
}
