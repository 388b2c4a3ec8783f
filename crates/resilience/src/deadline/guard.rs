//! Drops a response at its limit even while nobody polls it.
//!
//! HTTP/2 does not poll a body whose peer has closed its window, so the body's own timer would never be seen and the
//! handler's resources would be held for as long as the peer likes. One task for all answers looks after them instead: a
//! task for each would cost a short call as much as its handler. What is left of the call then costs no more than its
//! window, and the body says DEADLINE_EXCEEDED once the peer reads on.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame};
use slab::Slab;
use tokio::time::{Instant, sleep};

use super::watch::Limits;

/// So much later than its limit a body may be dropped.
const EVERY: Duration = Duration::from_millis(100);

/// Looks after the answers of one server.
#[derive(Clone, Default)]
pub(super) struct Guards(Arc<Mutex<Guarding>>);

#[derive(Default)]
struct Guarding {
    answers: Slab<Arc<dyn Ends>>,
    /// Whether the task runs: it ends when there is nothing to look after.
    runs: bool,
}

/// An answer that can be taken away.
trait Ends: Send + Sync {
    fn is_over(&self, now: Instant) -> bool;
    fn end(&self);
}

struct Answer<B> {
    body: Mutex<Option<B>>,
    limits: Limits,
}

impl<B: Send> Ends for Answer<B> {
    fn is_over(&self, now: Instant) -> bool {
        self.limits.check(now).is_err()
    }

    fn end(&self) {
        drop(lock(&self.body).take());
    }
}

impl Guards {
    fn add(&self, answer: Arc<dyn Ends>) -> usize {
        let mut guarding = lock(&self.0);
        if !std::mem::replace(&mut guarding.runs, true) {
            tokio::spawn(self.clone().run());
        }
        guarding.answers.insert(answer)
    }

    fn remove(&self, key: usize) {
        let answer = lock(&self.0).answers.try_remove(key);
        // What it holds is given up outside of the lock.
        drop(answer);
    }

    async fn run(self) {
        loop {
            sleep(EVERY).await;
            let now = Instant::now();
            let over: Vec<_> = {
                let mut guarding = lock(&self.0);
                if guarding.answers.is_empty() {
                    guarding.runs = false;
                    return;
                }
                let over = guarding.answers.iter().filter(|(_, answer)| answer.is_over(now));
                over.map(|(_, answer)| Arc::clone(answer)).collect()
            };
            over.iter().for_each(|answer| answer.end());
        }
    }
}

/// A body that is taken away when its call ends.
pub(super) struct Guarded<B> {
    answer: Arc<Answer<B>>,
    guards: Guards,
    key: usize,
}

impl<B: Send + 'static> Guarded<B> {
    pub(super) fn new(body: B, limits: Limits, guards: &Guards) -> Self {
        let answer = Arc::new(Answer { body: Mutex::new(Some(body)), limits });
        let key = guards.add(Arc::<Answer<B>>::clone(&answer));
        Self { answer, guards: guards.clone(), key }
    }
}

impl<B> Drop for Guarded<B> {
    fn drop(&mut self) {
        self.guards.remove(self.key);
    }
}

impl<B: Body + Unpin> Body for Guarded<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match lock(&self.answer.body).as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            // Taken at the limit; the timer of the body around this one says so.
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.answer.body).as_ref().is_some_and(B::is_end_stream)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
