//! What the service needs from a model, whatever it is made of.

use std::borrow::Cow;

use crate::domain::{Analysis, Label};

/// A loaded model. Immutable: one value serves every thread at once.
pub trait SentimentModel: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Answers for one text of any length; `explain` asks for the share of each word, which a model that cannot
    /// explain leaves empty. A text without any word, emoticon or emoji is neutral, by rule.
    ///
    /// # Errors
    /// [`ModelError`] when the model fails at run time; the caller then answers with another model.
    fn analyze(&self, text: &str, explain: bool) -> Result<Analysis, ModelError>;

    /// How many bytes of text may be analysed on an asynchronous thread in one go. 0 sends everything to the pool.
    fn inline_bytes(&self) -> usize;
}

/// What a loaded model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Unique among the loaded models.
    pub name: String,
    /// Changes whenever an answer can.
    pub version: String,
    /// What it is made of.
    pub backend: Backend,
    /// The classes it can tell apart.
    pub labels: Vec<Label>,
    /// Whether it can explain its answers.
    pub explains: bool,
    /// SHA-256 of its file, lower-case hexadecimal.
    pub sha256: String,
}

/// What a model is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Hashed features with one weight each.
    Linear,
    /// A transformer in the ONNX format.
    Onnx,
}

impl Backend {
    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Onnx => "onnx",
        }
    }
}

/// A model that failed at run time. The message is for the log, never for a caller.
#[derive(Debug, thiserror::Error)]
#[error("model `{model}` failed: {what}")]
pub struct ModelError {
    /// Name of the model.
    pub model: String,
    /// What happened.
    pub what: Cow<'static, str>,
}
