//! The linear model behind the trait.

use super::digest::Sha256;
use crate::domain::{Analysis, Label};
use crate::linear::{FileFault, LinearModel};
use crate::ports::{Backend, ModelError, ModelInfo, SentimentModel};

/// Raised whenever the reader answers otherwise for the same file.
const READER: u32 = 1;

/// At 20 ns a byte, 4 KiB keep an asynchronous thread for 80 µs: less than handing over to another thread is worth.
const INLINE_BYTES: usize = 4096;

/// A linear model with its name.
#[derive(Debug)]
pub struct LinearBackend {
    info: ModelInfo,
    model: LinearModel,
}

impl LinearBackend {
    /// Reads a model file; `sha256` is that of `bytes`.
    ///
    /// # Errors
    /// [`FileFault`] names the section of the file and what is wrong with it.
    pub fn parse(name: &str, bytes: &[u8], sha256: &Sha256) -> Result<Self, FileFault> {
        let info = ModelInfo {
            name: name.to_owned(),
            version: format!("{READER}-{}", sha256.short()),
            backend: Backend::Linear,
            labels: Label::ALL.to_vec(),
            explains: true,
            sha256: sha256.as_str().to_owned(),
        };
        Ok(Self { info, model: LinearModel::parse(bytes)? })
    }
}

impl SentimentModel for LinearBackend {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn analyze(&self, text: &str, explain: bool) -> Result<Analysis, ModelError> {
        Ok(self.model.analyze(text, explain))
    }

    fn inline_bytes(&self) -> usize {
        INLINE_BYTES
    }
}
