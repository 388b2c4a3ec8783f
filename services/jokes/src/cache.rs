//! Jokes that were made before: in process, or for all replicas in Redis. A cache that fails is a cache that has nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_config::Secret;
use mesh_error::{BoxError, Error, chain};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};
use serde::{Deserialize, Serialize};

use crate::domain::{JokeRequest, Told};
use crate::metrics;

/// Jokes that are kept in process; some hundred bytes each.
const CAPACITY: u64 = 10_000;
/// Redis answers in well under a millisecond; what takes longer than this is away.
const RESPONSE: Duration = Duration::from_millis(100);

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
    async fn get(&self, key: &str) -> Result<Option<String>, BoxError>;
    async fn put(&self, key: &str, value: String) -> Result<(), BoxError>;
}

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
        let client = Client::open(url.expose()).map_err(Error::internal)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(RESPONSE))
            .set_number_of_retries(1);
        let link = ConnectionManager::new_lazy_with_config(client, config).map_err(Error::internal)?;
        Ok(Self { mode, keep: Box::new(InRedis { link, life: life.as_secs().max(1) }) })
    }

    /// A joke that was made for the same user and wish, under the same guards.
    pub(crate) async fn get(&self, key: &str) -> Option<Cached> {
        if !matches!(self.mode, Mode::On | Mode::ReadOnly) {
            return None;
        }
        let found = self.keep.get(key).await.inspect_err(|e| failed("read", e.as_ref())).ok()?;
        let cached = found.and_then(|text| serde_json::from_str(&text).ok());
        metrics::cache(if cached.is_some() { "hit" } else { "miss" });
        cached
    }

    /// Keeps a joke.
    pub(crate) async fn put(&self, key: &str, cached: &Cached) {
        if !matches!(self.mode, Mode::On | Mode::WriteOnly) {
            return;
        }
        let Ok(text) = serde_json::to_string(cached) else { return };
        if let Err(error) = self.keep.put(key, text).await {
            failed("written", error.as_ref());
        }
    }
}

fn failed(what: &str, error: &(dyn std::error::Error + 'static)) {
    metrics::cache("error");
    tracing::warn!(error = chain(error), "the cache is not {what}");
}

/// The key of a wish: whose it is, what it is, of which model, and under which guards. Nothing of it can be read from the key.
pub(crate) fn key(user_id: &str, model: &str, request: &JokeRequest, guards: &str) -> String {
    let wish = (user_id, model, guards, request.topic.as_str(), &request.params);
    // Parameters are plain data: they always have a JSON form.
    let wish = serde_json::to_vec(&wish).unwrap_or_default();
    let hash = digest::digest(&digest::SHA256, &wish);
    format!("quipu:jokes:v1:{}", URL_SAFE_NO_PAD.encode(hash))
}

struct InProcess(moka::future::Cache<String, String>);

#[async_trait]
impl Keep for InProcess {
    async fn get(&self, key: &str) -> Result<Option<String>, BoxError> {
        Ok(self.0.get(key).await)
    }

    async fn put(&self, key: &str, value: String) -> Result<(), BoxError> {
        self.0.insert(key.to_owned(), value).await;
        Ok(())
    }
}

struct InRedis {
    link: ConnectionManager,
    /// In seconds.
    life: u64,
}

#[async_trait]
impl Keep for InRedis {
    async fn get(&self, key: &str) -> Result<Option<String>, BoxError> {
        Ok(self.link.clone().get(key).await?)
    }

    async fn put(&self, key: &str, value: String) -> Result<(), BoxError> {
        Ok(self.link.clone().set_ex(key, value, self.life).await?)
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
mod tests {
    use super::*;
    use crate::domain::{Params, Topic};

    fn cached() -> Cached {
        let told = Told { setup: "a".to_owned(), punchline: "b".to_owned() };
        Cached { told, model: "puns".to_owned(), provider: "quipu".to_owned() }
    }

    fn wish(topic: &str) -> JokeRequest {
        JokeRequest { topic: Topic::parse(topic).unwrap(), params: Params::default() }
    }

    #[tokio::test]
    async fn a_mode_says_what_is_done() {
        for (mode, reads, writes) in [
            (Mode::Off, false, false),
            (Mode::On, true, true),
            (Mode::ReadOnly, true, false),
            (Mode::WriteOnly, false, true),
        ] {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
            let cache = Cache::in_process(mode, Duration::from_secs(60));
            cache.put("k", &cached()).await;
            assert_eq!(cache.keep.get("k").await.unwrap().is_some(), writes, "{mode}");
            cache.keep.put("k", serde_json::to_string(&cached()).unwrap()).await.unwrap();
            assert_eq!(cache.get("k").await.is_some(), reads, "{mode}");
        }
    }

    #[test]
    fn a_key_tells_users_wishes_models_and_guards_apart() {
        let seeded = JokeRequest { params: Params { seed: Some(1), ..Params::default() }, ..wish("cats") };
        let keys = [
            key("u1", "m", &wish("cats"), "g"),
            key("u2", "m", &wish("cats"), "g"),
            key("u1", "n", &wish("cats"), "g"),
            key("u1", "m", &wish("dogs"), "g"),
            key("u1", "m", &wish("cats"), "h"),
            key("u1", "m", &seeded, "g"),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert!(keys.iter().all(|key| !key.contains("cats")));
        assert_eq!(key("u1", "m", &wish(" cats "), "g"), keys[0]);
    }
}
