//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a write that is sent again has one effect and one
//! answer.
//!
//! A key is bound to the caller, the route and a fingerprint of the body. Only answers of success are kept (24 hours):
//! after any other answer the key is free again. What is kept is sealed with a key that is derived from the caller's
//! own idempotency key, which is stored nowhere: who reads the store reads neither passwords nor secrets. A replica
//! that dies in the middle of a write blocks its key for the lease only.

mod answer;
mod key;
mod memory;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use mesh_error::{Error, Kind};

pub(crate) use self::{
    answer::{open, seal},
    key::{Slot, from_headers},
    memory::MemoryStore,
    redis::RedisStore,
};
use crate::problem::Failure;

/// How long an answer is kept.
pub(crate) const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a write may hold its key: more than any deadline of a write.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Proves that a write is still the one that holds the key.
pub(crate) type Token = uuid::Uuid;

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Nothing: it is held for this write now.
    Fresh(Token),
    /// A write with it goes on.
    InProgress,
    /// It was used with another body.
    Mismatch,
    /// The sealed answer that it got.
    Done(Vec<u8>),
}

/// Where keys are remembered.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Takes the key, or says why not.
    async fn begin(&self, slot: &[u8; 32], fingerprint: &[u8; 32]) -> Result<Begin, Error>;
    /// Keeps the sealed answer, if the key is still held by `token`.
    async fn finish(&self, slot: &[u8; 32], token: Token, sealed: Vec<u8>) -> Result<(), Error>;
    /// Frees the key, if it is still held by `token`.
    async fn release(&self, slot: &[u8; 32], token: Token) -> Result<(), Error>;
}

/// 409: the first write with this key has not ended.
pub(crate) fn in_progress() -> Failure {
    let message = "a request with this idempotency key is in progress";
    let retry = Duration::from_secs(1);
    Error::new(Kind::Aborted, "IDEMPOTENCY_IN_PROGRESS", message).with_retry_after(retry).into()
}

/// 400: what is streamed cannot be given a second time.
pub(crate) fn no_replay() -> Failure {
    let message =
        "an answer of server-sent events cannot be replayed: ask for JSON, or send no Idempotency-Key";
    Failure::bad_request("STREAM_NOT_REPLAYABLE", message)
}

/// 422: the key belongs to another request.
pub(crate) fn mismatch() -> Failure {
    Failure::http(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
        "this idempotency key was used with another body",
    )
}
