//! The certificate authority of a local mesh: one in the data folder, for services and for operators.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_identity::{DevCa, SpiffeId, Tls};
use mesh_policy::{Contract, Policy, PolicyHandle};

use super::UpError;

/// Issues identities for the workloads of a policy.
#[derive(Clone)]
pub struct Authority {
    ca: Arc<DevCa>,
    policy: PolicyHandle,
}

impl Authority {
    /// Opens the authority of a data folder, or makes it. `policy` is a file, or `None` for the built-in one.
    ///
    /// # Errors
    /// When the policy is faulty or the folder cannot be read or written.
    pub fn open(data: &Path, policy: Option<&Path>) -> Result<Self, UpError> {
        let policy = match policy {
            Some(path) => Policy::load(path, Contract::quipu()),
            None => Policy::parse("policies/mesh.yaml", crate::POLICY, Contract::quipu()),
        }
        .map_err(UpError::Policy)?;
        private_folder(data)?;
        let ca = DevCa::open_or_create(&data.join("ca"), policy.trust_domain()).map_err(UpError::identity)?;
        Ok(Self { ca: Arc::new(ca), policy: PolicyHandle::new(policy) })
    }

    /// The policy that names the workloads.
    #[must_use]
    pub fn policy(&self) -> &PolicyHandle {
        &self.policy
    }

    /// Writes `<name>.crt`, `<name>.key` and `ca.crt` and returns their paths.
    ///
    /// # Errors
    /// When the policy knows no such workload or a file cannot be written.
    pub fn write_identity(&self, name: &str, out: &Path, ttl: Duration) -> Result<Vec<PathBuf>, UpError> {
        let issued = self.ca.issue(&self.id(name)?, ttl).map_err(UpError::identity)?;
        private_folder(out)?;
        issued.write(out, name).map_err(UpError::identity)?;
        Ok([format!("{name}.crt"), format!("{name}.key"), "ca.crt".into()].map(|file| out.join(file)).into())
    }

    /// A fresh identity in memory.
    ///
    /// # Errors
    /// When the policy knows no such workload.
    pub fn identity(&self, name: &str, ttl: Duration) -> Result<Tls, UpError> {
        let issued = self.ca.issue(&self.id(name)?, ttl).map_err(UpError::identity)?;
        Tls::new(issued.material()).map_err(UpError::identity)
    }

    /// Gives a live identity a fresh certificate.
    pub(super) fn renew(&self, tls: &Tls, ttl: Duration) -> Result<(), UpError> {
        let issued = self.ca.issue(&tls.id(), ttl).map_err(UpError::identity)?;
        tls.reload(issued.material()).map_err(UpError::identity)
    }

    fn id(&self, name: &str) -> Result<SpiffeId, UpError> {
        let policy = self.policy.load();
        policy.id_of(name).ok_or_else(|| UpError::UnknownWorkload {
            name: name.to_owned(),
            known: policy.workloads().iter().map(|w| w.name.to_string()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// A folder that only its owner may enter, because keys lie in it.
fn private_folder(path: &Path) -> Result<(), UpError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| UpError::Folder { path: path.to_owned(), source })
}
