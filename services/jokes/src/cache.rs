//! Jokes that were made before: in process, or for all replicas in Redis. A cache that fails is a cache that has nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_config::Secret;
use mesh_error::Error;
use mesh_redis::{Cmd, Link};
use serde::{Deserialize, Serialize};

use crate::domain::{JokeRequest, Told};
use crate::metrics;

/// Jokes that are kept in process; some hundred bytes each.
const CAPACITY: u64 = 10_000;
/// Redis answers in well under a millisecond; a joke does not wait longer than this for it.
const REDIS_LIMIT: Duration = Duration::from_millis(100);

/// How the cache is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    #[default]
    Off,
    /// Read and written.
    On,
    /// Read only.
    ReadOnly,
    /// Written only.
    WriteOnly,
}

/// A joke as it is kept, with the model that made it, which may have stood in for the one asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cached {
    pub(crate) told: Told,
    pub(crate) model: String,
    pub(crate) provider: String,
}

/// Where jokes are kept.
#[async_trait]
trait Keep: Send + Sync {
    async fn get(&self, key: &str) -> Result<Option<String>, Error>;
    async fn put(&self, key: &str, value: String) -> Result<(), Error>;
}

/// What a joke is kept under; nothing when the cache is off.
pub(crate) struct Key(Option<String>);

/// The cache.
pub(crate) struct Cache {
    mode: Mode,
    keep: Box<dyn Keep>,
}

impl Cache {
    /// In this process, for so long.
    pub(crate) fn in_process(mode: Mode, life: Duration) -> Self {
        let jokes = moka::future::Cache::builder().max_capacity(CAPACITY).time_to_live(life).build();
        Self { mode, keep: Box::new(InProcess(jokes)) }
    }

    /// In Redis, which need not be there yet.
    pub(crate) fn in_redis(mode: Mode, life: Duration, url: &Secret) -> Result<Self, Error> {
        let link = Link::new(url, REDIS_LIMIT)?;
        Ok(Self { mode, keep: Box::new(InRedis { link, life: life.as_secs().max(1) }) })
    }

    /// The key of a wish: whose it is, what it is, of which model, and under which guards. Nothing of it can be read from the key.
    pub(crate) fn key(&self, user_id: &str, model: &str, request: &JokeRequest, guards: &str) -> Key {
        let name = || {
            let wish = (user_id, model, guards, request.topic.as_str(), &request.params);
            // Parameters are plain data: they always have a JSON form.
            let wish = serde_json::to_vec(&wish).unwrap_or_default();
            let hash = digest::digest(&digest::SHA256, &wish);
            format!("quipu:jokes:v1:{}", URL_SAFE_NO_PAD.encode(hash))
        };
        Key((self.mode != Mode::Off).then(name))
    }

    /// A joke that was made for the same user and wish, under the same guards.
    pub(crate) async fn get(&self, key: &Key) -> Option<Cached> {
        let key = key.0.as_deref().filter(|_| matches!(self.mode, Mode::On | Mode::ReadOnly))?;
        let found = self.keep.get(key).await.inspect_err(|error| failed("read", error)).ok()?;
        let cached = found.and_then(|text| serde_json::from_str(&text).ok());
        metrics::cache(if cached.is_some() { "hit" } else { "miss" });
        cached
    }

    /// Keeps a joke.
    pub(crate) async fn put(&self, key: &Key, cached: &Cached) {
        let key = key.0.as_deref().filter(|_| matches!(self.mode, Mode::On | Mode::WriteOnly));
        let (Some(key), Ok(text)) = (key, serde_json::to_string(cached)) else { return };
        if let Err(error) = self.keep.put(key, text).await {
            failed("written", &error);
        }
    }
}

fn failed(what: &str, error: &Error) {
    metrics::cache("error");
    tracing::warn!(error = error.chain(), "the cache is not {what}");
}

struct InProcess(moka::future::Cache<String, String>);

#[async_trait]
impl Keep for InProcess {
    async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.0.get(key).await)
    }

    async fn put(&self, key: &str, value: String) -> Result<(), Error> {
        self.0.insert(key.to_owned(), value).await;
        Ok(())
    }
}

struct InRedis {
    link: Link,
    /// In seconds.
    life: u64,
}

#[async_trait]
impl Keep for InRedis {
    async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        self.link.command("GET", &Cmd::get(key)).await
    }

    async fn put(&self, key: &str, value: String) -> Result<(), Error> {
        self.link.command("SETEX", &Cmd::set_ex(key, value, self.life)).await
    }
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::On),
            "read_only" => Ok(Self::ReadOnly),
            "write_only" => Ok(Self::WriteOnly),
            _ => Err("must be off, on, read_only or write_only"),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
            Self::ReadOnly => "read_only",
            Self::WriteOnly => "write_only",
        })
    }
}

#[cfg(test)]
mod tests;
