//! The limits of a server; hyper's own protections are named here because a default that is not stated can be undone.

use std::time::Duration;

use mesh_resilience::{Admission, Bounds};

/// The limits of a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Connections at once, those in the handshake included; one more is closed at once.
    pub connections: usize,
    /// For the TLS handshake, and again for the HTTP/2 preface after it.
    pub handshake: Duration,
    /// When a connection is asked to end so that its peer comes back with fresh certificates and to other replicas;
    /// each connection varies it by a tenth.
    pub age: Duration,
    /// How long calls may go on after a connection was asked to end; then it is cut. New certificates ask all
    /// connections to end, spread over the same time.
    pub linger: Duration,
    /// Calls at once on one connection.
    pub streams: u32,
    /// Resets that a peer may provoke on one connection before it is closed (CVE-2025-8671).
    pub local_resets: usize,
    /// Streams that a peer may open and reset before they are looked at (CVE-2023-44487).
    pub pending_resets: usize,
    /// All header fields of one call, in bytes.
    pub headers: u32,
    /// How often a quiet connection is asked whether it is alive.
    pub ping_every: Duration,
    /// How long the answer may take.
    pub ping_limit: Duration,
    /// One request message, in bytes, unless the service says otherwise.
    pub message: usize,
    /// Calls at once over all connections, and how long one waits for a place.
    pub admission: Admission,
    /// For calls whose rule names no deadline; every rule does, so this is a net.
    pub call: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(5),
            age: Duration::from_secs(30 * 60),
            linger: Duration::from_secs(30),
            streams: 100,
            local_resets: 1024,
            pending_resets: 20,
            headers: 16 * 1024,
            ping_every: Duration::from_secs(20),
            ping_limit: Duration::from_secs(10),
            message: 64 * 1024,
            admission: Admission::default(),
            call: Bounds { total: Duration::from_secs(10), idle: None },
        }
    }
}
