//! What can go wrong on the way, in the mesh's vocabulary, and what it says about the request.

use mesh_error::{BoxError, Error, Kind};

/// Reason of a PERMISSION_DENIED by the call policy: the *workload* may not call the method, whatever the user may.
pub const CALL_NOT_ALLOWED: &str = "CALL_NOT_ALLOWED";

/// Reason when the request was surely not handled: there was no connection, or the peer refused it unseen.
pub const UPSTREAM_UNREACHABLE: &str = "UPSTREAM_UNREACHABLE";

/// Reason when the connection was lost after the request went out: whether it was handled is unknown.
pub const UPSTREAM_LOST: &str = "UPSTREAM_LOST";

/// Whether a call was denied because of this workload's own identity: a fault of the deployment, not of the user for
/// whom the call was made.
#[must_use]
pub fn is_own_denial(error: &Error) -> bool {
    error.kind() == Kind::PermissionDenied && error.reason() == CALL_NOT_ALLOWED
}

/// The request was surely not handled.
pub(crate) fn unreachable(source: impl Into<BoxError>) -> Error {
    Error::unavailable(UPSTREAM_UNREACHABLE, "the service cannot be reached").with_source(source)
}

/// The request may have been handled.
pub(crate) fn lost(source: impl Into<BoxError>) -> Error {
    Error::unavailable(UPSTREAM_LOST, "the connection to the service was lost").with_source(source)
}

/// Whether the peer surely did not handle the request: it refused the stream, or said goodbye with a last stream before
/// it (RFC 9113 §8.7). h2 gives the remote GOAWAY as the error of exactly those streams.
pub(crate) fn was_refused(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}
