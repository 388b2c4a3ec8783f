//! The roots of one version of the material, as they fall due.
//!
//! Webpki never looks at the dates of a root. A root that has ended must therefore not be among those it is given, also
//! when it ends long after the material was read.

use std::{cmp::Reverse, sync::Arc, time::SystemTime};

use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::TlsError;
use crate::svid::{expiry, verify_signer};

/// What is trusted until which moment: one step for each root that ends, the soonest first.
#[derive(Debug)]
pub(super) struct Trust<T> {
    steps: Vec<(SystemTime, T)>,
}

impl Trust<Arc<RootCertStore>> {
    /// Of the roots that have not ended yet.
    pub(super) fn new(roots: &[CertificateDer<'static>], now: SystemTime) -> Result<Self, TlsError> {
        let mut live = Vec::new();
        for (root, number) in roots.iter().zip(1..) {
            let not_after = verify_signer(root).and_then(|()| expiry(root));
            let not_after = not_after.map_err(|source| TlsError::Root { number, source })?;
            if not_after < now {
                tracing::warn!(number, "a root in ca.crt is expired and not trusted any more");
                continue;
            }
            live.push((not_after, root));
        }
        live.sort_by_key(|(not_after, _)| Reverse(*not_after));
        let mut store = RootCertStore::empty();
        let mut steps = Vec::new();
        for (not_after, root) in live {
            store.add(root.clone()).map_err(TlsError::RootStore)?;
            steps.push((not_after, Arc::new(store.clone())));
        }
        steps.reverse();
        if steps.is_empty() { Err(TlsError::RootsExpired) } else { Ok(Self { steps }) }
    }
}

impl<T> Trust<T> {
    /// What is trusted at this moment.
    ///
    /// # Errors
    /// When every root has ended.
    pub(super) fn at(&self, now: SystemTime) -> Result<&T, Error> {
        let step = self.steps.iter().find(|(end, _)| *end >= now);
        step.map(|(_, trusted)| trusted).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    /// The same steps with something else made of each.
    pub(super) fn map<U, E>(&self, make: impl Fn(&T) -> Result<U, E>) -> Result<Trust<U>, E> {
        let steps = self.steps.iter().map(|(end, trusted)| Ok((*end, make(trusted)?)));
        Ok(Trust { steps: steps.collect::<Result<_, E>>()? })
    }
}
