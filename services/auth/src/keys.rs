//! The keys that sign access tokens: which one signs, and which ones verifiers are told of.
//!
//! A key is published before it signs, so that every verifier has it by then, and stays published until the last token that
//! it signed has expired. Private keys never leave this module but as signatures and as the derived secrets of
//! [`KeyRing::succession`].

mod folder;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use chrono::{DateTime, Duration, Utc};
use mesh_config::Secret;
use mesh_error::BoxError;
use mesh_identity::token::KeyError;
use mesh_identity::{Claims, Jwks, KeySource, SigningKey};
use tokio::sync::watch;

use crate::error::{AuthError, Result};
use crate::ports::Clock;

/// A new key is published this long before it signs: longer than any verifier keeps an old set.
const ANNOUNCED: Duration = Duration::minutes(5);
/// Beyond its tokens' life a key stays published this much longer, for clocks that differ.
const SLACK: Duration = Duration::minutes(1);
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Where the signing keys come from.
#[derive(Clone, Debug)]
pub enum KeyStore {
    /// PEM private keys (PKCS#8, Ed25519), one after the other. The first signs, all are published.
    Given(Secret),
    /// A file with such keys. It is read again when it changes, so keys rotate without a restart: add the new key at the
    /// end; later move it to the front; later remove the old one.
    File(PathBuf),
    /// A folder in which the service makes, keeps and rotates its keys itself. For one process only.
    Folder(PathBuf),
}

/// A key and the time from which it signs.
#[derive(Clone)]
struct Entry {
    key: SigningKey,
    signs_from: DateTime<Utc>,
}

/// The keys of one moment, by the time from which they sign.
#[derive(Clone)]
struct Ring {
    entries: Vec<Entry>,
    /// Whether the first signs and all are published, whatever the time.
    fixed: bool,
}

/// The keys, as they change.
pub(crate) struct KeyRing {
    store: KeyStore,
    ring: watch::Sender<Arc<Ring>>,
    clock: Arc<dyn Clock>,
    token_life: Duration,
    rotate_after: Duration,
    /// The keys that the last look at the file found.
    looked: Mutex<Vec<String>>,
}

impl KeyRing {
    /// Reads the keys, or makes the first one in a folder.
    pub(crate) fn open(
        store: KeyStore,
        clock: Arc<dyn Clock>,
        token_life: Duration,
        rotate_after: Duration,
    ) -> Result<Self> {
        let ring = match &store {
            KeyStore::Given(pems) => parse(pems.expose())?,
            KeyStore::File(path) => parse(folder::read_secret(path)?.expose())?,
            KeyStore::Folder(path) => folder::open_or_create(path, clock.now())?,
        };
        let ring = watch::Sender::new(Arc::new(ring));
        Ok(Self { store, ring, clock, token_life, rotate_after, looked: Mutex::default() })
    }

    /// Signs a token with the key whose turn it is.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String> {
        let ring = self.current();
        let signer = ring.signer(self.clock.now()).ok_or_else(no_key)?;
        signer.key.sign(claims).map_err(AuthError::internal)
    }

    /// The keys that verifiers need now.
    pub(crate) fn jwks(&self) -> Result<Jwks> {
        let ring = self.current();
        let keys = ring.published(self.clock.now(), self.token_life + SLACK);
        let keys = keys.into_iter().map(|entry| entry.key.public().clone()).collect();
        Jwks::new(keys).map_err(AuthError::internal)
    }

    /// Secrets from which the next refresh token is derived: of the signing key first, then of the others, so that the
    /// grace of a lost answer outlives a rotation.
    pub(crate) fn succession(&self) -> Result<Vec<hmac::Key>> {
        let ring = self.current();
        let now = self.clock.now();
        let signer = ring.signer(now).ok_or_else(no_key)?;
        let others = ring.entries.iter().filter(|entry| entry.key.kid() != signer.key.kid());
        std::iter::once(signer)
            .chain(others)
            .map(|entry| derive(&entry.key).map_err(AuthError::internal))
            .collect()
    }

    /// To be called now and then: takes changes of the file, or rotates the keys of the folder. What is broken changes
    /// nothing, and neither does what two looks at the file do not find alike: it may lack the keys still to be written.
    pub(crate) fn tend(&self) -> Result<()> {
        let current = self.current();
        let next = match &self.store {
            KeyStore::Given(_) => return Ok(()),
            KeyStore::File(path) => {
                let found = parse(folder::read_secret(path)?.expose())?;
                let kids: Vec<String> = found.kids().into_iter().map(str::to_owned).collect();
                let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::replace(&mut *looked, kids.clone()) != kids {
                    return Ok(());
                }
                found
            }
            KeyStore::Folder(path) => {
                let now = self.clock.now();
                let mut ring = Ring::clone(&current);
                let newest = ring.entries.last().map(|entry| entry.signs_from);
                if newest.is_none_or(|newest| now + ANNOUNCED >= newest + self.rotate_after) {
                    ring.entries.push(folder::create(path, now + ANNOUNCED)?);
                }
                let kept = ring.published(now, self.token_life + SLACK).into_iter().cloned().collect();
                let kept = Ring { entries: kept, fixed: false };
                folder::remove_others(path, &kept)?;
                kept
            }
        };
        if next.kids() != current.kids() {
            tracing::info!(
                signer = next.signer(self.clock.now()).map(|entry| entry.key.kid()),
                keys = next.entries.len(),
                "signing keys changed"
            );
            self.ring.send_replace(Arc::new(next));
        }
        Ok(())
    }

    fn current(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.borrow())
    }
}

impl Ring {
    fn signer(&self, now: DateTime<Utc>) -> Option<&Entry> {
        let due = self.entries.iter().rev().find(|entry| !self.fixed && entry.signs_from <= now);
        due.or_else(|| self.entries.first())
    }

    /// All but those whose successor has signed for longer than `overlap`.
    fn published(&self, now: DateTime<Utc>, overlap: Duration) -> Vec<&Entry> {
        let successors = self.entries.iter().skip(1).map(|entry| Some(entry.signs_from)).chain([None]);
        let needed = |successor: Option<DateTime<Utc>>| successor.is_none_or(|from| from + overlap > now);
        self.entries
            .iter()
            .zip(successors)
            .filter(|(_, from)| self.fixed || needed(*from))
            .map(|(entry, _)| entry)
            .collect()
    }

    fn kids(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.key.kid()).collect()
    }
}

#[async_trait]
impl KeySource for KeyRing {
    async fn fetch(&self) -> std::result::Result<Jwks, BoxError> {
        self.jwks().map_err(Into::into)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("kids", &self.current().kids()).finish_non_exhaustive()
    }
}

/// PEM blocks one after the other.
fn parse(pems: &str) -> Result<Ring> {
    let mut entries = Vec::new();
    for block in pems.split_inclusive(PEM_END).filter(|block| !block.trim().is_empty()) {
        let key = SigningKey::from_pkcs8_pem(block).map_err(AuthError::internal)?;
        entries.push(Entry { key, signs_from: DateTime::UNIX_EPOCH });
    }
    if entries.is_empty() { Err(no_key()) } else { Ok(Ring { entries, fixed: true }) }
}

fn derive(key: &SigningKey) -> std::result::Result<hmac::Key, KeyError> {
    let pem = key.to_pkcs8_pem()?;
    let root = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
    let secret = hmac::sign(&root, b"quipu refresh succession v1");
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()))
}

fn no_key() -> AuthError {
    AuthError::internal("no signing key")
}

#[cfg(test)]
mod tests;
