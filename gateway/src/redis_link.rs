//! The one link to Redis, shared by rate limits and idempotency: it connects when first used, reconnects by itself and
//! never lets a request wait long.

use std::time::Duration;

use mesh_config::Secret;
use mesh_error::Error;
use redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// Redis answers in well under a millisecond; what takes longer than this is away.
const RESPONSE: Duration = Duration::from_millis(250);

const CONNECT: Duration = Duration::from_millis(500);

/// A link that can be cloned.
#[derive(Clone)]
pub(crate) struct RedisLink(ConnectionManager);

impl RedisLink {
    /// Does not connect yet: a gateway whose Redis is away starts all the same.
    pub(crate) fn new(url: &Secret) -> Result<Self, Error> {
        let client = Client::open(url.expose()).map_err(Error::internal)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        let manager = ConnectionManager::new_lazy_with_config(client, config).map_err(Error::internal)?;
        Ok(Self(manager))
    }

    /// A handle to the one multiplexed connection.
    pub(crate) fn connection(&self) -> ConnectionManager {
        self.0.clone()
    }
}

/// Every failure of Redis is the same to a caller.
pub(crate) fn away(error: RedisError) -> Error {
    Error::unavailable("STORE_UNAVAILABLE", "a store is away for now").with_source(error)
}
