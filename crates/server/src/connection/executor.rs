//! The tasks of one connection's calls: they end with the connection at the latest.

use std::future::Future;

use hyper::rt::Executor;
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
        let token = self.0.clone();
        tokio::spawn(async move {
            token.run_until_cancelled_owned(future).await;
        });
    }
}
