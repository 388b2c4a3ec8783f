//! The certificate authority of a local mesh: one in the data folder, for services and for operators.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_identity::{DevCa, SpiffeId, Tls};
use mesh_policy::PolicyHandle;

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
        let policy = crate::policy(policy).map_err(UpError::Policy)?;
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
