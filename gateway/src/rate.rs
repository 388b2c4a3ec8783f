//! Rate limits: who may ask how often, counted in process or for all replicas together in Redis.
//!
//! The algorithm is GCRA (the generic cell rate algorithm): one timestamp per caller, no window edges to exploit. When
//! Redis is away, sign-in routes are refused (a guesser must not gain by it) and every other route is counted by this
//! replica alone.

mod gcra;
mod headers;
mod memory;
mod quota;
mod redis;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mesh_error::Error;
use tokio::time::Instant;

pub use self::quota::Quota;
pub(crate) use self::{gcra::Verdict, memory::MemoryBuckets, redis::RedisBuckets};
use crate::{config::Rates, edge::proxies::source_of, problem::Failure};

/// Where the counts are.
#[async_trait]
pub(crate) trait Buckets: Send + Sync {
    /// Takes one from the bucket of `key`, if there is one left.
    async fn take(&self, key: &str, quota: Quota) -> Result<Verdict, Error>;
}

/// A kind of caller or of call, with a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Nobody signed in: counted by client address.
    Anonymous,
    /// A signed-in user, by token or API key.
    User,
    /// Sign-in, registration and refresh: counted by client address, and strict.
    Login,
    /// Exchanges of API keys that this replica has not seen of late: counted by client address.
    Exchange,
    /// Answers of a language model, which cost money: by user, besides the quota of [`Class::User`].
    Generation,
}

impl Class {
    /// As in keys, headers and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Login => "login",
            Self::Exchange => "exchange",
            Self::Generation => "generation",
        }
    }
}

/// What one request was charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub(crate) class: Class,
    pub(crate) quota: Quota,
    pub(crate) verdict: Verdict,
}

/// The limits of this replica.
pub(crate) struct RateLimits {
    rates: Rates,
    shared: Option<Arc<dyn Buckets>>,
    local: MemoryBuckets,
    away_until: Mutex<Option<Instant>>,
}

/// How long Redis is left alone after a failure, so that not every request waits for it.
const PAUSE: Duration = Duration::from_secs(1);

impl RateLimits {
    /// `shared` is where replicas count together; without it each counts alone.
    pub(crate) fn new(rates: Rates, shared: Option<Arc<dyn Buckets>>) -> Self {
        Self { rates, shared, local: MemoryBuckets::default(), away_until: Mutex::new(None) }
    }

    /// Charges a client address.
    pub(crate) async fn charge_address(
        &self,
        class: Class,
        address: IpAddr,
    ) -> Result<Option<Charge>, Failure> {
        self.charge(class, &source_of(address)).await
    }

    /// Charges `subject`; nothing when the class has no limit.
    pub(crate) async fn charge(&self, class: Class, subject: &str) -> Result<Option<Charge>, Failure> {
        let Some(quota) = self.rates.of(class) else { return Ok(None) };
        let key = format!("{}:{subject}", class.name());
        let verdict = self.take(class, &key, quota).await?;
        if !verdict.allowed {
            metrics::counter!("gateway_rate_limited_total", "class" => class.name()).increment(1);
        }
        Ok(Some(Charge { class, quota, verdict }))
    }

    async fn take(&self, class: Class, key: &str, quota: Quota) -> Result<Verdict, Failure> {
        let Some(shared) = &self.shared else { return Ok(self.local.take_now(key, quota)) };
        if !self.is_paused() {
            match shared.take(key, quota).await {
                Ok(verdict) => return Ok(verdict),
                Err(error) => {
                    self.pause();
                    metrics::counter!("gateway_rate_store_errors_total").increment(1);
                    tracing::warn!(error = %error.chain(), "rate limits fall back to this replica alone");
                }
            }
        }
        if class == Class::Login {
            return Err(Error::unavailable("RATE_LIMITER_UNAVAILABLE", "sign-in is not possible right now")
                .with_retry_after(PAUSE)
                .into());
        }
        Ok(self.local.take_now(key, quota))
    }

    fn is_paused(&self) -> bool {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn pause(&self) {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

impl Charge {
    /// The charge, or 429 when nothing was left.
    pub(crate) fn admit(self) -> Result<Self, Failure> {
        if self.verdict.allowed {
            return Ok(self);
        }
        let error = Error::exhausted("RATE_LIMITED", "too many requests", self.verdict.retry_after)
            .with_metadata("policy", self.class.name());
        let mut failure = Failure::from(error);
        for (name, value) in self.headers() {
            failure = failure.with_header(name, value);
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    #[async_trait]
    impl Buckets for Broken {
        async fn take(&self, _: &str, _: Quota) -> Result<Verdict, Error> {
            Err(Error::unavailable("REDIS_AWAY", "away"))
        }
    }

    fn address() -> IpAddr {
        IpAddr::from([192, 0, 2, 1])
    }

    #[tokio::test(start_paused = true)]
    async fn without_redis_login_is_closed_and_the_rest_is_counted_here() {
        let quota = Quota::new(2, Duration::from_secs(60)).unwrap();
        let rates = Rates { anonymous: Some(quota), login: Some(quota), ..Rates::default() };
        let limits = RateLimits::new(rates, Some(Arc::new(Broken)));
        let refused = limits.charge_address(Class::Login, address()).await.unwrap_err();
        assert_eq!(refused.error().reason(), "RATE_LIMITER_UNAVAILABLE");
        let mut allowed = 0;
        for _ in 0..5 {
            let charge = limits.charge_address(Class::Anonymous, address()).await.unwrap().unwrap();
            allowed += u32::from(charge.verdict.allowed);
        }
        assert_eq!(allowed, 2);
    }

    #[tokio::test]
    async fn a_class_that_is_off_charges_nothing() {
        let rates = Rates { anonymous: None, ..Rates::default() };
        let limits = RateLimits::new(rates, None);
        assert!(limits.charge_address(Class::Anonymous, address()).await.unwrap().is_none());
    }
}
