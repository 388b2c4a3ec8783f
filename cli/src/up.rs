//! `quipu up`: the whole mesh in one process.
//!
//! Each service runs as in production, on its own loopback port, with its own identity, behind the same stacks and the
//! same policy; only the stores differ: `SQLite` and memory in place of Postgres and Redis.

mod authority;
mod services;

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mesh_config::Secret;
use mesh_lifecycle::Lifecycle;
use mesh_telemetry::RecentTraces;

pub use authority::Authority;

/// How the local mesh is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of everything that is kept.
    pub data: PathBuf,
    /// Address of the REST gateway.
    pub listen: SocketAddr,
    /// Policy file, reloaded when it changes; without it the built-in policy holds.
    pub policy: Option<PathBuf>,
    /// Services and admin ports take any free port instead of the usual ones.
    pub free_ports: bool,
    /// User's models for the sentiment service: `NAME=PATH[#sha256]`, separated by commas.
    pub sentiment_models: Option<String>,
    /// Language models for the jokes service beside the embedded engine.
    pub joke_models: quipu_jokes::ModelsConfig,
    /// Where answers are observed.
    pub observed: quipu_jokes::ObservedConfig,
    /// Where the gateway finds the newest traces.
    pub recent_traces: Option<RecentTraces>,
}

/// Where a part of the running mesh listens.
#[derive(Clone, Debug)]
pub struct Part {
    /// Workload of the policy.
    pub name: &'static str,
    /// REST for the gateway, gRPC over mTLS for the others.
    pub address: SocketAddr,
    /// `/healthz`, `/readyz`, `/metrics`, `/version`.
    pub admin: SocketAddr,
}

/// A local mesh whose ports are bound; [`LocalMesh::serve`] starts it.
pub struct LocalMesh {
    parts: Vec<Part>,
    authority: Authority,
    admin: Option<(String, Secret)>,
    apps: services::Apps,
    operator: PathBuf,
    lock: File,
}

/// Why the local mesh does not start.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The policy file is faulty.
    #[error("the policy is refused:\n{0}")]
    Policy(mesh_policy::Faults),
    /// A certificate or key cannot be made, read or written.
    #[error("identity")]
    Identity(#[source] mesh_error::BoxError),
    /// The name is not in the policy.
    #[error("the policy knows no workload {name:?}; it knows {known}")]
    UnknownWorkload {
        /// As given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A folder cannot be made.
    #[error("{}: cannot be made or entered", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the data folder.
    #[error("{}: another `quipu up` uses this data folder; stop it, or choose another with --data", .0.display())]
    InUse(PathBuf),
    /// A service did not start.
    #[error("{part} does not start")]
    Part {
        /// Workload of the policy.
        part: &'static str,
        /// Why.
        source: mesh_error::Error,
    },
}

impl UpError {
    fn identity(error: impl Into<mesh_error::BoxError>) -> Self {
        Self::Identity(error.into())
    }
}

impl LocalMesh {
    /// Binds every port and opens every store. Nothing is served before [`LocalMesh::serve`].
    ///
    /// # Errors
    /// As [`UpError`] says; nothing is left running.
    pub async fn start(options: &Options, lifecycle: &Lifecycle) -> Result<Self, UpError> {
        let authority = Authority::open(&options.data, options.policy.as_deref())?;
        let lock = lock(&options.data)?;
        if let Some(path) = &options.policy {
            let watch =
                authority.policy().clone().watch(path.clone(), services::RELOAD, lifecycle.stop_token());
            lifecycle.spawn("policy reload", watch);
        }
        let operator = options.data.join("operator");
        authority.write_identity("operator", &operator, services::SVID_TTL)?;
        let (apps, parts, admin) = services::build(options, &authority, lifecycle).await?;
        Ok(Self { parts, authority, admin, apps, operator, lock })
    }

    /// The parts and their addresses, the gateway first.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The part of a workload.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|p| p.name == name)
    }

    /// Issues further identities.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The folder with the operator's identity: `operator.crt`, `operator.key`, `ca.crt`.
    #[must_use]
    pub fn operator_identity(&self) -> &Path {
        &self.operator
    }

    /// The first administrator's e-mail address and password, only when this start made the account.
    #[must_use]
    pub fn first_admin(&self) -> Option<&(String, Secret)> {
        self.admin.as_ref()
    }

    /// Serves until the lifecycle closes.
    pub fn serve(self, lifecycle: &Lifecycle) {
        let Self { apps, lock, .. } = self;
        apps.serve(lifecycle);
        lifecycle.at_end("data folder", async move { drop(lock) });
    }
}

/// One process a data folder; the lock ends with the process, however that ends.
fn lock(data: &Path) -> Result<File, UpError> {
    let path = data.join("lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| UpError::Folder { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(UpError::InUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(UpError::Folder { path, source }),
    }
}
