//! Files that are either whole or not there, and secret where they must be.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::CaError;

/// Held while a folder's CA is opened or made; released on drop.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn acquire(dir: &Path) -> Result<Self, CaError> {
        create_dir(dir)?;
        let path = dir.join(".ca.lock");
        let open = || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        Ok(Self { _file: open().map_err(failed("lock", &path))? })
    }
}

/// Makes the folder, for the owner only, when it does not exist.
pub(super) fn create_dir(dir: &Path) -> Result<(), CaError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create the folder", dir))
}

pub(super) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, CaError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes beside the file and renames, so that a reader sees the old bytes or the new ones and nothing between.
pub(super) fn write(path: &Path, bytes: &[u8], secret: bool) -> Result<(), CaError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.tmp", ::rand::random::<u64>()));
    let temporary = path.with_file_name(name);
    let attempt = || {
        let mode = if secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    attempt().map_err(|error| {
        // What is left over would only be litter; the first error is the one that counts.
        let _ = fs::remove_file(&temporary);
        failed("write", path)(error)
    })
}

/// Takes a key file that others may read away from them.
pub(super) fn restrict(path: &Path) -> Result<(), CaError> {
    let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read the CA's key; it is now the owner's only");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("restrict", path))?;
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::Io { action, path, source }
}
