//! Counts of all replicas together, in Redis, by Redis's clock; one round trip and one script a call.

use async_trait::async_trait;
use mesh_error::Error;
use mesh_redis::{Link, Script};

use super::{Buckets, Quota, Verdict, gcra};

/// As `gcra::decide`. Doubles hold microseconds since 1970 exactly until the year 2255.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
if full < now then full = now end
local following = full + interval
local earliest = following - burst
if now < earliest then return {0, 0, full - now, earliest - now} end
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return {1, math.floor((burst - (following - now)) / interval), following - now, 0}
";

/// Buckets in Redis.
pub(crate) struct RedisBuckets {
    link: Link,
    script: Script,
}

impl RedisBuckets {
    /// Over the link to Redis.
    pub(crate) fn new(link: Link) -> Self {
        Self { link, script: Script::new(SCRIPT) }
    }
}

#[async_trait]
impl Buckets for RedisBuckets {
    async fn take(&self, key: &str, quota: Quota) -> Result<Verdict, Error> {
        let interval = quota.interval_micros();
        let burst = interval.saturating_mul(u64::from(quota.limit()));
        let mut invocation = self.script.prepare_invoke();
        invocation.key(format!("quipu:rate:{key}")).arg(interval).arg(burst);
        let (allowed, remaining, reset, retry): (u64, u64, u64, u64) =
            self.link.script("take from a bucket", &invocation).await?;
        Ok(gcra::verdict(allowed == 1, remaining, reset, retry))
    }
}
