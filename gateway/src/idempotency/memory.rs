//! Keys of this replica alone, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use mesh_error::Error;
use tokio::time::Instant;

use super::{Begin, KEEP, LEASE, Store, Token};

/// At most so many keys are remembered; the oldest answer is forgotten first, a write that goes on last.
const CAPACITY: usize = 10_000;

/// Keys in process.
pub(crate) struct MemoryStore {
    capacity: usize,
    slots: Mutex<HashMap<[u8; 32], Entry>>,
}

struct Entry {
    fingerprint: [u8; 32],
    until: Instant,
    state: State,
}

enum State {
    Held(Token),
    Done(Vec<u8>),
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { capacity: CAPACITY, slots: Mutex::default() }
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(slots: &mut HashMap<[u8; 32], Entry>) {
    let now = Instant::now();
    let before = slots.len();
    slots.retain(|_, entry| entry.until > now);
    if slots.len() == before {
        let oldest = slots
            .iter()
            .min_by_key(|(_, entry)| (matches!(entry.state, State::Held(_)), entry.until))
            .map(|(id, _)| *id);
        oldest.and_then(|id| slots.remove(&id));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self, slot: &[u8; 32], fingerprint: &[u8; 32]) -> Result<Begin, Error> {
        let mut slots = self.lock();
        let now = Instant::now();
        if let Some(entry) = slots.get(slot).filter(|entry| entry.until > now) {
            return Ok(match &entry.state {
                _ if entry.fingerprint != *fingerprint => Begin::Mismatch,
                State::Held(_) => Begin::InProgress,
                State::Done(sealed) => Begin::Done(sealed.clone()),
            });
        }
        if slots.len() >= self.capacity {
            make_room(&mut slots);
        }
        let token = Token::new_v4();
        slots.insert(
            *slot,
            Entry { fingerprint: *fingerprint, until: now + LEASE, state: State::Held(token) },
        );
        Ok(Begin::Fresh(token))
    }

    async fn finish(&self, slot: &[u8; 32], token: Token, sealed: Vec<u8>) -> Result<(), Error> {
        if let Some(entry) = self.lock().get_mut(slot).filter(|entry| entry.is_held_by(token)) {
            entry.until = Instant::now() + KEEP;
            entry.state = State::Done(sealed);
        }
        Ok(())
    }

    async fn release(&self, slot: &[u8; 32], token: Token) -> Result<(), Error> {
        let mut slots = self.lock();
        if slots.get(slot).is_some_and(|entry| entry.is_held_by(token)) {
            slots.remove(slot);
        }
        Ok(())
    }
}

impl Entry {
    fn is_held_by(&self, token: Token) -> bool {
        matches!(self.state, State::Held(holder) if holder == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_and_an_answer_end() {
        let store = MemoryStore::default();
        let Begin::Fresh(first) = store.begin(&[1; 32], &[2; 32]).await.unwrap() else { panic!() };
        tokio::time::advance(LEASE).await;
        let Begin::Fresh(second) = store.begin(&[1; 32], &[2; 32]).await.unwrap() else { panic!() };
        store.finish(&[1; 32], first, vec![1]).await.unwrap();
        assert_eq!(
            store.begin(&[1; 32], &[2; 32]).await.unwrap(),
            Begin::InProgress,
            "the late one is fenced off"
        );
        store.finish(&[1; 32], second, vec![2]).await.unwrap();
        assert_eq!(store.begin(&[1; 32], &[2; 32]).await.unwrap(), Begin::Done(vec![2]));
        tokio::time::advance(KEEP).await;
        assert!(matches!(store.begin(&[1; 32], &[2; 32]).await.unwrap(), Begin::Fresh(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_stays_bounded() {
        let store = MemoryStore { capacity: 3, slots: Mutex::default() };
        for n in 0..10 {
            store.begin(&[n; 32], &[0; 32]).await.unwrap();
            assert!(store.lock().len() <= 3);
        }
    }
}
