//! What a handler knows of its call.

use std::future::Future;
use std::net::SocketAddr;

use mesh_error::Error;
use mesh_identity::{Principal, User};
use mesh_lifecycle::Lifecycle;
use mesh_resilience::Place;
use mesh_telemetry::RequestSpan;
use tokio::sync::oneshot;
use tonic::{Request, Status};

tokio::task_local! {
    /// The call that a handler or its stream works on.
    pub(crate) static CALL: Call;
}

/// What outlives a call when its handler starts something that must come to its end.
#[derive(Clone)]
pub(crate) struct Call {
    /// The process that the handler belongs to, so that what it starts is waited for.
    pub(crate) lifecycle: Lifecycle,
    /// So that what it starts is counted; none for what is exempt from admission.
    _place: Option<Place>,
}

impl Call {
    pub(crate) fn new(lifecycle: Lifecycle, place: Option<Place>) -> Self {
        Self { lifecycle, _place: place }
    }
}

/// The address at the other end of the connection, in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddr(pub SocketAddr);

/// Who calls: the workload, and the user when the method's rule asks for one.
///
/// # Errors
/// `Unauthenticated` when the request did not come through the stack.
pub fn principal<T>(request: &Request<T>) -> Result<&Principal, Error> {
    request
        .extensions()
        .get::<Principal>()
        .ok_or_else(|| Error::unauthenticated("NO_PRINCIPAL", "the caller is not known"))
}

/// The user in whose name the call is made.
///
/// # Errors
/// `Unauthenticated` when the method's rule asks for none.
pub fn user<T>(request: &Request<T>) -> Result<&User, Error> {
    let user = principal(request)?.user.as_ref();
    user.ok_or_else(|| Error::unauthenticated("NO_USER", "the call is made for no user"))
}

/// Writes the error and its causes to the log and makes the status that the caller gets: the end of every handler.
pub fn refuse(error: impl Into<Error>) -> Status {
    let error = error.into();
    error.log();
    error.into_status()
}

/// Runs a change of state to its end in a task of its own, also when the caller leaves or the deadline passes: a change
/// that is half made is worse than one that nobody waits for. The drain waits for it too, and it keeps the call's place:
/// a caller that asks and leaves does not get more done at once than one that waits. Both hold in a handler and in the
/// stream that it returns, not in tasks that either spawns.
///
/// # Errors
/// Those of the change, and `Internal` when it panicked.
pub async fn run_to_end<F, T, E>(change: F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (done, result) = oneshot::channel();
    go_on(async move {
        // The caller may be gone.
        let _ = done.send(change.await);
    });
    result.await.unwrap_or_else(|_| Err(Error::internal("the task that made the change panicked").into()))
}

/// Does work in a task of its own, which goes on when the caller leaves; as [`run_to_end`], without waiting for it. The work
/// itself sees to it that it ends.
pub fn go_on(work: impl Future<Output = ()> + Send + 'static) {
    let task = RequestSpan::current().follow(work);
    match CALL.try_with(Call::clone) {
        Ok(call) => {
            let lifecycle = call.lifecycle.clone();
            lifecycle.spawn("change", CALL.scope(call, task));
        }
        Err(_) => drop(tokio::spawn(task)),
    }
}
