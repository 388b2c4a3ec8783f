//! What a workload knows of the mesh.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mesh_config::{Reader, Reported};
use mesh_error::{Error, Kind};
use mesh_identity::{SpiffeId, Tls, TlsError};
use mesh_lifecycle::Lifecycle;
use mesh_policy::{Contract, Faults, Policy, PolicyHandle};

use crate::{Channel, Endpoints, Settings, Target};

/// How often the files of the identity and of the policy are looked at. Both are a few kilobytes.
const WATCH: Duration = Duration::from_millis(500);

/// Where a workload finds its identity, the policy and the others.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Folder with `tls.crt`, `tls.key` and `ca.crt`.
    pub tls_dir: PathBuf,
    /// The call policy.
    pub policy_file: PathBuf,
    /// Where the workloads listen that this one calls.
    pub endpoints: Endpoints,
}

impl MeshConfig {
    /// Reads `QUIPU_TLS_DIR`, `QUIPU_POLICY_FILE` and one `QUIPU_ENDPOINT_<WORKLOAD>` for each of `targets`.
    ///
    /// # Errors
    /// When one is missing or malformed; the reader knows which.
    pub fn read(reader: &mut Reader, targets: &[&str]) -> Result<Self, Reported> {
        let tls_dir = reader.required::<String>(
            "QUIPU_TLS_DIR",
            "folder with tls.crt, tls.key and ca.crt, reloaded on change",
        );
        let policy_file =
            reader.required::<String>("QUIPU_POLICY_FILE", "the call policy (mesh.yaml), reloaded on change");
        let mut endpoints = Ok(Endpoints::new());
        for workload in targets {
            let name = format!("QUIPU_ENDPOINT_{}", workload.to_ascii_uppercase().replace('-', "_"));
            let help = "where a workload listens: dns://HOST:PORT, or ADDRESS:PORT[,…]";
            match reader.required::<Target>(&name, help) {
                Ok(target) => endpoints = endpoints.map(|all| all.with(*workload, target)),
                Err(reported) => endpoints = Err(reported),
            }
        }
        Ok(Self { tls_dir: tls_dir?.into(), policy_file: policy_file?.into(), endpoints: endpoints? })
    }
}

/// Why a workload cannot take part in the mesh.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Its identity cannot be used.
    #[error("the identity in {} cannot be used: {source}", dir.display())]
    Identity {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// The call policy cannot be used.
    #[error("the call policy cannot be used:\n{0}")]
    Policy(Faults),
}

impl From<MeshError> for Error {
    fn from(error: MeshError) -> Self {
        Self::new(Kind::FailedPrecondition, "MESH_NOT_LOADED", error.to_string()).with_source(error)
    }
}

/// A workload's view of the mesh: its identity, the call policy, where the others listen. Clones share everything, the
/// channels too.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// The workload's identity.
    pub tls: Tls,
    /// The call policy in force.
    pub policy: PolicyHandle,
    /// Where the others listen.
    pub endpoints: Endpoints,
    lifecycle: Lifecycle,
    settings: Settings,
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Mesh {
    /// A mesh whose parts are there already; whoever made them sees to their reload.
    #[must_use]
    pub fn new(tls: Tls, policy: PolicyHandle, endpoints: Endpoints, lifecycle: &Lifecycle) -> Self {
        let (settings, channels) = (Settings::default(), Arc::default());
        Self { tls, policy, endpoints, lifecycle: lifecycle.clone(), settings, channels }
    }

    /// Reads identity and policy from files and follows their changes until the process closes.
    ///
    /// # Errors
    /// When either cannot be used.
    pub fn load(config: &MeshConfig, lifecycle: &Lifecycle) -> Result<Self, MeshError> {
        let dir = config.tls_dir.clone();
        let tls = Tls::from_dir(&dir).map_err(|source| MeshError::Identity { dir: dir.clone(), source })?;
        let policy = Policy::load(&config.policy_file, Contract::quipu()).map_err(MeshError::Policy)?;
        let policy = PolicyHandle::new(policy);
        lifecycle.spawn("certificates", tls.clone().watch(dir, WATCH, lifecycle.stop_token()));
        let follow = policy.clone().watch(config.policy_file.clone(), WATCH, lifecycle.stop_token());
        lifecycle.spawn("policy", follow);
        Ok(Self::new(tls, policy, config.endpoints.clone(), lifecycle))
    }

    /// The same mesh with other numbers; for channels that are asked for afterwards.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.channels = Arc::default();
        self
    }

    /// The workload's own identity.
    #[must_use]
    pub fn id(&self) -> SpiffeId {
        self.tls.id()
    }

    /// The channel to a workload; connections are made when they are needed. Asking again gives the same channel. To be
    /// called inside a runtime.
    ///
    /// # Errors
    /// When the policy does not know the workload, or nobody said where it listens.
    pub fn channel(&self, workload: &str) -> Result<Channel, Error> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(workload) {
            return Ok(channel.clone());
        }
        let unknown = |what: &str| Error::internal(format!("cannot call the workload {workload:?}: {what}"));
        let expected =
            self.policy.load().id_of(workload).ok_or_else(|| unknown("the policy does not name it"))?;
        let target = self.endpoints.get(workload).ok_or_else(|| unknown("its endpoint is not configured"))?;
        let authority = workload.parse().map_err(|_| unknown("its name is not one of a host"))?;
        let channel = Channel::open(self, authority, expected, target.clone());
        channels.insert(workload.to_owned(), channel.clone());
        Ok(channel)
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("QUIPU_TLS_DIR", "tls"),
        ("QUIPU_POLICY_FILE", "mesh.yaml"),
        ("QUIPU_ENDPOINT_AUTH", "127.0.0.1:50051"),
    ];

    #[test]
    fn a_worker_is_found_by_its_name_in_capitals() {
        let mut reader =
            Reader::from_pairs([&GOOD[..], &[("QUIPU_ENDPOINT_TASKS_WORKER", "dns://w:1")]].concat());
        let config = MeshConfig::read(&mut reader, &["auth", "tasks-worker"]).unwrap();
        assert_eq!(config.endpoints.get("tasks-worker").unwrap().to_string(), "dns://w:1");
        reader.finish().unwrap();
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut reader = Reader::from_pairs([("QUIPU_ENDPOINT_AUTH", "auth:50051")]);
        MeshConfig::read(&mut reader, &["auth", "sentiment"]).unwrap_err();
        let faults = reader.finish().unwrap_err().0;
        let mut names: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
        names.sort_unstable();
        let all = ["QUIPU_ENDPOINT_AUTH", "QUIPU_ENDPOINT_SENTIMENT", "QUIPU_POLICY_FILE", "QUIPU_TLS_DIR"];
        assert_eq!(names, all);
    }
}
