//! Turns by session: of many refreshes that come at once with one token, one goes to the database and the others wait for
//! what it did, without a connection and without a lock of the database each.
//!
//! The statement that spends a token decides who won, here and among replicas; turns only keep losers from asking.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Sessions share this many turns; two that share one wait for each other, no more.
const TURNS: usize = 256;

/// Who rotates which session at the moment, in this process.
pub(crate) struct Turns {
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { turns: (0..TURNS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }

    /// The turn of a session at once, if nobody has it.
    pub(crate) fn try_take(&self, session_id: &str) -> Option<MutexGuard<'_, ()>> {
        self.of(session_id)?.try_lock().ok()
    }

    /// The turn of a session, after those who asked before.
    pub(crate) async fn take(&self, session_id: &str) -> Option<MutexGuard<'_, ()>> {
        Some(self.of(session_id)?.lock().await)
    }

    fn of(&self, session_id: &str) -> Option<&Mutex<()>> {
        let hash = self.hasher.hash_one(session_id);
        self.turns.get(usize::try_from(hash % TURNS as u64).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_has_the_turn_of_a_session_until_it_is_done() {
        let turns = Turns::new();
        let first = turns.try_take("s").unwrap();
        assert!(turns.try_take("s").is_none());
        let mut second = std::pin::pin!(turns.take("s"));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert!(second.await.is_some());
    }
}
