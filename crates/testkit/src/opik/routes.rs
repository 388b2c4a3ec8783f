//! Which path does what.

use super::fields::{Answer, Result, refused};
use super::kept::Kept;
use super::{experiments, listing, otel, traces};
use crate::http::Request;

/// The answer to a call that is allowed.
pub(super) fn answer(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let unknown = || refused(404, "HTTP 404 Not Found");
    let path = path.strip_prefix("/api/v1/private/").ok_or_else(unknown)?;
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["otel", "v1", "traces"]) => otel::receive(request, kept),
        ("GET", ["traces"]) => listing::list(query, kept),
        ("POST", ["traces", "batch"]) => traces::batch(request, kept),
        ("PUT", ["traces", "feedback-scores"]) => traces::score_batch(request, kept),
        ("PUT", ["traces", id, "feedback-scores"]) => traces::score(request, id, kept),
        ("POST", ["datasets"]) => experiments::dataset(request, kept),
        ("PUT", ["datasets", "items"]) => experiments::items(request, kept),
        ("POST", ["experiments"]) => experiments::experiment(request, kept),
        ("POST", ["experiments", "items"]) => experiments::pairs(request, kept),
        _ => Err(unknown()),
    }
}
