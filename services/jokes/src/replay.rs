//! Answers that were recorded once and are played back: for tests and demonstrations without any model.
//!
//! A folder holds one file per prompt, named after the prompt's hash. A recording holds the pieces of the answer, as they
//! came, and neither their timing nor the prompt. What tells two prompts apart is all that a model is told; the random
//! canary in our instructions does not count, so that a recording outlives the process.

mod file;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;

use crate::ports::{Answer, JokeModel, ModelError, ModelInfo, Piece, Prompt};

pub use self::file::key;

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder of recordings {} cannot be used: {source}", folder.display())]
pub struct FolderFault {
    folder: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A model that passes on what another one says, and records it.
pub struct Recorder {
    model: Arc<dyn JokeModel>,
    folder: Arc<PathBuf>,
}

/// A model that says what was recorded.
#[derive(Debug)]
pub struct Replay {
    info: ModelInfo,
    folder: PathBuf,
}

impl Recorder {
    /// Records what `model` says. Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(model: Arc<dyn JokeModel>, folder: impl Into<PathBuf>) -> Result<Self, FolderFault> {
        let folder = folder.into();
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { model, folder: Arc::new(folder) }),
            Err(source) => Err(FolderFault { folder, source }),
        }
    }
}

impl Replay {
    /// Plays back from a folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(info: ModelInfo, folder: impl Into<PathBuf>) -> Result<Self, FolderFault> {
        let folder = folder.into();
        match std::fs::read_dir(&folder) {
            Ok(_) => Ok(Self { info, folder }),
            Err(source) => Err(FolderFault { folder, source }),
        }
    }
}

#[async_trait]
impl JokeModel for Recorder {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    /// Only an answer that comes to its end is recorded, before the end is passed on. One that cannot be is passed on
    /// all the same, and the log says why.
    async fn answer(&self, prompt: &Prompt) -> Result<Answer, ModelError> {
        let answer = self.model.answer(prompt).await?;
        let (folder, key) = (Arc::clone(&self.folder), key(prompt));
        let so_far = Some((answer, Vec::new()));
        Ok(stream::unfold(so_far, move |so_far| {
            let (folder, key) = (Arc::clone(&folder), key.clone());
            async move {
                let (mut answer, mut pieces) = so_far?;
                let piece = answer.next().await?;
                if let Ok(piece) = &piece {
                    file::keep(&mut pieces, piece);
                }
                if matches!(piece, Ok(Piece::End { .. }))
                    && let Err(fault) = file::write(&folder, &key, pieces.clone()).await
                {
                    tracing::warn!(%fault, "an answer was not recorded");
                }
                Some((piece, Some((answer, pieces))))
            }
        })
        .fuse()
        .boxed())
    }
}

#[async_trait]
impl JokeModel for Replay {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn answer(&self, prompt: &Prompt) -> Result<Answer, ModelError> {
        let pieces = file::read(&self.folder, &key(prompt)).await?;
        Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
    }
}
