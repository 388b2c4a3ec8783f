//! Fields that are wrong, collected so that the caller learns of all of them at once.

use crate::Error;

/// So many violations are told. They travel in a header, and one that is too large ends the connection with every other call
/// on it.
const MOST: usize = 32;

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as the caller wrote it, for example `texts[3]`.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub description: String,
}

/// Collects violations while a request is parsed.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value, or a violation of `field` with the error's text.
    pub fn check<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.push(field, e.to_string())).ok()
    }

    /// Adds a violation; those after the first 32 are not kept.
    pub fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(Violation { field: field.into(), description: description.into() });
        }
    }

    /// Fails when there is any violation.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with every violation.
    pub fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    /// The error for what was collected; for code that has found a value missing because of a violation.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::invalid(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_violations_are_told() {
        let mut violations = Violations::new();
        for place in 0..1000 {
            violations.push(format!("texts[{place}]"), "is wrong");
        }
        let error = violations.into_error();
        assert_eq!((error.violations().len(), error.violations()[0].field.as_str()), (MOST, "texts[0]"));
        assert!(error.into_status().details().len() < 2048);
    }
}
