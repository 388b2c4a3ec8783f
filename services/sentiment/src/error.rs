//! What can go wrong while a text is analysed, and the kind of failure that it is to a caller.

use mesh_error::{Error, Kind};
use mesh_resilience::Deadline;

use crate::pool::PoolFault;
use crate::ports::ModelError;

/// Why a text got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SentimentError {
    /// No loaded model has that name.
    #[error("no model `{0}` is loaded")]
    UnknownModel(String),
    /// The pool did not do the job.
    #[error(transparent)]
    Pool(#[from] PoolFault),
    /// The model failed, and the one that stands in for it too.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<SentimentError> for Error {
    fn from(error: SentimentError) -> Self {
        match error {
            SentimentError::UnknownModel(name) => {
                // A name comes from outside: what is echoed is bounded.
                let shown: String = name.chars().take(64).collect();
                Self::new(
                    Kind::NotFound,
                    "MODEL_NOT_FOUND",
                    format!("no model `{shown}` is loaded; ListModels lists them"),
                )
            }
            SentimentError::Pool(PoolFault::Full { retry_after }) => {
                Self::exhausted("INFERENCE_POOL_FULL", "the inference pool is full", retry_after)
            }
            SentimentError::Pool(PoolFault::Expired) => Deadline::error(),
            SentimentError::Pool(fault @ PoolFault::Lost) => Self::internal(fault),
            SentimentError::Model(fault) => Self::internal(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_failure_has_its_kind() {
        let full = Error::from(SentimentError::Pool(PoolFault::Full { retry_after: Duration::from_secs(2) }));
        assert_eq!(
            (full.kind(), full.retry_after()),
            (Kind::ResourceExhausted, Some(Duration::from_secs(2)))
        );
        assert_eq!(Error::from(SentimentError::Pool(PoolFault::Expired)).kind(), Kind::DeadlineExceeded);
        assert_eq!(Error::from(SentimentError::UnknownModel("x".repeat(10_000))).kind(), Kind::NotFound);
        assert!(Error::from(SentimentError::UnknownModel("x".repeat(10_000))).message().len() < 200);
        let model = Error::from(SentimentError::Model(ModelError {
            model: "bert".into(),
            what: "secret path".into(),
        }));
        assert_eq!(model.kind(), Kind::Internal);
        assert!(!model.message().contains("secret"));
    }
}
