//! API keys are exchanged for access tokens at `auth`, once in a while and once at a time for each key.
//!
//! The cache knows a key only by its SHA-256. What it gives is verified again on each request, so a revoked key ends
//! with its tokens. A key that `auth` refuses is remembered for a few seconds, so that hammering with it stays here.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use mesh_error::{Error, Kind};
use moka::{Expiry, future::Cache};

use super::key_refused;
use crate::problem::Failure;

/// At most so many keys are remembered.
const CAPACITY: u64 = 10_000;

/// How long a token is used for its key at most.
const MAX_AGE: Duration = Duration::from_secs(60);

/// A token is given up so long before it ends.
const MARGIN: Duration = Duration::from_secs(15);

/// How long a refusal is remembered.
const REFUSED: Duration = Duration::from_secs(3);

/// Longer texts are no API keys.
const MAX_KEY: usize = 256;

/// A token for a key.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) token: Arc<str>,
    pub(crate) lives: Duration,
}

/// The cache of exchanged keys.
pub(crate) struct KeyExchange {
    cache: Cache<[u8; 32], Known>,
}

#[derive(Clone)]
enum Known {
    Token { token: Arc<str>, lives: Duration },
    Refused,
}

impl Default for KeyExchange {
    fn default() -> Self {
        Self { cache: Cache::builder().max_capacity(CAPACITY).expire_after(Life).build() }
    }
}

impl KeyExchange {
    /// The token for a key that was exchanged of late; `None` when `auth` must be asked.
    pub(crate) async fn known(&self, key: &str) -> Option<Result<Arc<str>, Failure>> {
        if key.len() > MAX_KEY {
            return Some(Err(key_refused()));
        }
        self.cache.get(&name(key)).await.map(Known::token)
    }

    /// The token for a key, asked of `auth` by `ask` unless another request does so already.
    pub(crate) async fn exchange<F>(&self, key: &str, ask: F) -> Result<Arc<str>, Failure>
    where
        F: Future<Output = Result<Exchanged, Error>>,
    {
        let asked = async {
            match ask.await {
                Ok(Exchanged { token, lives }) => Ok(Known::Token { token, lives }),
                Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::InvalidArgument) => {
                    Ok(Known::Refused)
                }
                Err(error) => Err(error),
            }
        };
        match self.cache.try_get_with(name(key), asked).await {
            Ok(known) => known.token(),
            Err(error) => Err(again(&error).into()),
        }
    }

    /// Forgets that a key gave `token`, which turned out to be no good; a newer one that came meanwhile stays.
    pub(crate) async fn forget(&self, key: &str, token: &str) {
        let name = name(key);
        if matches!(self.cache.get(&name).await, Some(Known::Token { token: known, .. }) if &*known == token)
        {
            self.cache.invalidate(&name).await;
        }
    }
}

impl Known {
    fn token(self) -> Result<Arc<str>, Failure> {
        match self {
            Self::Token { token, .. } => Ok(token),
            Self::Refused => Err(key_refused()),
        }
    }
}

struct Life;

impl Expiry<[u8; 32], Known> for Life {
    fn expire_after_create(&self, _: &[u8; 32], known: &Known, _: Instant) -> Option<Duration> {
        Some(match known {
            Known::Token { lives, .. } => lives.saturating_sub(MARGIN).min(MAX_AGE),
            Known::Refused => REFUSED,
        })
    }
}

fn name(key: &str) -> [u8; 32] {
    let mut name = [0; 32];
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    for (to, from) in name.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    name
}

/// The same failure for each request that waited for it.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.reason().to_owned(), error.message().to_owned());
    let copy = match error.retry_after() {
        Some(after) => copy.with_retry_after(after),
        None => copy,
    };
    copy.with_source(error.chain())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn ask(calls: &AtomicUsize, answer: Result<&str, Error>) -> Result<Exchanged, Error> {
        calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answer.map(|token| Exchanged { token: token.into(), lives: Duration::from_secs(600) })
    }

    #[tokio::test]
    async fn many_requests_with_one_key_ask_once() {
        let (keys, calls) = (KeyExchange::default(), AtomicUsize::new(0));
        let all = (0..20).map(|_| keys.exchange("qp_a", ask(&calls, Ok("token"))));
        for token in futures::future::join_all(all).await {
            assert_eq!(&*token.unwrap(), "token");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(&*keys.known("qp_a").await.unwrap().unwrap(), "token");
        keys.forget("qp_a", "older").await;
        assert!(keys.known("qp_a").await.is_some());
        keys.forget("qp_a", "token").await;
        assert!(keys.known("qp_a").await.is_none());
    }

    #[tokio::test]
    async fn a_refusal_is_remembered_and_an_outage_is_not() {
        let (keys, calls) = (KeyExchange::default(), AtomicUsize::new(0));
        for _ in 0..2 {
            let away = Err(Error::unavailable("AWAY", "away"));
            let failure = keys.exchange("qp_a", ask(&calls, away)).await.unwrap_err();
            assert_eq!(failure.status(), 503);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        for _ in 0..2 {
            let no = Err(Error::unauthenticated("INVALID_API_KEY", "no"));
            assert_eq!(keys.exchange("qp_a", ask(&calls, no)).await.unwrap_err().status(), 401);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_text_too_long_for_a_key_is_never_asked_about() {
        let keys = KeyExchange::default();
        assert_eq!(keys.known(&"x".repeat(257)).await.unwrap().unwrap_err().status(), 401);
    }

    #[test]
    fn a_token_is_given_up_before_it_ends() {
        let life = |lives| {
            let known = Known::Token { token: "t".into(), lives: Duration::from_secs(lives) };
            Life.expire_after_create(&[0; 32], &known, Instant::now()).unwrap().as_secs()
        };
        assert_eq!((life(600), life(45), life(10)), (60, 30, 0));
    }
}
