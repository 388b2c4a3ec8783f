//! Mutual TLS between workloads, with certificates and roots that change while the process runs.
//!
//! Owns the material of one workload and the rustls configurations made from it. Keeps two invariants: every
//! configuration it hands out checks the peer's SVID, and a bad or half-written replacement never displaces good
//! material. Never accepts or opens connections.

mod error;
mod generation;
mod material;
mod trust;
mod verify;
mod watch;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch as channel;

use self::generation::Generation;
pub use self::{error::TlsError, material::Material};
use crate::{
    spiffe::SpiffeId,
    svid::{Peer, SvidError, verify_leaf},
};

/// One workload's side of mutual TLS. Clones share the same material.
///
/// Take the configuration anew for each connection (it is an `Arc` clone), so that a reload takes effect at once.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    current: ArcSwap<Generation>,
    /// Serialises reloads, so that generations are numbered in the order in which they are stored.
    reloading: Mutex<()>,
    generation: channel::Sender<u64>,
}

impl Tls {
    /// Checks `material` and makes the configurations of the first generation.
    ///
    /// # Errors
    /// When the leaf is no valid SVID, the key is not its key, or it does not chain to the roots.
    pub fn new(material: Material) -> Result<Self, TlsError> {
        let first = Generation::build(material, 1, SystemTime::now())?;
        first.publish_expiry();
        let shared = Shared {
            current: ArcSwap::from_pointee(first),
            reloading: Mutex::new(()),
            generation: channel::Sender::new(1),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// [`Tls::new`] from the files `tls.crt`, `tls.key` and `ca.crt` in `dir`.
    ///
    /// # Errors
    /// As [`Tls::new`], and when a file cannot be read or holds no PEM of its kind.
    pub fn from_dir(dir: &Path) -> Result<Self, TlsError> {
        Self::new(Material::from_dir(dir)?)
    }

    /// The workload's own identity; it never changes.
    #[must_use]
    pub fn id(&self) -> SpiffeId {
        self.shared.current.load().own.id.clone()
    }

    /// When the present certificate ends.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.shared.current.load().own.not_after
    }

    /// Replaces certificate, key and roots for new connections; the same material again is no change.
    ///
    /// # Errors
    /// As [`Tls::new`], and when the identity is another one. The old material then stays, and the refusal is counted
    /// (`mesh_identity_reloads_total{outcome="refused"}`).
    pub fn reload(&self, material: Material) -> Result<(), TlsError> {
        let outcome = self.replace(material);
        match &outcome {
            Ok(true) => self.count("loaded"),
            Ok(false) => {}
            Err(_) => self.count("refused"),
        }
        outcome.map(|_| ())
    }

    /// The number of the present generation; it changes with each reload that changed something.
    #[must_use]
    pub fn generation(&self) -> channel::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// For a listener: TLS 1.3 with ALPN `h2`, a client certificate required and checked, nothing resumed.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.shared.current.load().server.clone()
    }

    /// For a connection to exactly the workload `expected`.
    ///
    /// The server name given to rustls plays no part, neither in the check nor on the wire: any value will do, such as
    /// the address.
    #[must_use]
    pub fn client_config(&self, expected: &SpiffeId) -> Arc<ClientConfig> {
        self.shared.current.load().client(expected)
    }

    /// Who is at the other end, from the certificates that rustls holds after a handshake.
    ///
    /// # Errors
    /// When there is none, or its validity ended since the handshake.
    pub fn peer(certificates: Option<&[CertificateDer<'_>]>) -> Result<Peer, SvidError> {
        certificates.and_then(<[_]>::first).ok_or(SvidError::Missing).and_then(verify_leaf)
    }

    /// Whether there was anything to replace.
    fn replace(&self, material: Material) -> Result<bool, TlsError> {
        let _one_at_a_time = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.shared.current.load_full();
        if current.digest == material.digest() {
            return Ok(false);
        }
        let next = Generation::build(material, current.number + 1, SystemTime::now())?;
        if next.own.id != current.own.id {
            return Err(TlsError::IdentityChanged { from: current.own.id.clone(), to: next.own.id });
        }
        let number = next.number;
        next.publish_expiry();
        self.shared.current.store(Arc::new(next));
        self.shared.generation.send_replace(number);
        Ok(true)
    }

    fn count(&self, outcome: &'static str) {
        let workload = self.id().to_string();
        metrics::counter!("mesh_identity_reloads_total", "workload" => workload, "outcome" => outcome)
            .increment(1);
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let current = self.shared.current.load();
        f.debug_struct("Tls").field("own", &current.own).field("generation", &current.number).finish()
    }
}
