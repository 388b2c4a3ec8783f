//! The policy in force, swapped while calls go on.
//!
//! A version of the file that is refused is counted and logged once, and the one in force stays; so does it when the
//! file is gone. A policy cannot change the trust domain or the
//! namespace of a running process, because its certificate could not follow.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Faults, Policy, yaml::MAX_BYTES};

/// The policy in force. Clones share it.
#[derive(Clone, Debug)]
pub struct PolicyHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: ArcSwap<Policy>,
    applied: AtomicU64,
    refused: AtomicU64,
    last_refusal: ArcSwapOption<Faults>,
    versions: watch::Sender<u64>,
}

impl PolicyHandle {
    /// Puts `policy` in force.
    pub fn new(policy: Policy) -> Self {
        metrics::describe_counter!(
            "mesh_policy_reloads_total",
            "Versions of the policy file seen after the start."
        );
        metrics::describe_gauge!("mesh_policy_stale", "1 while the file holds a version that was refused.");
        metrics::gauge!("mesh_policy_stale").set(0.0);
        Self(Arc::new(Shared {
            policy: ArcSwap::from_pointee(policy),
            applied: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last_refusal: ArcSwapOption::empty(),
            versions: watch::Sender::new(0),
        }))
    }

    /// The policy in force now. A call decides everything on one load, so that a swap cannot split it.
    pub fn load(&self) -> Arc<Policy> {
        self.0.policy.load_full()
    }

    /// How many new versions came into force since the start.
    pub fn applied(&self) -> u64 {
        self.0.applied.load(Ordering::Relaxed)
    }

    /// Tells of each new version that comes into force; its value is [`PolicyHandle::applied`].
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.0.versions.subscribe()
    }

    /// How many new versions were refused since the start.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Why the file as it is now is not in force; `None` when it is.
    pub fn last_refusal(&self) -> Option<Arc<Faults>> {
        self.0.last_refusal.load_full()
    }

    /// Takes `text` as the new version of the policy.
    ///
    /// # Errors
    /// The faults of the text, or that it moves the mesh to another trust domain or namespace; the version in force
    /// stays and the refusal is counted.
    pub fn reload(&self, text: &str) -> Result<(), Arc<Faults>> {
        let current = self.load();
        let outcome = Policy::parse(current.file(), text, current.contract());
        match outcome.and_then(|new| keeps_identity(&current, new)) {
            Ok(new) => {
                self.0.policy.store(Arc::new(new));
                self.0.last_refusal.store(None);
                let before = self.0.applied.fetch_add(1, Ordering::Relaxed);
                self.0.versions.send_replace(before + 1);
                metrics::counter!("mesh_policy_reloads_total", "outcome" => "applied").increment(1);
                metrics::gauge!("mesh_policy_stale").set(0.0);
                tracing::info!(file = current.file(), "a new version of the call policy is in force");
                Ok(())
            }
            Err(faults) => Err(self.refuse(faults)),
        }
    }

    fn refuse(&self, faults: Faults) -> Arc<Faults> {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("mesh_policy_reloads_total", "outcome" => "refused").increment(1);
        metrics::gauge!("mesh_policy_stale").set(1.0);
        tracing::error!(file = faults.file(), %faults, "a new version of the call policy was refused; the old one stays");
        let faults = Arc::new(faults);
        self.0.last_refusal.store(Some(Arc::clone(&faults)));
        faults
    }

    /// Follows the file at `path` until `stop`, looking at it each `every`, as [`mesh_config::follow`] does.
    pub async fn watch(self, path: PathBuf, every: Duration, stop: CancellationToken) {
        let mut taken: Result<String, String> = Ok(self.load().source().to_owned());
        let news = |found: &Result<String, String>| {
            if *found != taken {
                self.take(found);
                taken.clone_from(found);
            }
        };
        mesh_config::follow(every, stop, || read(&path), news).await;
    }

    /// Takes what was found in the file. A version that is in force already is no news, but ends a refusal.
    fn take(&self, found: &Result<String, String>) {
        match found {
            Ok(text) if self.load().source() == text => {
                self.0.last_refusal.store(None);
                metrics::gauge!("mesh_policy_stale").set(0.0);
            }
            Ok(text) => {
                // The outcome is counted, logged and kept by `reload` itself.
                let _refusal = self.reload(text);
            }
            Err(problem) => {
                self.refuse(Faults::whole(self.load().file(), format!("cannot be read: {problem}")));
            }
        }
    }
}

/// The text of the file; an error is text too, so that two looks at the same trouble compare equal.
async fn read(path: &Path) -> Result<String, String> {
    let size = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES as u64 {
        return Err(format!("it has {size} bytes; at most {MAX_BYTES} are read"));
    }
    tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())
}

fn keeps_identity(current: &Policy, new: Policy) -> Result<Policy, Faults> {
    if new.trust_domain() == current.trust_domain() && new.namespace() == current.namespace() {
        return Ok(new);
    }
    Err(Faults::whole(new.file(), "the trust domain and the namespace cannot change while a process runs"))
}
