//! Whether the process may be sent work: open when every gate is open and no drain has begun.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The readiness of a process: the conjunction of its gates. Cheap to clone.
///
/// A process without any gate is not ready: nothing has yet said that it can serve.
#[derive(Clone)]
pub struct Readiness {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    gates: BTreeMap<u64, (String, Option<String>)>,
    next: u64,
    draining: bool,
    /// Whether it was ready once, so that somebody may route to it.
    was_ready: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.draining && !self.gates.is_empty() && self.gates.values().all(|(_, reason)| reason.is_none())
    }
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), ready: watch::Sender::new(false) }) }
    }

    /// A new gate, closed with the reason `starting` until it is opened. Names need not be unique.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.gates.insert(id, (name.into(), Some("starting".to_owned())));
        self.publish(state);
        Gate { id, readiness: self.clone() }
    }

    /// Whether the process may be sent work now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Every gate with the reason why it is closed; the drain appears as a closed gate of its own.
    #[must_use]
    pub fn report(&self) -> Vec<(String, Option<String>)> {
        let state = self.lock();
        let mut report: Vec<_> = state.gates.values().cloned().collect();
        if state.draining {
            report.push(("drain".to_owned(), Some("shutting down".to_owned())));
        }
        report
    }

    /// Follows readiness; holds the present value at once.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// Waits until the process is ready; pends for ever when it never becomes so.
    pub async fn ready(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.subscribe().wait_for(|ready| *ready).await;
    }

    /// Closes for good; whether anybody may have been routing to the process.
    pub(crate) fn drain(&self) -> bool {
        let mut state = self.lock();
        state.draining = true;
        let was_ready = state.was_ready;
        self.publish(state);
        was_ready
    }

    fn set(&self, id: u64, reason: Option<String>) {
        let mut state = self.lock();
        let Some((name, current)) = state.gates.get_mut(&id) else { return };
        if current.is_some() != reason.is_some() {
            match &reason {
                Some(reason) => tracing::warn!(gate = %name, %reason, "readiness gate closed"),
                None => tracing::info!(gate = %name, "readiness gate open"),
            }
        }
        *current = reason;
        self.publish(state);
    }

    /// Publishes under the lock, so that two changes cannot overtake each other.
    fn publish(&self, mut state: MutexGuard<'_, State>) {
        let now = state.is_ready();
        state.was_ready |= now;
        self.shared.ready.send_if_modified(|ready| std::mem::replace(ready, now) != now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("ready", &self.is_ready()).field("gates", &self.report()).finish()
    }
}

/// One condition of readiness, held by the part that knows it. Dropping it leaves it as it is.
#[derive(Debug, Clone)]
pub struct Gate {
    id: u64,
    readiness: Readiness,
}

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.readiness.set(self.id, None);
    }

    /// The condition does not hold, for this reason; it is shown on the admin port, so it carries no secret.
    pub fn close(&self, reason: impl Into<String>) {
        self.readiness.set(self.id, Some(reason.into()));
    }

    /// Opens on `Ok`, closes with the error's text on `Err`: for a periodic check.
    pub fn set<T, E: fmt::Display>(&self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.open(),
            Err(error) => self.close(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ready_before_the_first_gate_opens() {
        let readiness = Readiness::new();
        assert!(!readiness.is_ready());
        let gate = readiness.gate("database");
        assert!(!readiness.is_ready());
        gate.open();
        assert!(readiness.is_ready());
    }

    #[test]
    fn one_closed_gate_is_enough() {
        let readiness = Readiness::new();
        let (one, two) = (readiness.gate("one"), readiness.gate("two"));
        one.open();
        assert!(!readiness.is_ready());
        two.open();
        assert!(readiness.is_ready());
        two.set::<(), _>(&Err("connection refused"));
        assert!(!readiness.is_ready());
        assert_eq!(
            readiness.report(),
            [("one".to_owned(), None), ("two".to_owned(), Some("connection refused".to_owned()))]
        );
        two.set::<_, String>(&Ok(()));
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_drain_cannot_be_undone() {
        let readiness = Readiness::new();
        let gate = readiness.gate("one");
        gate.open();
        readiness.drain();
        gate.open();
        assert!(!readiness.is_ready());
        assert!(readiness.report().iter().any(|(name, _)| name == "drain"));
    }

    #[tokio::test]
    async fn followers_see_only_changes() {
        let readiness = Readiness::new();
        let gate = readiness.gate("one");
        let mut follower = readiness.subscribe();
        assert!(!*follower.borrow_and_update());
        gate.close("still");
        assert!(!follower.has_changed().expect("alive"));
        gate.open();
        readiness.ready().await;
        assert!(follower.has_changed().expect("alive"));
    }
}
