//! Why a model was not loaded. Every message names the file or the setting and what to do.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why a model was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    /// A file is at fault.
    #[error("{}: {what}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A setting is at fault.
    #[error("{0}")]
    Setting(String),
}

impl LoadFault {
    pub(crate) fn file(path: &Path, what: impl Display) -> Self {
        Self::File { path: path.to_owned(), what: what.to_string() }
    }

    pub(crate) fn unreadable(path: &Path, fault: &std::io::Error) -> Self {
        Self::file(path, format!("cannot be read: {fault}"))
    }

    pub(crate) fn setting(what: String) -> Self {
        Self::Setting(what)
    }
}
