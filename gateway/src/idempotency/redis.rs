//! Keys of all replicas together, in Redis; each step is one atomic script.

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mesh_error::Error;
use mesh_redis::{Link, Script};

use super::{Begin, KEEP, LEASE, Store, Token};

/// Takes a key or says what is known of it: {state, answer}.
const BEGIN: &str = r"
local known = redis.call('HMGET', KEYS[1], 'fingerprint', 'answer')
if known[1] then
  if known[1] ~= ARGV[1] then return {'mismatch', ''} end
  if known[2] then return {'done', known[2]} end
  return {'progress', ''}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'fresh', ''}
";

const FINISH: &str = r"
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'token')
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
";

const RELEASE: &str = r"
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
";

/// Keys in Redis.
pub(crate) struct RedisStore {
    link: Link,
    begin: Script,
    finish: Script,
    release: Script,
}

impl RedisStore {
    /// Over the link to Redis.
    pub(crate) fn new(link: Link) -> Self {
        let [begin, finish, release] = [BEGIN, FINISH, RELEASE].map(Script::new);
        Self { link, begin, finish, release }
    }
}

fn name(slot: &[u8; 32]) -> String {
    format!("quipu:idempotency:{}", BASE64_URL_SAFE_NO_PAD.encode(slot))
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Store for RedisStore {
    async fn begin(&self, slot: &[u8; 32], fingerprint: &[u8; 32]) -> Result<Begin, Error> {
        let token = Token::new_v4();
        let mut invocation = self.begin.prepare_invoke();
        invocation.key(name(slot)).arg(fingerprint.as_slice()).arg(token.to_string()).arg(millis(LEASE));
        let (state, answer): (String, Vec<u8>) = self.link.script("begin a write", &invocation).await?;
        Ok(match state.as_str() {
            "fresh" => Begin::Fresh(token),
            "done" => Begin::Done(answer),
            "mismatch" => Begin::Mismatch,
            _ => Begin::InProgress,
        })
    }

    async fn finish(&self, slot: &[u8; 32], token: Token, sealed: Vec<u8>) -> Result<(), Error> {
        let mut invocation = self.finish.prepare_invoke();
        invocation.key(name(slot)).arg(token.to_string()).arg(sealed).arg(millis(KEEP));
        let _kept: u64 = self.link.script("finish a write", &invocation).await?;
        Ok(())
    }

    async fn release(&self, slot: &[u8; 32], token: Token) -> Result<(), Error> {
        let mut invocation = self.release.prepare_invoke();
        invocation.key(name(slot)).arg(token.to_string());
        let _freed: u64 = self.link.script("release a key", &invocation).await?;
        Ok(())
    }
}
