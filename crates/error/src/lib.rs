//! The closed vocabulary of failure and its one mapping to gRPC and HTTP.
//!
//! Every failure that leaves a process is an [`Error`] of a [`Kind`]. The kind alone decides the gRPC code and the
//! HTTP status; the message is public; the cause is kept for the log and never sent. An error
//! does not log when it is made: [`Error::log`] writes the chain once, where it is handled.

mod kind;
mod status;
mod violations;

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

pub use kind::Kind;
pub use violations::{Violation, Violations};

/// Any cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result that fails with an [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: what kind, a stable reason, a public message, and a private cause.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    reason: Cow<'static, str>,
    message: Cow<'static, str>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    metadata: BTreeMap<String, String>,
    source: Option<BoxError>,
    /// Made from the status that a call ended with.
    received: bool,
}

impl Error {
    /// `reason` is a stable name in `UPPER_SNAKE_CASE` for programs; `message` is public and for people.
    pub fn new(
        kind: Kind,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            reason: reason.into(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            metadata: BTreeMap::new(),
            source: None,
            received: false,
        }))
    }

    /// A fault of ours; the cause goes to the log, the caller learns nothing of it.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Internal, "INTERNAL", "internal error").with_source(source)
    }

    /// Fields that are wrong, all at once.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [only] => format!("{}: {}", only.field, only.description),
            many => format!("{} fields are invalid", many.len()),
        };
        let mut error = Self::new(Kind::InvalidArgument, "INVALID_FIELDS", message);
        error.0.violations = violations;
        error
    }

    /// One field that is wrong.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid(vec![Violation { field: field.into(), description: description.into() }])
    }

    /// An object that is not there, or that the caller may not know of. `what` is for example "session".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, "NOT_FOUND", format!("{what} not found"))
    }

    /// The caller did not prove who it is.
    pub fn unauthenticated(
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Unauthenticated, reason, message)
    }

    /// The caller is known and may not.
    pub fn denied(reason: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::PermissionDenied, reason, message)
    }

    /// A limit is reached; `retry_after` says when it may be worth another try.
    pub fn exhausted(
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
        retry_after: Duration,
    ) -> Self {
        Self::new(Kind::ResourceExhausted, reason, message).with_retry_after(retry_after)
    }

    /// Something that is needed is away for now.
    pub fn unavailable(reason: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, reason, message)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says when another try may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Adds a public fact for programs (`google.rpc.ErrorInfo.metadata`).
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable name for programs.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The public text for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// When another try may succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Public facts for programs.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// Writes the error and its chain of causes to the log, once, where it is handled: faults of ours as errors, what
    /// is expected of callers at debug level.
    pub fn log(&self) {
        let chain = self.chain();
        let reason = self.reason();
        match self.kind() {
            Kind::Internal | Kind::DataLoss => tracing::error!(reason, error = %chain, "request failed"),
            Kind::Unavailable | Kind::DeadlineExceeded => {
                tracing::warn!(reason, error = %chain, "request failed")
            }
            _ => tracing::debug!(reason, error = %chain, "request refused"),
        }
    }

    /// The message and every cause, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and every cause of it, in one line; a cause that a message already ends with is not said twice.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    text
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}: {}", self.kind(), self.reason(), self.chain())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_and_the_message_names_none() {
        let cause = Error::internal("disk on fire");
        let error = Error::unavailable("STORE_DOWN", "try again later").with_source(cause);
        assert_eq!(error.to_string(), "try again later");
        assert_eq!(error.chain(), "try again later: internal error: disk on fire");
    }

    #[test]
    fn what_a_message_ends_with_already_is_not_said_twice() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::unavailable("STORE_DOWN", "no store: disk on fire").with_source(cause);
        assert_eq!(chain(&error), "no store: disk on fire");
    }

    #[test]
    fn one_violation_is_named_in_the_message() {
        assert_eq!(Error::invalid_field("email", "is empty").message(), "email: is empty");
        let two = vec![
            Violation { field: "a".into(), description: "x".into() },
            Violation { field: "b".into(), description: "y".into() },
        ];
        assert_eq!(Error::invalid(two).message(), "2 fields are invalid");
    }
}
