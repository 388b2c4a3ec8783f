//! argon2 on memory that is shared by one hash after the other.
//!
//! An allocator keeps what is freed for the thread that had it. The hashes of a flood run on many threads in turn, and the
//! process came to hold the memory of many hashes where two ran at once. Here is as much as hashes run at once, none when
//! none ran for a while, and no hash but the first has to wait for the system to find some.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::time::Instant;

use crate::error::{AuthError, Result};

/// No allocator keeps an allocation of that size for the next one that asks: it comes from the system and goes back there. Only
/// what is written to takes memory.
const NEVER_KEPT: usize = 33 * 1024 * 1024 / Block::SIZE;
/// How long memory is kept for the next hash.
const KEPT: Duration = Duration::from_secs(10);
/// Bytes of a hash.
pub(super) const OUTPUT: usize = Params::DEFAULT_OUTPUT_LEN;

/// A hash as a PHC string, with the parameters of `argon2`.
pub(super) fn phc(argon2: &Argon2<'_>, salt: &[u8], output: Output) -> Result<String> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(AuthError::internal)?,
        salt: Some(Salt::new(salt).map_err(AuthError::internal)?),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Memory for hashes. At most as much is kept as was used at once.
#[derive(Default)]
pub(super) struct Memory(Mutex<Free>);

#[derive(Default)]
struct Free {
    blocks: Vec<Vec<Block>>,
    used_at: Option<Instant>,
    is_watched: bool,
}

impl Memory {
    /// Hashes a password to a PHC string, with the parameters of `argon2`.
    pub(super) fn hash(&self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String> {
        phc(argon2, salt, self.derive(argon2, password, salt, OUTPUT)?)
    }

    /// Whether a password is that of a PHC string, with the parameters of the string.
    pub(super) fn verify(&self, password: &[u8], stored: &str) -> Result<bool> {
        let stored = PasswordHash::new(stored).map_err(AuthError::internal)?;
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(AuthError::internal)?;
        let version = stored.version.map_or(Ok(Version::V0x10), Version::try_from);
        let params = Params::try_from(&stored).map_err(AuthError::internal)?;
        let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
            return Err(AuthError::internal("a stored hash without salt or output"));
        };
        let argon2 = Argon2::new(algorithm, version.map_err(AuthError::internal)?, params);
        // Compared in constant time.
        Ok(self.derive(&argon2, password, &salt, expected.len())? == expected)
    }

    fn derive(&self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8], length: usize) -> Result<Output> {
        let count = argon2.params().block_count();
        let taken = self.lock().blocks.pop();
        let mut blocks = taken.unwrap_or_else(|| Vec::with_capacity(count.max(NEVER_KEPT)));
        blocks.resize(count, Block::new());
        let mut out = vec![0; length];
        let hashed = argon2.hash_password_into_with_memory(password, salt, &mut out, &mut blocks);
        let mut free = self.lock();
        free.blocks.push(blocks);
        free.used_at = Some(Instant::now());
        drop(free);
        hashed.map_err(AuthError::internal)?;
        Output::new(&out).map_err(AuthError::internal)
    }

    /// Gives the memory back once no hash has run for a while. To be called after each, inside a runtime.
    pub(super) fn give_back_when_idle(self: &Arc<Self>) {
        if std::mem::replace(&mut self.lock().is_watched, true) {
            return;
        }
        let memory = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEPT).await;
                if memory.is_given_back() {
                    return;
                }
            }
        });
    }

    fn is_given_back(&self) -> bool {
        let mut free = self.lock();
        let is_idle = free.used_at.is_none_or(|at| at.elapsed() >= KEPT);
        if is_idle {
            *free = Free::default();
        }
        is_idle
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    fn weak(memory_kib: u32) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory_kib, 2, 1, None).unwrap())
    }

    #[test]
    fn used_memory_hashes_as_the_library_does() {
        let memory = Memory::default();
        for memory_kib in [64, 256, 64, 8, 1024] {
            let argon2 = weak(memory_kib);
            let ours = memory.hash(&argon2, b"seven knotted cords", &[7; 16]).unwrap();
            let theirs = argon2.hash_password_with_salt(b"seven knotted cords", &[7; 16]).unwrap();
            assert_eq!(ours, theirs.to_string());
            argon2.verify_password(b"seven knotted cords", ours.as_str()).unwrap();
            assert!(memory.verify(b"seven knotted cords", &ours).unwrap());
            assert!(!memory.verify(b"seven knotted cord", &ours).unwrap());
        }
        assert_eq!(memory.lock().blocks.len(), 1);
        assert!(memory.verify(b"x", "$argon2id$v=19$m=64,t=2,p=1").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_memory_is_given_back() {
        let memory = Arc::new(Memory::default());
        memory.hash(&weak(64), b"x", &[7; 16]).unwrap();
        memory.give_back_when_idle();
        tokio::time::sleep(KEPT / 2).await;
        memory.hash(&weak(64), b"x", &[7; 16]).unwrap();
        memory.give_back_when_idle();
        tokio::time::sleep(KEPT * 3 / 4).await;
        assert_eq!(memory.lock().blocks.len(), 1, "used a moment ago");
        tokio::time::sleep(KEPT * 2).await;
        assert_eq!(memory.lock().blocks.len(), 0);
        memory.hash(&weak(64), b"x", &[7; 16]).unwrap();
        memory.give_back_when_idle();
        tokio::time::sleep(KEPT * 3).await;
        assert_eq!(memory.lock().blocks.len(), 0, "watched again");
    }
}
