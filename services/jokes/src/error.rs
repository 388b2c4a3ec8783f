//! How the service fails. The texts are what the caller reads.

use std::time::Duration;

use mesh_error::{BoxError, Error, Kind};
use mesh_resilience::Deadline;
use mesh_store::StoreError;

use crate::guard::Refusal;
use crate::ports::ModelError;
use crate::structured::Unfit;

/// A failure of the service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JokesError {
    /// A field that a guard refuses.
    #[error("refused by a guard")]
    RefusedInput {
        /// The field, as in the contract.
        field: String,
        /// The rule.
        refusal: Refusal,
    },
    /// An answer that a guard refuses.
    #[error("the model's answer was refused by a guard")]
    RefusedAnswer(Refusal),
    /// The provider's own filter refused, or the model declined.
    #[error("the model declined to answer")]
    Declined,
    /// No model has that name.
    #[error("no model `{0}` can be asked; ListModels lists those that can")]
    UnknownModel(String),
    /// A budget is spent.
    #[error("the budget for the {account} is spent")]
    BudgetSpent {
        /// Whose and which: "day of the user".
        account: String,
        /// Until it begins anew.
        ends_in: Duration,
    },
    /// No model answered.
    #[error("no language model answers right now")]
    NoModel(#[source] Option<ModelError>),
    /// A model refuses the call as it is.
    #[error("the language model does not take this call")]
    Rejected(#[source] ModelError),
    /// A model stopped in the middle.
    #[error("the language model broke off")]
    BrokenOff(#[source] ModelError),
    /// What a model said is no joke, also the second time.
    #[error("the language model's answer was not a joke")]
    Unfit(#[source] Unfit),
    /// It took too long.
    #[error("the time for this call is over")]
    Expired,
    /// The caller left; nobody reads this.
    #[error("the caller left")]
    Left,
    /// Nothing there, or nothing that the caller may know of.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Fields that are wrong, found by a library of the mesh.
    #[error(transparent)]
    Mesh(#[from] Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mistake of ours.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

/// A result of the service.
pub(crate) type Result<T> = std::result::Result<T, JokesError>;

impl JokesError {
    /// A name comes from outside: what is echoed is bounded.
    pub(crate) fn unknown_model(name: &str) -> Self {
        Self::UnknownModel(name.chars().filter(|c| !c.is_control()).take(64).collect())
    }

    /// A mistake of ours.
    pub(crate) fn internal(source: impl Into<BoxError>) -> Self {
        Self::Internal(source.into())
    }

    /// For metrics: a word of a closed list.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::RefusedInput { .. } => "refused_input",
            Self::RefusedAnswer(_) => "refused_answer",
            Self::Declined => "declined",
            Self::UnknownModel(_) | Self::NotFound(_) | Self::Mesh(_) => "invalid",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::NoModel(_) => "no_model",
            Self::Rejected(_) => "rejected",
            Self::BrokenOff(_) => "broken_off",
            Self::Unfit(_) => "unfit",
            Self::Expired => "expired",
            Self::Left => "left",
            Self::Store(_) | Self::Internal(_) => "error",
        }
    }
}

impl From<JokesError> for Error {
    fn from(error: JokesError) -> Self {
        let message = error.to_string();
        match error {
            JokesError::RefusedInput { field, refusal } => {
                let description = refusal.to_string();
                Self::new(Kind::InvalidArgument, "GUARD_REFUSED", format!("{field}: {description}"))
                    .with_metadata("field", field)
                    .with_metadata("rule", refusal.rule)
            }
            JokesError::RefusedAnswer(refusal) => {
                Self::new(Kind::FailedPrecondition, "ANSWER_REFUSED", message)
                    .with_metadata("rule", refusal.rule)
            }
            JokesError::Declined => Self::new(Kind::FailedPrecondition, "MODEL_DECLINED", message),
            JokesError::UnknownModel(_) => Self::new(Kind::NotFound, "MODEL_NOT_FOUND", message),
            JokesError::BudgetSpent { account, ends_in } => {
                Self::exhausted("BUDGET_SPENT", message, ends_in).with_metadata("budget", account)
            }
            JokesError::NoModel(Some(source @ ModelError::Malformed(_))) => {
                let message = "the language model's answer could not be read";
                Self::unavailable("MODEL_ANSWER_INVALID", message).with_source(source)
            }
            JokesError::NoModel(source) => {
                let pause = match &source {
                    Some(ModelError::RateLimited { retry_after: Some(after) }) => *after,
                    _ => Duration::from_secs(5),
                };
                let error = Self::unavailable("MODEL_UNAVAILABLE", message).with_retry_after(pause);
                match source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            }
            JokesError::Rejected(source) => {
                Self::new(Kind::FailedPrecondition, "MODEL_REJECTED_CALL", message).with_source(source)
            }
            JokesError::BrokenOff(source) => {
                Self::unavailable("MODEL_BROKE_OFF", message).with_source(source)
            }
            JokesError::Unfit(source) => {
                Self::unavailable("MODEL_ANSWER_INVALID", message).with_source(source)
            }
            JokesError::Expired => Deadline::error(),
            JokesError::Left => Self::new(Kind::Cancelled, "CANCELLED", message),
            JokesError::NotFound(what) => Self::not_found(what),
            JokesError::Mesh(error) => error,
            JokesError::Store(error) => error.into(),
            JokesError::Internal(source) => Self::internal(source),
        }
    }
}
