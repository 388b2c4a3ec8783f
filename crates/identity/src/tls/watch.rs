//! Follows the material's files and reloads what changed.
//!
//! Polls the content instead of waiting for file events: that is right for a Kubernetes volume (which swaps a link), for a
//! plain copy and for network file systems alike. Never gives up, and reports each bad version once.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    Tls, TlsError,
    material::{Files, Material},
};

/// The shortest interval between two polls.
const SHORTEST: Duration = Duration::from_millis(10);

impl Tls {
    /// Looks at the files in `dir` every `every` (1 s is usual) until `stop`, and reloads when their content changed.
    ///
    /// A version that is refused (torn, of another identity, not yet valid…) is tried again at each poll, because time
    /// alone may make it good, but it is counted and logged once.
    pub async fn watch(self, dir: PathBuf, every: Duration, stop: CancellationToken) {
        let mut ticks = interval(every.max(SHORTEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen::Nothing;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => seen = self.poll(&dir, seen).await,
            }
        }
    }

    async fn poll(&self, dir: &Path, seen: Seen) -> Seen {
        let path = dir.to_owned();
        let read = tokio::task::spawn_blocking(move || Files::read(&path)).await;
        let (digest, outcome) = match read {
            // The runtime is shutting down.
            Err(_) => return seen,
            Ok(Err(error)) => (None, Err(error)),
            Ok(Ok(files)) if seen == Seen::Good(files.digest()) => return seen,
            Ok(Ok(files)) => {
                (Some(files.digest()), files.parse().and_then(|material| self.replace_by(material)))
            }
        };
        match (outcome, digest) {
            (Ok(()), Some(digest)) => Seen::Good(digest),
            (Ok(()), None) => Seen::Nothing,
            (Err(error), digest) => {
                if seen != Seen::Bad(digest) {
                    self.count("refused");
                    tracing::warn!(%error, dir = %dir.display(), "new TLS material refused; the old one stays");
                }
                Seen::Bad(digest)
            }
        }
    }

    fn replace_by(&self, material: Material) -> Result<(), TlsError> {
        if self.replace(material)? {
            self.count("loaded");
            tracing::info!(generation = *self.shared.generation.borrow(), "TLS material reloaded");
        }
        Ok(())
    }
}

/// The last version of the files that was looked at; `None` when they could not be read.
#[derive(PartialEq)]
enum Seen {
    Nothing,
    Good([u8; 32]),
    Bad(Option<[u8; 32]>),
}
