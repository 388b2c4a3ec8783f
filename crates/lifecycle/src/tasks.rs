//! The tasks that a process must see ended before it may stop, with their names.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use tokio_util::task::TaskTracker;

/// Tracked tasks. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    next: u64,
    running: BTreeMap<u64, &'static str>,
}

impl Tasks {
    /// Spawns a tracked task; what it ended with goes to `ended`, with the panic's message when it panicked.
    pub(crate) fn spawn<F, D>(&self, name: &'static str, future: F, ended: D)
    where
        F: Future + Send + 'static,
        F::Output: Send,
        D: FnOnce(Result<F::Output, String>) + Send + 'static,
    {
        let entry = self.enter(name);
        self.tracker.spawn(async move {
            let _entry = entry;
            ended(AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panic_message(&*panic)));
        });
    }

    /// The names of the tasks that still run.
    pub(crate) fn running(&self) -> Vec<&'static str> {
        lock(&self.names).running.values().copied().collect()
    }

    /// Waits until no tracked task is left.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn enter(&self, name: &'static str) -> Entry {
        let mut names = lock(&self.names);
        let id = names.next;
        names.next += 1;
        names.running.insert(id, name);
        Entry { id, names: Arc::clone(&self.names) }
    }
}

/// Removes the name also when the task is dropped with its runtime.
struct Entry {
    id: u64,
    names: Arc<Mutex<Names>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.names).running.remove(&self.id);
    }
}

fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}
