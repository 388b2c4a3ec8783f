//! The phases of a process and the walk through them.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::tasks::Tasks;
use crate::{Drain, Outcome, Readiness, signals};

/// What a task that was told to end at once still gets to do so.
const CUT_GRACE: Duration = Duration::from_secs(1);

type Closer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The life of a process: its readiness, its tracked tasks and the phases of its end. Cheap to clone; several parts
/// (all the services of `quipu up`) share one.
#[derive(Clone)]
pub struct Lifecycle {
    shared: Arc<Shared>,
}

struct Shared {
    drain: Drain,
    readiness: Readiness,
    tasks: Tasks,
    closers: Mutex<Vec<(&'static str, Closer)>>,
    failed: AtomicBool,
    requested: CancellationToken,
    draining: CancellationToken,
    closing: CancellationToken,
    aborting: CancellationToken,
    forced: CancellationToken,
}

impl Lifecycle {
    /// A running process that has not begun to end.
    #[must_use]
    pub fn new(drain: Drain) -> Self {
        Self {
            shared: Arc::new(Shared {
                drain,
                readiness: Readiness::new(),
                tasks: Tasks::default(),
                closers: Mutex::default(),
                failed: AtomicBool::new(false),
                requested: CancellationToken::new(),
                draining: CancellationToken::new(),
                closing: CancellationToken::new(),
                aborting: CancellationToken::new(),
                forced: CancellationToken::new(),
            }),
        }
    }

    /// The limits of the drain.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.shared.drain
    }

    /// The readiness of the process.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.shared.readiness
    }

    /// The first SIGTERM or SIGINT asks for a shutdown, the second forces it. Call inside a runtime.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn trap_signals(&self) -> io::Result<()> {
        signals::trap(self)
    }

    /// Asks for the end; [`Lifecycle::run_to_completion`] walks the phases. Asking twice is asking once.
    pub fn shutdown(&self) {
        self.shared.requested.cancel();
    }

    /// Asks for the end because of a failure: the exit code will say so.
    pub fn fail(&self, part: &str, error: &(dyn StdError + 'static)) {
        tracing::error!(part, error = %mesh_error::chain(error), "failed: shutting down");
        self.shared.failed.store(true, Ordering::SeqCst);
        self.shutdown();
    }

    /// Ends now: no phase waits any longer.
    pub fn force(&self) {
        self.shared.forced.cancel();
        self.shutdown();
    }

    /// Completes when readiness went false; work is still accepted.
    pub fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.shared.draining.cancelled()
    }

    /// Completes when listeners must stop accepting, connections say GOAWAY and background loops end.
    pub fn closing(&self) -> WaitForCancellationFuture<'_> {
        self.shared.closing.cancelled()
    }

    /// Completes when the limit for work in flight has passed: cut what is left.
    pub fn aborting(&self) -> WaitForCancellationFuture<'_> {
        self.shared.aborting.cancelled()
    }

    /// Cancelled at [`Lifecycle::closing`]: for background loops. A child token, so that cancelling it ends only its holder.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.shared.closing.child_token()
    }

    /// Cancelled at [`Lifecycle::aborting`]; a child token as well.
    #[must_use]
    pub fn abort_token(&self) -> CancellationToken {
        self.shared.aborting.child_token()
    }

    /// Spawns a task that the drain waits for. A panic is logged and ends only this task.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.tasks.spawn(name, future, move |ended| {
            if let Err(panic) = ended {
                tracing::error!(task = name, error = %panic, "task failed");
            }
        });
    }

    /// Spawns a task that the process cannot live without: its error or panic shuts the process down with failure.
    pub fn spawn_critical<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let lifecycle = self.clone();
        self.shared.tasks.spawn(name, future, move |ended| match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lifecycle.fail(name, &*error.into()),
            Err(panic) => lifecycle.fail(name, &TaskPanic(panic)),
        });
    }

    /// Registers what runs last, after every tracked task has ended and in the order opposite to registration: closing
    /// pools, for instance. Together the closers get [`Drain::flush`].
    pub fn at_end(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.shared.closers.lock().unwrap_or_else(PoisonError::into_inner).push((name, Box::pin(future)));
    }

    /// Waits for the request to end, then walks the phases, each bounded.
    pub async fn run_to_completion(self) -> Outcome {
        self.shared.requested.cancelled().await;
        let in_time = self.walk().await;
        let left = self.shared.tasks.running();
        if !left.is_empty() {
            tracing::warn!(tasks = ?left, "tasks left behind");
        }
        self.close().await;
        if self.shared.failed.load(Ordering::SeqCst) {
            Outcome::Failed
        } else if !left.is_empty() || self.shared.forced.is_cancelled() {
            Outcome::Forced
        } else if in_time {
            Outcome::Clean
        } else {
            Outcome::Cut
        }
    }

    /// Draining, closing, aborting; whether everything ended before the cut.
    async fn walk(&self) -> bool {
        let Shared { drain, tasks, forced, .. } = &*self.shared;
        tracing::info!(wait = ?drain.endpoints, "draining: not ready any more");
        let routed = self.shared.readiness.drain();
        self.shared.draining.cancel();
        // Nobody has to notice the end of what never was ready, a start that failed for instance.
        if routed {
            let _ = timeout(drain.endpoints, forced.cancelled()).await;
        }

        tracing::info!(limit = ?drain.in_flight, "closing: finishing what is in flight");
        self.shared.closing.cancel();
        let in_time = tokio::select! {
            ended = timeout(drain.in_flight, tasks.ended()) => ended.is_ok(),
            () = forced.cancelled() => false,
        };
        if !in_time {
            tracing::warn!(tasks = ?tasks.running(), "cutting what is still in flight");
        }
        self.shared.aborting.cancel();
        if !in_time {
            let _ = timeout(CUT_GRACE, tasks.ended()).await;
        }
        in_time
    }

    async fn close(&self) {
        let closers =
            std::mem::take(&mut *self.shared.closers.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = Instant::now() + self.shared.drain.flush;
        for (name, closer) in closers.into_iter().rev() {
            if timeout_at(deadline, closer).await.is_err() {
                tracing::warn!(closer = name, "did not close in time");
            }
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("drain", &self.shared.drain)
            .field("readiness", &self.shared.readiness)
            .field("tasks", &self.shared.tasks.running())
            .finish_non_exhaustive()
    }
}

/// A critical task that panicked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TaskPanic(String);
