//! The numbers of the outbound stack; the defaults are those of the mesh.

use std::time::Duration;

use mesh_resilience::{Backoff, Budget, Ejection};

/// How a channel behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// For the TCP connection.
    pub connect: Duration,
    /// For the TLS and HTTP/2 handshakes after it.
    pub handshake: Duration,
    /// Connections that a channel opens at once.
    pub connecting: usize,
    /// A connection from which nothing was read for so long is asked for a sign of life, idle or not.
    pub keep_alive: Duration,
    /// It is given up when none comes within this.
    pub keep_alive_limit: Duration,
    /// After the certificates changed, a connection with the old ones takes new calls for so long at most while its
    /// successor is made.
    pub retire: Duration,
    /// An endpoint that owes an answer and said nothing for so long is chosen only if the others are silent too.
    pub silence: Duration,
    /// Names are looked up again after this.
    pub refresh: Duration,
    /// The deadline of a call that neither the policy nor its context bounds.
    pub deadline: Duration,
    /// Largest request body that is kept for being sent again, in bytes.
    pub replay: usize,
    /// How often one call is sent again at most.
    pub retries: u32,
    /// What retries may cost altogether.
    pub budget: Budget,
    /// How long to wait before a retry.
    pub backoff: Backoff,
    /// When an endpoint is left alone.
    pub ejection: Ejection,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(2),
            connecting: 8,
            keep_alive: Duration::from_secs(10),
            keep_alive_limit: Duration::from_secs(5),
            retire: Duration::from_secs(5),
            silence: Duration::from_secs(1),
            refresh: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            replay: 64 * 1024,
            retries: 2,
            budget: Budget::default(),
            backoff: Backoff::default(),
            ejection: Ejection::default(),
        }
    }
}
