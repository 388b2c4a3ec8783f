//! How a process ended.

use std::process::ExitCode;

/// How a process ended, in words that an exit code can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything ended by itself within its limit.
    Clean,
    /// The limit for work in flight passed; what was left was cut and then ended in order.
    Cut,
    /// A second signal, or tasks that did not end even after they were cut.
    Forced,
    /// A critical task failed.
    Failed,
}

impl Outcome {
    /// Whether a supervisor should count this end as a failure. A bounded drain that cut silent peers is not one.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Forced | Self::Failed)
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        if outcome.is_failure() { Self::FAILURE } else { Self::SUCCESS }
    }
}
