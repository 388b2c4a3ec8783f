//! An empty SQLite file in a folder of its own.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::Result;

/// A path for a database; the folder goes with it.
#[derive(Debug)]
pub struct SqliteFile {
    folder: TempDir,
}

impl SqliteFile {
    /// A new folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::Builder::new().prefix("quipu-sqlite.").tempdir()? })
    }

    /// The path of the file, which does not exist yet.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// `sqlite://…`, as the setting `QUIPU_DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }
}
