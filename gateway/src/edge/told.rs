//! What a failure in the middle of an answer says of its request, and that the request is counted as one that failed: only the
//! envelope knows the request, and only when the answer has its head.

use std::sync::{Arc, OnceLock};

use mesh_error::Error;

use super::timer::Timer;
use crate::problem::{Failure, Problem};

/// Put into a response by a handler whose body may yet fail; the envelope tells it what the request is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    about: OnceLock<About>,
    /// Counts the request when the body is gone.
    timer: OnceLock<Timer>,
}

#[derive(Debug)]
struct About {
    request_id: String,
    trace_id: Option<String>,
    path: String,
}

impl Told {
    /// Said once.
    pub(super) fn tell(&self, request_id: &str, trace_id: Option<String>, path: &str) {
        // Twice would be the same.
        let _ =
            self.0.about.set(About { request_id: request_id.to_owned(), trace_id, path: path.to_owned() });
    }

    /// From now on the body decides how the request ended.
    pub(super) fn measure(&self, timer: Timer) {
        // There is one envelope around an answer.
        let _ = self.0.timer.set(timer);
    }

    /// The answer failed after its head.
    pub(crate) fn failed(&self, error: &Error) {
        if let Some(timer) = self.0.timer.get() {
            timer.failed(error.reason());
        }
    }

    /// The failure in the form that it would have as an answer.
    pub(crate) fn problem(&self, failure: &Failure) -> Problem {
        match self.0.about.get() {
            Some(about) => failure.problem(&about.request_id, about.trace_id.clone(), Some(&about.path)),
            None => failure.problem("", None, None),
        }
    }
}
