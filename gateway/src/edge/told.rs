//! What a failure in the middle of an answer says of its request: only the envelope knows it, and only when the answer
//! has its head.

use std::sync::{Arc, OnceLock};

use crate::problem::{Failure, Problem};

/// Put into a response by a handler whose body may yet fail; the envelope tells it what the request is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<OnceLock<About>>);

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
        let _ = self.0.set(About { request_id: request_id.to_owned(), trace_id, path: path.to_owned() });
    }

    /// The failure in the form that it would have as an answer.
    pub(crate) fn problem(&self, failure: &Failure) -> Problem {
        match self.0.get() {
            Some(about) => failure.problem(&about.request_id, about.trace_id.clone(), Some(&about.path)),
            None => failure.problem("", None, None),
        }
    }
}
