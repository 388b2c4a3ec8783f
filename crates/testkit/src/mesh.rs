//! A mesh of one test: its own authority, the repository's policy or another one, one lifecycle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_client::{Endpoints, Mesh};
use mesh_identity::{DevCa, Issued, SpiffeId, Tls, TrustDomain};
use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use mesh_policy::{Contract, Policy, PolicyHandle};
use tempfile::TempDir;

use crate::{Authority, Result, TokenMint};

/// How long the certificates of a test live.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The drain of a test: nobody has to notice anything.
const DRAIN: Drain =
    Drain { endpoints: Duration::ZERO, in_flight: Duration::from_secs(5), flush: Duration::from_secs(1) };

/// A mesh of one test.
pub struct TestMesh {
    folder: TempDir,
    ca: DevCa,
    policy: PolicyHandle,
    lifecycle: Lifecycle,
    mint: TokenMint,
}

impl TestMesh {
    /// A mesh with the policy of the repository.
    ///
    /// # Errors
    /// When the policy is faulty or a folder cannot be made.
    pub fn start() -> Result<Self> {
        Self::new(Policy::load(&policy_file(), Contract::quipu())?, DRAIN)
    }

    /// A mesh with another policy.
    ///
    /// # Errors
    /// When the policy is faulty or a folder cannot be made.
    pub fn with_policy(text: &str) -> Result<Self> {
        Self::new(Policy::parse("test.yaml", text, Contract::quipu())?, DRAIN)
    }

    /// A mesh with the policy of the repository and another drain.
    ///
    /// # Errors
    /// As [`TestMesh::start`].
    pub fn with_drain(drain: Drain) -> Result<Self> {
        Self::new(Policy::load(&policy_file(), Contract::quipu())?, drain)
    }

    fn new(policy: Policy, drain: Drain) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("quipu-mesh.").tempdir()?;
        let ca = DevCa::open_or_create(&folder.path().join("ca"), policy.trust_domain())?;
        let (policy, lifecycle) = (PolicyHandle::new(policy), Lifecycle::new(drain));
        Ok(Self { folder, ca, policy, lifecycle, mint: TokenMint::new()? })
    }

    /// A folder that goes with the test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority that every workload of the mesh trusts.
    #[must_use]
    pub fn ca(&self) -> &DevCa {
        &self.ca
    }

    /// The same authority in the hands of somebody who signs anything.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn stolen_ca(&self) -> Result<Authority> {
        let read = |name| std::fs::read_to_string(self.folder.path().join("ca").join(name));
        Authority::stolen(&read("ca.crt")?, &read("ca.key")?)
    }

    /// The policy, which a test may reload.
    #[must_use]
    pub fn policy(&self) -> &PolicyHandle {
        &self.policy
    }

    /// The one lifecycle of the test.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Tokens that this mesh believes.
    #[must_use]
    pub fn mint(&self) -> &TokenMint {
        &self.mint
    }

    /// The id of a workload, also of one that the policy does not know.
    ///
    /// # Errors
    /// When the name cannot be part of an id.
    pub fn id(&self, workload: &str) -> Result<SpiffeId> {
        let policy = self.policy.load();
        let domain: &TrustDomain = policy.trust_domain();
        Ok(SpiffeId::workload(domain, policy.namespace(), workload)?)
    }

    /// A certificate of a workload.
    ///
    /// # Errors
    /// When the name cannot be part of an id.
    pub fn issue(&self, workload: &str, lifetime: Duration) -> Result<Issued> {
        Ok(self.ca.issue(&self.id(workload)?, lifetime)?)
    }

    /// The mutual TLS of a workload.
    ///
    /// # Errors
    /// When the name cannot be part of an id.
    pub fn tls(&self, workload: &str) -> Result<Tls> {
        Ok(Tls::new(self.issue(workload, LIFETIME)?.material())?)
    }

    /// A folder with the certificate of a workload, as `QUIPU_TLS_DIR` takes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tls_dir(&self, workload: &str) -> Result<PathBuf> {
        let dir = self.folder.path().join(workload);
        std::fs::create_dir_all(&dir)?;
        self.issue(workload, LIFETIME)?.write(&dir, "tls")?;
        Ok(dir)
    }

    /// The mesh as a workload sees it.
    ///
    /// # Errors
    /// When the name cannot be part of an id.
    pub fn mesh_as(&self, workload: &str, endpoints: Endpoints) -> Result<Mesh> {
        Ok(Mesh::new(self.tls(workload)?, self.policy.clone(), endpoints, &self.lifecycle))
    }

    /// Ends the mesh in order; how it went.
    pub async fn stop(self) -> Outcome {
        self.lifecycle.shutdown();
        self.lifecycle.clone().run_to_completion().await
    }
}

impl std::fmt::Debug for TestMesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestMesh")
            .field("folder", &self.folder)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}

/// The policy of the repository.
fn policy_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/mesh.yaml")
}
