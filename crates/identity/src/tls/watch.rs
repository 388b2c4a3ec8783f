//! Follows the material's files and reloads what changed. Never gives up, and reports each bad version once.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    Tls, TlsError,
    material::{Files, Material},
};

impl Tls {
    /// Looks at the files in `dir` every `every` (half a second is usual) until `stop`, as [`mesh_config::follow`] does,
    /// and reloads when their content changed.
    ///
    /// A version that is refused (torn, of another identity, not yet valid…) is tried again at each look, because time
    /// alone may make it good, but it is counted and logged once.
    pub async fn watch(self, dir: PathBuf, every: Duration, stop: CancellationToken) {
        let mut last = None;
        mesh_config::follow(every, stop, || Found::in_dir(&dir), |found| self.take(&dir, found, &mut last))
            .await;
    }

    /// Takes what was found; `last` is what was taken before, and whether it was good.
    fn take(&self, dir: &Path, found: &Found, last: &mut Option<(Digest, bool)>) {
        let digest = found.digest();
        if *last == Some((digest, true)) {
            return;
        }
        let refusal = match &found.0 {
            Ok(files) => {
                files.parse().and_then(|new| self.replace_by(new)).err().map(|error| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &refusal
            && *last != Some((digest, false))
        {
            self.count("refused");
            tracing::warn!(error, dir = %dir.display(), "new TLS material refused; the old one stays");
        }
        *last = Some((digest, refusal.is_none()));
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

/// What one look found. Equal content is equal, and so is any trouble in reading.
struct Found(Result<Files, TlsError>);

impl Found {
    async fn in_dir(dir: &Path) -> Self {
        let path = dir.to_owned();
        let read = spawn_blocking(move || Files::read(&path)).await;
        // A failure to join: the runtime is shutting down.
        Self(read.unwrap_or_else(|gone| Err(TlsError::Read { path: dir.to_owned(), source: gone.into() })))
    }

    fn digest(&self) -> Digest {
        self.0.as_ref().ok().map(Files::digest)
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}
