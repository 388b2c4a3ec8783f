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
    /// Looks at the files in `dir` every `every` (half a second is usual) until `stop`, and reloads when their content
    /// changed. What is found counts when two looks in a row find it, so that files which are just being written do not
    /// come into force by halves.
    ///
    /// A version that is refused (torn, of another identity, not yet valid…) is tried again at each poll, because time
    /// alone may make it good, but it is counted and logged once.
    pub async fn watch(self, dir: PathBuf, every: Duration, stop: CancellationToken) {
        let mut ticks = interval(every.max(SHORTEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut seen) = (None, Seen::Nothing);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    let path = dir.clone();
                    // A failure to join: the runtime is shutting down.
                    let Ok(found) = tokio::task::spawn_blocking(move || Files::read(&path)).await else { return };
                    let digest = found.as_ref().ok().map(Files::digest);
                    if last.replace(digest) == Some(digest) {
                        seen = self.take(&dir, found, digest, seen);
                    }
                }
            }
        }
    }

    /// Takes what was found twice.
    fn take(&self, dir: &Path, found: Result<Files, TlsError>, digest: Digest, seen: Seen) -> Seen {
        if digest.is_some_and(|digest| seen == Seen::Good(digest)) {
            return seen;
        }
        let outcome = found.and_then(|files| files.parse()).and_then(|material| self.replace_by(material));
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

/// A version of the files; `None` when they could not be read.
type Digest = Option<[u8; 32]>;

/// The last version that was taken.
#[derive(PartialEq)]
enum Seen {
    Nothing,
    Good([u8; 32]),
    Bad(Digest),
}
