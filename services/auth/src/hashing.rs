//! Password hashing: argon2id behind a small pool, so that sign-ins can exhaust neither processors nor memory.
//!
//! Whoever wants to hash first takes a place ([`HashPool::admit`]); there are as many places as threads and a short queue,
//! and no place means a refusal at once. The permits travel into the blocking task: a caller that leaves does not free
//! them before the work is done.

mod memory;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use memory::Memory;

use crate::domain::Password;
use crate::error::{AuthError, Result};
use crate::metrics;
use crate::ports::Random;

/// Of threads that hash: about a tenth of a core's time when others want it.
const NICE: i32 = 10;

/// Parameters of argon2id, and the size of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSettings {
    /// Memory of one hash in KiB (`m`).
    pub memory_kib: u32,
    /// Passes over it (`t`).
    pub iterations: u32,
    /// Lanes (`p`).
    pub lanes: u32,
    /// Hashes at once.
    pub threads: usize,
    /// Callers that may wait for their turn.
    pub queue: usize,
}

impl Default for HashSettings {
    /// OWASP's first choice of parameters (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, lanes: 1, threads: 2, queue: 8 }
    }
}

impl HashSettings {
    /// Whether the parameters are at least as strong as one of OWASP's equivalent choices.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        const FLOORS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
        FLOORS.iter().any(|(memory, passes)| self.memory_kib >= *memory && self.iterations >= *passes)
    }
}

/// A place in the pool.
#[derive(Clone, Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

/// What became of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Whether the password is the right one.
    pub(crate) matches: bool,
    /// Whether its hash was made with weaker parameters than those of today.
    pub(crate) outdated: bool,
}

/// The pool.
pub(crate) struct HashPool {
    argon2: Argon2<'static>,
    settings: HashSettings,
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    random: Arc<dyn Random>,
    memory: Arc<Memory>,
    dummy: Arc<str>,
}

impl HashPool {
    /// Makes the pool, and a hash against which the passwords of unknown users are verified, which costs what a real one
    /// costs. It is random: nobody has to hash anything for a password that nobody knows.
    pub(crate) fn new(settings: HashSettings, random: Arc<dyn Random>) -> Result<Self> {
        let params = Params::new(settings.memory_kib, settings.iterations, settings.lanes, None);
        let params = params.map_err(AuthError::internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut unknown = [0; memory::OUTPUT];
        random.fill(&mut unknown);
        let unknown = Output::new(&unknown).map_err(AuthError::internal)?;
        let dummy = memory::phc(&argon2, &salt(random.as_ref()), unknown)?.into();
        let places = Arc::new(Semaphore::new(settings.threads + settings.queue));
        let threads = Arc::new(Semaphore::new(settings.threads));
        Ok(Self { argon2, settings, places, threads, random, memory: Arc::default(), dummy })
    }

    /// Takes a place, or refuses at once.
    pub(crate) fn admit(&self) -> Result<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        metrics::hashing(self.settings.threads + self.settings.queue - self.places.available_permits());
        match permit {
            Ok(permit) => Ok(Place(Arc::new(permit))),
            Err(_) => {
                metrics::hash_pool_full();
                Err(AuthError::Overloaded)
            }
        }
    }

    /// Hashes a password to a PHC string.
    pub(crate) async fn hash(&self, place: &Place, password: Password) -> Result<String> {
        let (argon2, salt) = (self.argon2.clone(), salt(self.random.as_ref()));
        self.run(place, move |memory| memory.hash(&argon2, password.as_bytes(), &salt)).await?
    }

    /// Verifies a password against a PHC string, or does the same work for nothing when there is none.
    pub(crate) async fn verify(
        &self,
        place: &Place,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verified> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.dummy), Arc::from);
        let outdated = self.is_outdated(&stored);
        let matches = self.run(place, move |memory| memory.verify(password.as_bytes(), &stored)).await??;
        Ok(Verified { matches: matches && known, outdated })
    }

    /// Keeps every hash waiting until the permits are dropped.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.settings.threads).unwrap();
        Arc::clone(&self.threads).acquire_many_owned(all).await.unwrap()
    }

    fn is_outdated(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else { return true };
        let Ok(params) = Params::try_from(&hash) else { return true };
        hash.algorithm.as_str() != "argon2id"
            || params.m_cost() < self.settings.memory_kib
            || params.t_cost() < self.settings.iterations
            || params.p_cost() < self.settings.lanes
    }

    async fn run<T: Send + 'static>(
        &self,
        place: &Place,
        work: impl FnOnce(&Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let (place, memory) = (place.clone(), Arc::clone(&self.memory));
        let turn = Arc::clone(&self.threads).acquire_owned().await.map_err(AuthError::internal)?;
        let task = tokio::task::spawn_blocking(move || {
            yield_to_others();
            let begun = Instant::now();
            let value = work(&memory);
            metrics::hashed(begun.elapsed());
            memory.give_back_when_idle();
            drop((place, turn));
            value
        });
        task.await.map_err(AuthError::internal)
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A hash takes a core for twenty milliseconds: whoever answers other calls goes first. On Linux the nice value is the
/// thread's own, and it needs no privilege to be nicer.
fn yield_to_others() {
    thread_local! {
        static YIELDS: Cell<bool> = const { Cell::new(false) };
    }
    if !YIELDS.replace(true) && rustix::process::nice(NICE).is_err() {
        tracing::debug!("hashing has the same priority as everything else");
    }
}

fn salt(random: &dyn Random) -> [u8; 16] {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemRandom;

    fn pool(settings: HashSettings) -> HashPool {
        HashPool::new(settings, Arc::new(SystemRandom)).unwrap()
    }

    fn weak() -> HashSettings {
        HashSettings { memory_kib: 64, iterations: 1, lanes: 1, threads: 1, queue: 1 }
    }

    fn password(text: &str) -> Password {
        Password::attempt(text).unwrap()
    }

    #[tokio::test]
    async fn the_right_password_matches_and_no_other() {
        let pool = pool(weak());
        let place = pool.admit().unwrap();
        let stored = pool.hash(&place, password("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        for (text, matches) in [("correct horse", true), ("correct horsf", false), ("correct horse ", false)]
        {
            let verified = pool.verify(&place, password(text), Some(stored.clone())).await.unwrap();
            assert_eq!(verified, Verified { matches, outdated: false }, "{text}");
        }
    }

    #[tokio::test]
    async fn nothing_is_truncated() {
        let pool = pool(weak());
        let place = pool.admit().unwrap();
        let long = "x".repeat(72);
        let stored = pool.hash(&place, password(&format!("{long}a"))).await.unwrap();
        let verified = pool.verify(&place, password(&format!("{long}b")), Some(stored)).await.unwrap();
        assert!(!verified.matches);
    }

    #[tokio::test]
    async fn an_unknown_user_never_matches() {
        let pool = pool(weak());
        let place = pool.admit().unwrap();
        assert!(!pool.verify(&place, password("anything"), None).await.unwrap().matches);
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_outdated() {
        let old = pool(weak());
        let stored = old.hash(&old.admit().unwrap(), password("correct horse")).await.unwrap();
        let new = pool(HashSettings { iterations: 2, ..weak() });
        let verified =
            new.verify(&new.admit().unwrap(), password("correct horse"), Some(stored)).await.unwrap();
        assert_eq!(verified, Verified { matches: true, outdated: true });
    }

    #[tokio::test]
    async fn a_full_pool_refuses_at_once_and_recovers() {
        let pool = pool(weak());
        let held = [pool.admit().unwrap(), pool.admit().unwrap()];
        assert!(matches!(pool.admit(), Err(AuthError::Overloaded)));
        drop(held);
        pool.admit().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_leaves_keeps_its_place_until_the_work_is_done() {
        let pool = pool(HashSettings { queue: 0, ..weak() });
        let (begun, wait) = (Arc::new(std::sync::Barrier::new(2)), Arc::new(std::sync::Barrier::new(2)));
        let (in_begun, in_wait) = (Arc::clone(&begun), Arc::clone(&wait));
        let place = pool.admit().unwrap();
        {
            let mut work = Box::pin(pool.run(&place, move |_| {
                in_begun.wait();
                in_wait.wait();
            }));
            assert!(futures::poll!(&mut work).is_pending());
        }
        drop(place);
        tokio::task::spawn_blocking(move || begun.wait()).await.unwrap();
        assert!(matches!(pool.admit(), Err(AuthError::Overloaded)));
        tokio::task::spawn_blocking(move || wait.wait()).await.unwrap();
        while pool.admit().is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn parameters_below_those_of_owasp_are_weak() {
        assert!(HashSettings::default().is_strong());
        for (memory_kib, iterations, strong) in
            [(47_104, 1, true), (19_456, 1, false), (12_288, 3, true), (64, 9, false)]
        {
            assert_eq!(HashSettings { memory_kib, iterations, ..weak() }.is_strong(), strong, "{memory_kib}");
        }
    }
}
