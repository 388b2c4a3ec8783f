//! The tasks of one connection's calls: they end with the connection at the latest.

use std::future::Future;

use hyper::rt::Executor;
use tokio_util::future::FutureExt as _;
use tokio_util::sync::CancellationToken;

/// Spawns calls and cancels those that are left.
#[derive(Clone, Default)]
pub(super) struct CallTasks(CancellationToken);

impl CallTasks {
    pub(super) fn cancel(&self) {
        self.0.cancel();
    }
}

impl<F> Executor<F> for CallTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        // An `async` block around it would hold it two or three times, and move as much.
        tokio::spawn(future.with_cancellation_token_owned(self.0.clone()));
    }
}
