//! Signing keys in a folder: one file `<second from which it signs>.pem` each, mode 0600.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use mesh_config::Secret;
use mesh_identity::SigningKey;

use super::{Entry, Ring};
use crate::error::{AuthError, Result};

const LARGEST: u64 = 64 * 1024;

pub(super) fn open_or_create(path: &Path, now: DateTime<Utc>) -> Result<Ring> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(AuthError::internal)?;
    let mut entries = Vec::new();
    for file in files(path)? {
        let (second, file) = file;
        let signs_from =
            DateTime::from_timestamp(second, 0).ok_or_else(|| AuthError::internal("bad key file name"))?;
        let key = SigningKey::from_pkcs8_pem(read_secret(&file)?.expose()).map_err(AuthError::internal)?;
        entries.push(Entry { key, signs_from });
    }
    entries.sort_by_key(|entry| entry.signs_from);
    if entries.is_empty() {
        entries.push(create(path, now)?);
    }
    Ok(Ring { entries, fixed: false })
}

/// Makes a key; its file appears complete or not at all.
pub(super) fn create(path: &Path, signs_from: DateTime<Utc>) -> Result<Entry> {
    let second = signs_from.timestamp();
    let signs_from = DateTime::from_timestamp(second, 0).unwrap_or(signs_from);
    let key = SigningKey::generate().map_err(AuthError::internal)?;
    let pem = key.to_pkcs8_pem().map_err(AuthError::internal)?;
    let unfinished = path.join(format!("{second}.new"));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, file_of(path, second))
    };
    write().map_err(AuthError::internal)?;
    Ok(Entry { key, signs_from })
}

/// Deletes the files of keys that are not in the ring any more.
pub(super) fn remove_others(path: &Path, ring: &Ring) -> Result<()> {
    for (second, file) in files(path)? {
        if !ring.entries.iter().any(|entry| entry.signs_from.timestamp() == second) {
            fs::remove_file(file).map_err(AuthError::internal)?;
        }
    }
    Ok(())
}

pub(super) fn read_secret(path: &Path) -> Result<Secret> {
    let read = || -> io::Result<String> {
        if fs::metadata(path)?.len() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a key file this large is none"));
        }
        fs::read_to_string(path)
    };
    read().map(Secret::from).map_err(|error| AuthError::internal(format!("{}: {error}", path.display())))
}

fn files(path: &Path) -> Result<Vec<(i64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(AuthError::internal)? {
        let file = entry.map_err(AuthError::internal)?.path();
        let second = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(second), Some("pem")) =
            (second, file.extension().and_then(|extension| extension.to_str()))
        {
            files.push((second, file));
        }
    }
    Ok(files)
}

fn file_of(path: &Path, second: i64) -> PathBuf {
    path.join(format!("{second}.pem"))
}
